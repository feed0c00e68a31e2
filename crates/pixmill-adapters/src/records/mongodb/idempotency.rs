//! Intakes under keys that clients chose. Each key is one document, taken over by compare-and-set on its holder. Times in
//! it are the server's.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Idempotency, Reservation};

use super::command::{self, Again, by_id};
use super::document::{as_it_is, date, moment, string};
use super::fault::{fault, is_duplicate};
use super::head::{self, DROPPING, Head};
use super::{Mongodb, Shared, schema};

/// How long keys are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// How often a key is tried that others take and give free meanwhile.
const TRIES: u32 = 5;

#[async_trait]
impl Idempotency for Mongodb {
    async fn reserve(
        &self,
        tenant: &str,
        key: &str,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Fault> {
        let shared = &self.shared;
        let shift = shared.shift(now).await?;
        let (until, now) = (shift.of_server(until), shift.of_server(now));
        let old = doc! { "at": { "$lt": date(now - REMEMBERED) }, "request": { "$type": "string" } };
        command::delete(&shared.database, schema::IDEMPOTENCY, old).await?;
        // A tenant's name has no spaces.
        let id = format!("{tenant} {key}");
        for _ in 0..TRIES {
            if shared.reserve_first(&id, request, until, now).await? {
                return Ok(Reservation::New);
            }
            let held = shared.idempotency().find_one(doc! { "_id": &id }).await;
            // Given free meanwhile.
            let Some(held) = held.map_err(|error| fault(&error))? else { continue };
            let holder = RequestId::from(string(&held, "request"));
            if holder == *request {
                return Ok(Reservation::New);
            }
            let held_until = moment(&held, "until").unwrap_or_default();
            if held_until > now && !shared.is_accepted(&holder).await? {
                return Ok(Reservation::InFlight(shift.of_caller(held_until)));
            }
            // Whoever let it lapse must not come first after all.
            shared.drop_intake(&holder).await?;
            if shared.is_accepted(&holder).await? {
                return Ok(Reservation::Accepted(holder));
            }
            if shared.take_over(&id, &held, request, until, now).await? {
                return Ok(Reservation::New);
            }
        }
        Err(Fault::transient(Code::BackendUnavailable, "the key is being taken by many at once"))
    }

    async fn hold(&self, request: &RequestId, until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let until = self.shared.shift(now).await?.of_server(until);
        let held = doc! { "request": request.as_str() };
        let hold = vec![command::one(held, doc! { "$set": { "until": date(until) } })];
        command::update(&self.shared.database, schema::IDEMPOTENCY, hold, Again::Safe).await.map(|_| ())
    }

    async fn release(&self, request: &RequestId) -> Result<(), Fault> {
        if self.shared.is_accepted(request).await? {
            return Ok(());
        }
        let held = doc! { "request": request.as_str() };
        command::delete(&self.shared.database, schema::IDEMPOTENCY, held).await.map(|_| ())
    }
}

impl Shared {
    fn idempotency(&self) -> Collection<Document> {
        self.database.collection(schema::IDEMPOTENCY)
    }

    /// Whether a request was accepted, and has not been deleted since.
    async fn is_accepted(&self, request: &RequestId) -> Result<bool, Fault> {
        let found = by_id(&self.requests(), request.as_str(), head::fields()).await?;
        let head = found.as_ref().and_then(Head::of);
        Ok(head.is_some_and(|head| head.status != RequestStatus::Receiving && head.unfinished != DROPPING))
    }

    /// Reserves a key that nobody has; whether nobody had it.
    async fn reserve_first(
        &self,
        id: &str,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let document = doc! { "_id": id, "request": request.as_str(), "until": date(until), "at": date(now) };
        match self.idempotency().insert_one(document).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Takes a key over from a holder that let it lapse; whether it was still that one's.
    async fn take_over(
        &self,
        id: &str,
        held: &Document,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let unchanged =
            doc! { "_id": id, "request": string(held, "request"), "until": as_it_is(held, "until") };
        let ours = doc! { "request": request.as_str(), "until": date(until), "at": date(now) };
        let take = vec![command::one(unchanged, doc! { "$set": ours })];
        let taken = command::update(&self.database, schema::IDEMPOTENCY, take, Again::Safe).await?;
        Ok(taken.matched == 1)
    }
}
