//! The server's clock: it says when things changed, so that the order of changes is one for all processes, whatever
//! their own clocks say.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::command::broken;
use super::document::moment;
use super::fault::fault;
use super::{Shared, lock};

/// How long it is not looked at again.
const TRUSTED: Duration = Duration::from_secs(10);

/// What the server's clock showed, and when.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<(Timestamp, Instant)>>);

/// An operator that writes the server's time into a field of a document.
pub(super) fn now_in(field: &str) -> Document {
    doc! { field: true }
}

impl Shared {
    /// What the server's clock shows at least.
    pub(super) async fn server_time(&self) -> Result<Timestamp, Fault> {
        let known = *lock(&self.clock.0);
        if let Some((shown, at)) = known
            && at.elapsed() < TRUSTED
        {
            return Ok(shown + at.elapsed());
        }
        let hello = self.database.run_command(doc! { "hello": 1 }).await.map_err(|error| fault(&error))?;
        let shown = moment(&hello, "localTime").ok_or_else(|| broken("the time of the server"))?;
        *lock(&self.clock.0) = Some((shown, Instant::now()));
        Ok(shown)
    }
}
