//! Events on their way to webhooks: each is part of its request's document, and so is how far telling it has come. The
//! tries are documents of their own.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::{Completion, Delivery, Next, Telling};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::{DEFAULT_TENANT, Progress};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::Outbox;
use uuid::Uuid;

use super::command::{self, Again, Reading, by_id, find};
use super::delivery::Try;
use super::document::{as_it_is, at, date, ends, few, moment, said, string};
use super::fault::{fault, is_duplicate};
use super::field::{self, inside};
use super::half_done::{DROPPING, GOING};
use super::id::{matching, text};
use super::{Mongodb, Shared, odd, schema};

/// Where the address is that is told of a request: pixmill's own, and what apps call it.
const WEBHOOKS: [&str; 5] = [
    field::WEBHOOK,
    field::APPS_WEBHOOKS[0],
    field::APPS_WEBHOOKS[1],
    field::APPS_WEBHOOKS[2],
    field::APPS_WEBHOOKS[3],
];

/// The event that completes a request, due at once, by the server's clock.
pub(super) fn completion(round: u32, progress: &Progress, due: Timestamp, now: Timestamp) -> Document {
    doc! {
        "id": Uuid::now_v7().to_string(),
        inside(field::ROUND): i64::from(round),
        "at": date(now),
        inside(field::COMPLETED_IMAGES): progress.completed as i64,
        inside(field::FAILED_IMAGES): progress.failed as i64,
        inside(field::CANCELLED_IMAGES): progress.cancelled as i64,
        inside(field::BYTES_BEFORE): progress.bytes_before as i64,
        inside(field::BYTES_AFTER): progress.bytes_after as i64,
        "tries": 0,
        "due": date(due),
    }
}

/// An event as its request's document holds it; none where it can't be read.
pub(super) fn completion_in(request: &RequestId, event: &Document) -> Option<Completion> {
    Some(Completion {
        id: said(event, "id")?.to_owned(),
        request: request.clone(),
        round: few(event, inside(field::ROUND))?,
        at: moment(event, "at")?,
    })
}

/// The events of a request's document, oldest first.
pub(super) fn events(request: &Document) -> impl Iterator<Item = &Document> {
    let events = at(request, field::EVENTS).and_then(Bson::as_array);
    events.into_iter().flatten().filter_map(Bson::as_document)
}

/// A request's own webhook.
pub(super) fn webhook(request: &Document) -> Option<String> {
    let told = WEBHOOKS.iter().map(|name| string(request, name)).find(|url| !url.is_empty());
    told.map(str::to_owned)
}

fn fields() -> Document {
    let mut fields = doc! { field::EVENTS: 1, field::TRACEPARENT: 1 };
    fields.extend(WEBHOOKS.map(|name| (name.to_owned(), 1.into())));
    fields
}

#[async_trait]
impl Outbox for Mongodb {
    async fn lease_events(&self, most: usize, lease: Lease, now: Timestamp) -> Result<Vec<Telling>, Fault> {
        let shift = self.shared.shift(now).await?;
        let reached = shift.of_server(now);
        let due = doc! {
            field::EVENT_DUE: { "$lte": date(reached) }, field::UNFINISHED: { "$ne": DROPPING },
        };
        let reading =
            Reading { fields: fields(), order: doc! { field::EVENT_DUE: 1 }, most, ..Reading::default() };
        let requests = find(&self.shared.requests(), due, reading).await?;
        let mut due: Vec<_> = requests
            .iter()
            .flat_map(|request| events(request).map(move |event| (request, event)))
            .filter(|(_, event)| moment(event, "due").is_some_and(|due| due <= reached))
            .filter(|(request, event)| is_readable(request, event))
            .collect();
        due.sort_by_key(|(_, event)| (moment(event, "due"), string(event, "id")));
        due.truncate(most);
        let until = Lease { until: shift.of_server(lease.until), ..lease };
        let won = self.shared.take_events(&due, until).await?;
        let tellings = due.into_iter().filter(|(_, event)| won.iter().any(|won| won == string(event, "id")));
        Ok(tellings.filter_map(|(request, event)| telling(request, event, lease)).collect())
    }

    async fn settle_event(
        &self,
        telling: &Telling,
        delivery: Option<Delivery>,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let request = telling.event.request.as_str();
        let fields = doc! { field::TENANT: 1 };
        // A request that was deleted meanwhile took its events with it.
        let Some(found) = by_id(&self.shared.requests(), request, fields).await? else {
            return Ok(false);
        };
        let tries = i32::from(delivery.is_some());
        if let Some(delivery) = delivery {
            let tenant = said(&found, field::TENANT).unwrap_or(DEFAULT_TENANT);
            self.shared.write_down(&delivery, tenant).await?;
        }
        let mut gone = doc! { field::THE_EVENT_LEASE: "" };
        let mut update = doc! { "$inc": { field::THE_EVENT_TRIES: tries } };
        match next {
            Next::Nothing => _ = gone.insert(field::THE_EVENT_DUE, ""),
            Next::Again(at) => {
                let at = self.shared.shift(now).await?.of_server(at);
                update.insert("$set", doc! { field::THE_EVENT_DUE: date(at) });
            }
        }
        update.insert("$unset", gone);
        let leased = doc! { "$elemMatch": { "id": &telling.event.id, "lease": telling.token.0 } };
        let leased = doc! { "_id": matching(request), field::EVENTS: leased };
        let settle = vec![of_event(command::one(leased, update), &telling.event.id)];
        let settled = command::update(&self.shared.database, schema::REQUESTS, settle, Again::Never).await?;
        Ok(settled.matched == 1)
    }

    async fn redeliver(&self, delivery: &str, now: Timestamp) -> Result<bool, Fault> {
        let found = self.shared.deliveries().find_one(doc! { "_id": delivery }).await;
        let Some(found) = found.map_err(|error| fault(&error))? else { return Ok(false) };
        let event = string(&found, "event");
        let of_it = doc! {
            "_id": matching(string(&found, "request")),
            field::EVENTS: { "$elemMatch": { "id": event } },
            field::UNFINISHED: { "$nin": GOING.to_vec() },
        };
        let due = date(self.shared.shift(now).await?.of_server(now));
        let anew = doc! {
            "$set": { field::THE_EVENT_DUE: due, field::THE_EVENT_TRIES: 0 },
            "$unset": { field::THE_EVENT_LEASE: "" },
        };
        let anew = vec![of_event(command::one(of_it, anew), event)];
        let due = command::update(&self.shared.database, schema::REQUESTS, anew, Again::Safe).await?;
        Ok(due.matched == 1)
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, Fault> {
        let old = doc! { "at": { "$lt": date(before) }, "event": { "$type": "string" } };
        command::delete(&self.shared.database, schema::DELIVERIES, old).await
    }
}

/// Lets a statement change the event of this id.
fn of_event(mut statement: Document, id: &str) -> Document {
    statement.insert("arrayFilters", vec![doc! { "event.id": id }]);
    statement
}

/// Whether an event can be told; one that can't is told of here, once.
fn is_readable(request: &Document, event: &Document) -> bool {
    let id = request.get("_id").and_then(text).map(RequestId::from);
    let readable = id.is_some_and(|id| completion_in(&id, event).is_some());
    if !readable {
        odd::tell(schema::REQUESTS, request, "an event of it can't be read");
    }
    readable
}

impl Shared {
    /// Takes events that are as they were read; the ids of those that nobody else took.
    async fn take_events(&self, due: &[(&Document, &Document)], lease: Lease) -> Result<Vec<String>, Fault> {
        let id = |event: &Document| string(event, "id").to_owned();
        let statements = due.iter().map(|(request, event)| {
            let unchanged = doc! {
                "id": id(event),
                "due": as_it_is(event, "due"),
                "lease": as_it_is(event, "lease"),
            };
            let unchanged =
                doc! { "_id": as_it_is(request, "_id"), field::EVENTS: { "$elemMatch": unchanged } };
            let set = doc! {
                field::THE_EVENT_DUE: date(lease.until),
                field::THE_EVENT_LEASE: lease.token.0,
            };
            of_event(command::one(unchanged, doc! { "$set": set }), string(event, "id"))
        });
        let statements: Vec<_> = statements.collect();
        let all = statements.len() as u64;
        let written = command::update(&self.database, schema::REQUESTS, statements, Again::Safe).await?;
        if written.matched == all {
            return Ok(due.iter().map(|(_, event)| id(event)).collect());
        }
        let ours = doc! { field::EVENT_LEASE: lease.token.0 };
        let reading = Reading { fields: doc! { field::EVENTS: 1 }, ..Reading::default() };
        let requests: Vec<_> = due.iter().map(|(request, _)| as_it_is(request, "_id")).collect();
        let query = doc! { "$and": [{ "_id": { "$in": requests } }, ours] };
        let now = find(&self.requests(), query, reading).await?;
        let ours = now
            .iter()
            .flat_map(events)
            .filter(|event| event.get_i64("lease").is_ok_and(|token| token == lease.token.0));
        Ok(ours.map(id).collect())
    }

    /// Writes a try down, once.
    async fn write_down(&self, delivery: &Delivery, tenant: &str) -> Result<(), Fault> {
        let tries = self.database.collection::<Try>(schema::DELIVERIES);
        match tries.insert_one(Try::new(delivery, tenant)).await {
            Err(error) if !is_duplicate(&error) => Err(fault(&error)),
            _ => Ok(()),
        }
    }
}

fn telling(request: &Document, event: &Document, lease: Lease) -> Option<Telling> {
    let id = request.get("_id").and_then(text)?;
    Some(Telling {
        event: completion_in(&id.into(), event)?,
        progress: ends(event),
        url: webhook(request),
        traceparent: Traceparent::parse(string(request, field::TRACEPARENT)),
        tries: few(event, "tries").unwrap_or_default(),
        token: lease.token,
    })
}
