//! Writes what a table says where something ended: each once, and only to what is still as it was read.
//!
//! What counts or appends leaves a mark in its document until it stands in a collection of ours, so that a job that comes
//! again after a crash does not do it again.

use serde_json::{Map, Value, json};

use super::Stack;
use super::scope::{Scope, mix};
use super::table::{Act, On, Write};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::time::Timestamp;

/// What was done of ours.
pub(super) const ENDS: &str = "pixmill_ends";

/// Which delivery of a job something is done for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    /// Names the job, whenever it is done.
    pub(super) job: u128,
    /// Names this round of it: a retry is another.
    pub(super) round: u128,
    /// It was retried.
    pub(super) again: bool,
}

impl Stack {
    /// Writes all that a table says of something.
    ///
    /// # Errors
    /// Those of the application's database; permanent ones where it refuses what is written.
    pub(super) async fn write(&self, on: &[On], scope: &Scope<'_>, delivery: Delivery) -> Result<(), Fault> {
        for (number, write) in self.table.writes.iter().enumerate() {
            if !on.contains(&write.on) {
                continue;
            }
            match &write.act {
                Act::Insert(document) => {
                    let document = document.written(scope).map_err(refused)?;
                    self.insert(write, document, scope, delivery).await?;
                }
                Act::Update { filter, update, repeatable } => {
                    let filter = match filter {
                        Some(filter) => filter.filter(scope).map_err(refused)?,
                        None => self.as_read(write, scope).map_err(refused)?,
                    };
                    let update = update.written(scope).map_err(refused)?;
                    let wrote = match repeatable {
                        true => self.documents()?.update(&write.collection, filter.clone(), update).await?,
                        false => {
                            let mark = mark(delivery.round, &format!("{number} {}", scope.id()));
                            self.update_once(&write.collection, filter.clone(), update, mark, scope.now)
                                .await?
                        }
                    };
                    if !wrote {
                        tracing::debug!(collection = write.collection, %filter, "nothing is like this to be written to");
                    }
                }
            }
        }
        Ok(())
    }

    async fn insert(
        &self,
        write: &Write,
        mut document: Value,
        scope: &Scope<'_>,
        delivery: Delivery,
    ) -> Result<(), Fault> {
        let fields = document.as_object_mut().expect("it was read as a document");
        let id = fields.entry("_id").or_insert_with(|| scope.id()).clone();
        let fresh = self.documents()?.insert(&write.collection, document.clone()).await?;
        if fresh || !delivery.again {
            return Ok(());
        }
        // Of an earlier round: what came of this one takes its place, and when it was made stays.
        let Value::Object(fields) = document else { return Ok(()) };
        let now = json!({ "$date": scope.now.0 });
        let changed = fields.into_iter().filter(|(key, value)| key != "_id" && *value != now);
        let set = Value::Object(changed.collect());
        self.documents()?.update(&write.collection, json!({ "_id": id }), json!({ "$set": set })).await?;
        Ok(())
    }

    /// The document that was read from the collection, as long as what was read of it is so.
    fn as_read(&self, write: &Write, scope: &Scope<'_>) -> Result<Value, String> {
        let of_request = self.table.request.as_ref().map(|request| &request.lookup.collection);
        let read = match of_request == Some(&write.collection) {
            true => scope.request,
            false => scope.product_told(),
        };
        let id = read.and_then(|read| read.get("_id")).ok_or("the document that is meant has no _id")?;
        let mut filter = Map::from_iter([("_id".to_owned(), id.clone())]);
        if of_request != Some(&write.collection)
            && let (Some(field), Some(read)) = (self.table.field(), read)
            && let Some(value) = read.get(&field).filter(|value| is_comparable(value))
        {
            filter.insert(field, value.clone());
        }
        Ok(Value::Object(filter))
    }

    /// Changes a document in a way that is not to be done twice.
    async fn update_once(
        &self,
        collection: &str,
        mut filter: Value,
        mut update: Value,
        mark: String,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let documents = self.documents()?;
        if documents.count(ENDS, json!({ "_id": mark })).await? > 0 {
            return Ok(true);
        }
        let field = format!("pixmill.marks.{mark}");
        update["$set"][&field] = true.into();
        filter[&field] = json!({ "$exists": false });
        let wrote = documents.update(collection, filter.clone(), update).await?;
        let end = json!({ "_id": mark, "queue": self.queue(), "at": { "$date": now.0 } });
        documents.insert(ENDS, end).await?;
        filter[&field] = true.into();
        documents.update(collection, filter, json!({ "$unset": { field: "" } })).await?;
        Ok(wrote)
    }

    /// Takes note of whether a picture failed, where the table counts those that did.
    pub(super) async fn note_failure(&self, scope: &Scope<'_>, delivery: Delivery) -> Result<(), Fault> {
        let failed = scope.end().is_some_and(|end| end.failure.is_some());
        let Some(request) = scope.request.filter(|_| self.table.counts_failures()) else { return Ok(()) };
        let id = mark(delivery.job, &format!("failed {}", scope.id()));
        if failed {
            let end = json!({
                "_id": id, "queue": self.queue(), "request": request["_id"], "failed": true,
                "at": { "$date": scope.now.0 },
            });
            self.documents()?.insert(ENDS, end).await?;
        } else if delivery.again {
            self.documents()?.delete(ENDS, json!({ "_id": id })).await?;
        }
        Ok(())
    }
}

/// Names something that is done once.
pub(super) fn mark(seed: u128, what: &str) -> String {
    format!("{:032x}", mix(seed, what))
}

/// Whether a value is found again by being compared: no document, in which the order of fields counts.
pub(super) fn is_comparable(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(|one| !one.is_array() && is_comparable(one)),
        Value::Object(fields) => fields.contains_key("$oid") || fields.contains_key("$date"),
        _ => true,
    }
}

/// What a job says can't be written.
pub(super) fn refused(lacks: String) -> Fault {
    Fault::permanent(Code::JobInvalid, lacks)
}
