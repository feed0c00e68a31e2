//! Rights that one process has at a time: a document each, taken by compare-and-set.

use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Right;

use super::command::{self, Again};
use super::document::date;
use super::fault::{fault, is_duplicate};
use super::{Shared, schema};

/// The id of a right's document.
fn id(right: Right) -> &'static str {
    match right {
        Right::Feeding => "feeder",
        Right::Upkeep => "upkeep",
    }
}

impl Shared {
    /// Takes a right when it is free or held under the same token.
    pub(super) async fn lead(&self, right: Right, lease: Lease, now: Timestamp) -> Result<bool, Fault> {
        let shift = self.shift(now).await?;
        let (now, until) = (date(shift.of_server(now)), date(shift.of_server(lease.until)));
        let ours_or_free = doc! {
            "_id": id(right),
            "$or": [{ "token": lease.token.0 }, { "until": { "$lte": now } }],
        };
        let take =
            vec![command::one(ours_or_free, doc! { "$set": { "token": lease.token.0, "until": until } })];
        // Sent twice it matches our own token, also when it gave the right back.
        if command::update(&self.database, schema::STATE, take, Again::Safe).await?.matched > 0 {
            return Ok(true);
        }
        let first = doc! { "_id": id(right), "token": lease.token.0, "until": until };
        match self.database.collection::<Document>(schema::STATE).insert_one(first).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }
}
