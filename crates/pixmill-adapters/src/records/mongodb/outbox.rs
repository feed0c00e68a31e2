//! Events on their way to webhooks: each is part of its request's document, and so is how far telling it has come. The
//! tries are documents of their own.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::{Answer, Completion, Delivery, Next, Telling};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::Failure;
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::{DEFAULT_TENANT, Progress};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::Outbox;
use uuid::Uuid;

use super::command::{self, Again, Reading, broken, by_id, find};
use super::document::{as_it_is, date, ends, moment, string, whole};
use super::fault::{fault, is_duplicate};
use super::head::{DROPPING, RETIRING};
use super::id::{matching, text};
use super::{Mongodb, Shared, schema};

/// What apps call the address that is told of a request, pixmill first.
const WEBHOOKS: [&str; 4] = ["webhookUrl", "webhook_url", "webhook", "callback_url"];

/// The event that completes a request, due at once.
pub(super) fn completion(round: u32, progress: &Progress, now: Timestamp) -> Document {
    doc! {
        "id": Uuid::now_v7().to_string(),
        "round": round,
        "at": date(now),
        "completedImages": progress.completed as i64,
        "failedImages": progress.failed as i64,
        "cancelledImages": progress.cancelled as i64,
        "bytesBefore": progress.bytes_before as i64,
        "bytesAfter": progress.bytes_after as i64,
        "tries": 0,
        "due": date(now),
    }
}

/// An event as its request's document holds it.
pub(super) fn completion_in(request: &RequestId, event: &Document) -> Result<Completion, Fault> {
    Ok(Completion {
        id: string(event, "id").to_owned(),
        request: request.clone(),
        round: whole(event, "round").ok_or_else(|| broken("the round of an event"))? as u32,
        at: moment(event, "at").ok_or_else(|| broken("the time of an event"))?,
    })
}

/// The events of a request's document, oldest first.
pub(super) fn events(request: &Document) -> impl Iterator<Item = &Document> {
    let events = request.get_array("events").ok();
    events.into_iter().flatten().filter_map(Bson::as_document)
}

/// A request's own webhook.
pub(super) fn webhook(request: &Document) -> Option<String> {
    let told = WEBHOOKS.iter().map(|name| string(request, name)).find(|url| !url.is_empty());
    told.map(str::to_owned)
}

fn fields() -> Document {
    let mut fields = doc! { "events": 1, "traceparent": 1 };
    fields.extend(WEBHOOKS.map(|name| (name.to_owned(), 1.into())));
    fields
}

#[async_trait]
impl Outbox for Mongodb {
    async fn lease_events(&self, most: usize, lease: Lease, now: Timestamp) -> Result<Vec<Telling>, Fault> {
        let due = doc! { "events.due": { "$lte": date(now) }, "unfinished": { "$ne": DROPPING } };
        let reading = Reading { fields: fields(), order: doc! { "events.due": 1 }, most };
        let requests = find(&self.shared.requests(), due, reading).await?;
        let mut due: Vec<_> = requests
            .iter()
            .flat_map(|request| events(request).map(move |event| (request, event)))
            .filter(|(_, event)| moment(event, "due").is_some_and(|due| due <= now))
            .collect();
        due.sort_by_key(|(_, event)| (moment(event, "due"), string(event, "id")));
        due.truncate(most);
        let won = self.shared.take_events(&due, lease).await?;
        let tellings = due.into_iter().filter(|(_, event)| won.iter().any(|won| won == string(event, "id")));
        tellings.map(|(request, event)| telling(request, event, lease)).collect()
    }

    async fn settle_event(
        &self,
        telling: &Telling,
        delivery: Option<Delivery>,
        next: Next,
    ) -> Result<bool, Fault> {
        let request = telling.event.request.as_str();
        // A request that was deleted meanwhile took its events with it.
        let Some(found) = by_id(&self.shared.requests(), request, doc! { "tenant": 1 }).await? else {
            return Ok(false);
        };
        let tries = i32::from(delivery.is_some());
        if let Some(delivery) = delivery {
            self.shared.write_down(&delivery, found.get_str("tenant").unwrap_or(DEFAULT_TENANT)).await?;
        }
        let mut update = doc! { "$inc": { "events.$.tries": tries }, "$unset": { "events.$.lease": "" } };
        match next {
            Next::Nothing => {
                update.insert("$unset", doc! { "events.$.lease": "", "events.$.due": "" });
            }
            Next::Again(at) => {
                update.insert("$set", doc! { "events.$.due": date(at) });
            }
        }
        let leased = doc! { "$elemMatch": { "id": &telling.event.id, "lease": telling.token.0 } };
        let settle = vec![command::one(doc! { "_id": matching(request), "events": leased }, update)];
        let settled = command::update(&self.shared.database, schema::REQUESTS, settle, Again::Never).await?;
        Ok(settled.matched == 1)
    }

    async fn deliveries(
        &self,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        let mut query = Document::new();
        if let Some(request) = request {
            query.insert("request", self.shared.head(request).await?.request.as_str());
        }
        if let Some(before) = before {
            query.insert("_id", doc! { "$lt": before });
        }
        let reading = Reading { order: doc! { "_id": -1 }, most, ..Reading::default() };
        let found = find(&self.shared.deliveries(), query, reading).await?;
        found.iter().map(delivery_in).collect()
    }

    async fn redeliver(&self, delivery: &str, now: Timestamp) -> Result<bool, Fault> {
        let found = self.shared.deliveries().find_one(doc! { "_id": delivery }).await;
        let Some(found) = found.map_err(|error| fault(&error))? else { return Ok(false) };
        let of_it = doc! {
            "_id": matching(string(&found, "request")),
            "events": { "$elemMatch": { "id": string(&found, "event") } },
            "unfinished": { "$ne": RETIRING },
        };
        let anew = doc! {
            "$set": { "events.$.due": date(now), "events.$.tries": 0 },
            "$unset": { "events.$.lease": "" },
        };
        let anew = vec![command::one(of_it, anew)];
        let due = command::update(&self.shared.database, schema::REQUESTS, anew, Again::Safe).await?;
        Ok(due.matched == 1)
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, Fault> {
        let old = doc! { "at": { "$lt": date(before) } };
        command::delete(&self.shared.database, schema::DELIVERIES, old).await
    }
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
            let unchanged = doc! { "_id": as_it_is(request, "_id"), "events": { "$elemMatch": unchanged } };
            let set = doc! { "events.$.due": date(lease.until), "events.$.lease": lease.token.0 };
            command::one(unchanged, doc! { "$set": set })
        });
        let statements: Vec<_> = statements.collect();
        let all = statements.len() as u64;
        let written = command::update(&self.database, schema::REQUESTS, statements, Again::Safe).await?;
        if written.matched == all {
            return Ok(due.iter().map(|(_, event)| id(event)).collect());
        }
        let ours = doc! { "events.lease": lease.token.0 };
        let reading = Reading { fields: doc! { "events": 1 }, ..Reading::default() };
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
        let mut document = doc! {
            "_id": &delivery.id,
            "event": &delivery.event,
            "request": delivery.request.as_str(),
            "tenant": tenant,
            "url": &delivery.url,
            "at": date(delivery.at),
        };
        match &delivery.answer {
            Ok(answer) => {
                document.insert("status", i32::from(answer.status));
                document.insert("answer", &answer.beginning);
            }
            Err(failure) => {
                document.insert("code", failure.code.as_str());
                document.insert("message", &failure.message);
            }
        }
        match self.deliveries().insert_one(document).await {
            Err(error) if !is_duplicate(&error) => Err(fault(&error)),
            _ => Ok(()),
        }
    }
}

fn telling(request: &Document, event: &Document, lease: Lease) -> Result<Telling, Fault> {
    let id = request.get("_id").and_then(text).ok_or_else(|| broken("the id of a request"))?;
    Ok(Telling {
        event: completion_in(&id.into(), event)?,
        progress: ends(event),
        url: webhook(request),
        traceparent: Traceparent::parse(string(request, "traceparent")),
        tries: whole(event, "tries").unwrap_or_default() as u32,
        token: lease.token,
    })
}

pub(super) fn delivery_in(document: &Document) -> Result<Delivery, Fault> {
    let answer = match whole(document, "status") {
        Some(status) => {
            let status = u16::try_from(status).map_err(|_| broken("the status of a delivery"))?;
            Ok(Answer { status, beginning: string(document, "answer").to_owned() })
        }
        None => Err(Failure {
            code: Code::parse(string(document, "code")).ok_or_else(|| broken("the code of a delivery"))?,
            message: string(document, "message").to_owned(),
        }),
    };
    Ok(Delivery {
        id: string(document, "_id").to_owned(),
        event: string(document, "event").to_owned(),
        request: string(document, "request").into(),
        url: string(document, "url").to_owned(),
        at: moment(document, "at").ok_or_else(|| broken("the time of a delivery"))?,
        answer,
    })
}
