//! Requests that ended long ago, or that somebody wants deleted, marked before they are.

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Deletion, FOREIGN};

use super::amend::{TRIES, busy};
use super::command::{self, Again, Reading, find};
use super::document::date;
use super::field;
use super::half_done::{DELETING, DELETING_OUTPUTS, RETIRING};
use super::head::{self, Head};
use super::{Shared, schema};

impl Shared {
    /// Retires requests of pixmill's own that ended before a time.
    pub(super) async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        let mut ended = retirable();
        ended.extend(ended_before(before));
        let reading = Reading {
            fields: head::fields(),
            order: doc! { field::CREATED_AT: 1 },
            most,
            ..Reading::default()
        };
        let heads: Vec<_> =
            find(&self.requests(), ended, reading).await?.iter().filter_map(Head::of).collect();
        let mark = heads.iter().map(|head| {
            let mut unchanged = retirable();
            unchanged.extend(head.in_round());
            unchanged.insert(field::STATUS, head.status.as_str());
            command::one(unchanged, doc! { "$set": { field::UNFINISHED: RETIRING } })
        });
        command::update(&self.database, schema::REQUESTS, mark.collect(), Again::Safe).await?;
        let ids: Vec<_> = heads.iter().map(|head| head.id.clone()).collect();
        let marked = doc! { "_id": { "$in": ids }, field::UNFINISHED: RETIRING };
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let retired = find(&self.requests(), marked, reading).await?;
        Ok(retired.iter().filter_map(Head::of).map(|head| head.request).collect())
    }

    /// Deletions that were begun and are not done.
    pub(super) async fn deletions(&self, most: usize) -> Result<Vec<Deletion>, Fault> {
        let begun = doc! { field::UNFINISHED: { "$in": [DELETING, DELETING_OUTPUTS] }, field::OWN: true };
        let reading = Reading { fields: head::fields(), most, ..Reading::default() };
        let begun = find(&self.requests(), begun, reading).await?;
        let of =
            |head: Head| Deletion { outputs: head.unfinished == DELETING_OUTPUTS, request: head.request };
        Ok(begun.iter().filter_map(Head::of).map(of).collect())
    }

    /// Marks a request that has ended, once nothing else is being done to it; false while it is open.
    pub(super) async fn begin_deletion(&self, deletion: &Deletion, now: Timestamp) -> Result<bool, Fault> {
        let mark = if deletion.outputs { DELETING_OUTPUTS } else { DELETING };
        for _ in 0..TRIES {
            let head = self.deletable(&deletion.request).await?;
            // What was begun is ended first: a retry, which opens it, or what a cancel left.
            if !head.is_going() && !head.unfinished.is_empty() {
                self.finish_one(&head, now).await?;
                continue;
            }
            if head.status.is_open() {
                return Ok(false);
            }
            if self.change(&head, doc! { "$set": { field::UNFINISHED: mark } }).await? {
                return Ok(true);
            }
        }
        Err(busy(&deletion.request))
    }

    /// A request of pixmill's own.
    pub(super) async fn deletable(&self, request: &RequestId) -> Result<Head, Fault> {
        let head = self.accepted(request).await?;
        if head.own { Ok(head) } else { Err(Fault::permanent(Code::RequestState, FOREIGN)) }
    }
}

/// Matches requests of pixmill's own of which nothing is to be told, and with which nothing is begun.
fn retirable() -> Document {
    doc! {
        field::OWN: true,
        field::UNFINISHED: { "$in": [Bson::Null, Bson::from(RETIRING)] },
        field::EVENT_DUE: { "$exists": false },
    }
}

/// Matches what ended before a time. What ended was created before, too: that is what the index knows.
fn ended_before(before: Timestamp) -> Document {
    let (completed, cancelled) = (RequestStatus::Completed.as_str(), RequestStatus::Cancelled.as_str());
    let until = doc! { "$lte": date(before) };
    doc! {
        field::STATUS: { "$in": [completed, cancelled] },
        field::CREATED_AT: until.clone(),
        "$or": [
            { field::STATUS: completed, field::COMPLETED_AT: until.clone() },
            { field::STATUS: cancelled, field::UPDATED_AT: until },
        ],
    }
}
