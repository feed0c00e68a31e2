//! Requests that ended long ago, marked before they are deleted.

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;

use super::command::{self, Again, Reading, find};
use super::document::date;
use super::head::{self, Head, RETIRING};
use super::{Shared, schema};

impl Shared {
    /// Retires requests of pixmill's own that ended before a time.
    pub(super) async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        let mut ended = retirable();
        ended.extend(ended_before(before));
        let reading =
            Reading { fields: head::fields(), order: doc! { "createdAt": 1 }, most, ..Reading::default() };
        let heads: Vec<_> =
            find(&self.requests(), ended, reading).await?.iter().filter_map(Head::of).collect();
        let mark = heads.iter().map(|head| {
            let mut unchanged = retirable();
            unchanged.extend(head.in_round());
            unchanged.insert("status", head.status.as_str());
            command::one(unchanged, doc! { "$set": { "pixmill.unfinished": RETIRING } })
        });
        command::update(&self.database, schema::REQUESTS, mark.collect(), Again::Safe).await?;
        let ids: Vec<_> = heads.iter().map(|head| head.id.clone()).collect();
        let marked = doc! { "_id": { "$in": ids }, "pixmill.unfinished": RETIRING };
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let retired = find(&self.requests(), marked, reading).await?;
        Ok(retired.iter().filter_map(Head::of).map(|head| head.request).collect())
    }
}

/// Matches requests of pixmill's own of which nothing is to be told, and with which nothing is begun.
fn retirable() -> Document {
    doc! {
        schema::OWN: true,
        "pixmill.unfinished": { "$in": [Bson::Null, Bson::from(RETIRING)] },
        "pixmill.events.due": { "$exists": false },
    }
}

/// Matches what ended before a time. What ended was created before, too: that is what the index knows.
fn ended_before(before: Timestamp) -> Document {
    let (completed, cancelled) = (RequestStatus::Completed.as_str(), RequestStatus::Cancelled.as_str());
    let until = doc! { "$lte": date(before) };
    doc! {
        "status": { "$in": [completed, cancelled] },
        "createdAt": until.clone(),
        "$or": [
            { "status": completed, "pixmill.completedAt": until.clone() },
            { "status": cancelled, "updatedAt": until },
        ],
    }
}
