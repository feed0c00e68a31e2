//! Ends in an order that watchers can follow, however long a server takes to write them.
//!
//! A server gives an end its time when it begins to write it, and others can read it when that is done. Watchers read what
//! ended up to a moment ago, so one whose write took longer may appear behind them. It is given a later time then: who has
//! seen it sees it twice, and nobody misses it.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;

use super::clock::now_in;
use super::command::{self, Again, Written};
use super::field;
use super::{Shared, schema};

/// Ends are told after so long: by then every write to which the server gave an earlier time can be read, or will give its
/// ends a later one.
pub(super) const IN_ORDER_AFTER: Duration = Duration::from_millis(100);

impl Shared {
    /// Runs statements that end images. `these` matches what they end, once they have; it is asked only where that took
    /// long.
    pub(super) async fn end_images(
        &self,
        statements: Vec<Document>,
        these: impl FnOnce() -> Document + Send,
    ) -> Result<Written, Fault> {
        if statements.is_empty() {
            return Ok(Written::NOTHING);
        }
        let began = Instant::now();
        let written = command::update(&self.database, schema::IMAGES, statements, Again::Safe).await;
        if began.elapsed() < IN_ORDER_AFTER {
            return written;
        }
        let mut these = these();
        these.insert(field::ENDED, doc! { "$exists": true });
        let later = vec![command::many(these, doc! { "$currentDate": now_in(field::ENDED) })];
        let dated = command::update(&self.database, schema::IMAGES, later, Again::Safe).await;
        let written = written?;
        dated.map(|_| written)
    }
}
