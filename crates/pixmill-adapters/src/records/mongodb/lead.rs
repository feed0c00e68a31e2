//! The right to feed a shared queue: one document, taken by compare-and-set.

use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::time::Timestamp;

use super::command::{self, Again};
use super::document::date;
use super::fault::{fault, is_duplicate};
use super::{Shared, schema};

/// The id of the document.
const FEEDER: &str = "feeder";

impl Shared {
    /// Takes the right when it is free or held under the same token.
    pub(super) async fn lead(&self, lease: Lease, now: Timestamp) -> Result<bool, Fault> {
        let ours_or_free = doc! {
            "_id": FEEDER,
            "$or": [{ "token": lease.token.0 }, { "until": { "$lte": date(now) } }],
        };
        let take = doc! { "$set": { "token": lease.token.0, "until": date(lease.until) } };
        let take = vec![command::one(ours_or_free, take)];
        // Sent twice it matches our own token, also when it gave the right back.
        if command::update(&self.database, schema::STATE, take, Again::Safe).await?.matched > 0 {
            return Ok(true);
        }
        let first = doc! { "_id": FEEDER, "token": lease.token.0, "until": date(lease.until) };
        match self.database.collection::<Document>(schema::STATE).insert_one(first).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(fault(&error)),
        }
    }
}
