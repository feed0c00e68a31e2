//! The server's clock: it says when things changed, when leases end and when images are due, so that these mean the same
//! to all processes, whatever their own clocks say and however these jump.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::command::broken;
use super::document::{WRITABLE, moment};
use super::fault::fault;
use super::{Shared, lock};

/// How long it is not looked at again.
const TRUSTED: Duration = Duration::from_secs(10);

/// Whose times leases have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// The server's: what callers say is told by how far it is from their own now.
    OfServer,
    /// The callers', as they are: tests turn their clock.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests turn clocks"))]
    OfCallers,
}

/// What the server's clock showed, and when.
#[derive(Debug)]
pub(super) struct ServerClock {
    times: Times,
    shown: Mutex<Option<(Timestamp, Instant)>>,
}

impl ServerClock {
    pub(super) fn new(times: Times) -> Self {
        ServerClock { times, shown: Mutex::default() }
    }
}

/// How far the server's clock is from a caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shift {
    milliseconds: i64,
}

impl Shift {
    /// A caller's time as the server would tell it.
    pub(super) fn of_server(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0.saturating_add(self.milliseconds))
    }

    /// The server's time as the caller would tell it.
    pub(super) fn of_caller(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0.saturating_sub(self.milliseconds))
    }
}

/// An operator that writes the server's time into a field of a document.
pub(super) fn now_in(field: &str) -> Document {
    doc! { field: true }
}

impl Shared {
    /// What the server's clock shows at least.
    pub(super) async fn server_time(&self) -> Result<Timestamp, Fault> {
        let known = *lock(&self.clock.shown);
        if let Some((shown, at)) = known
            && at.elapsed() < TRUSTED
        {
            return Ok(shown + at.elapsed());
        }
        let hello = self.database.run_command(doc! { "hello": 1 }).await.map_err(|error| fault(&error))?;
        let shown = moment(&hello, "localTime").ok_or_else(|| broken("the time of the server"))?;
        *lock(&self.clock.shown) = Some((shown, Instant::now()));
        Ok(shown)
    }

    /// The time before which all that was written can be read by now, when writing takes so long at most.
    pub(super) async fn settled_time(&self, writing: Duration) -> Result<Timestamp, Fault> {
        match self.clock.times {
            Times::OfServer => Ok(self.server_time().await? - writing),
            // Later than any that is written.
            Times::OfCallers => Ok(*WRITABLE.end()),
        }
    }

    /// How far the server's clock is from that of a caller for whom it is now `now`.
    pub(super) async fn shift(&self, now: Timestamp) -> Result<Shift, Fault> {
        let milliseconds = match self.clock.times {
            Times::OfServer => self.server_time().await?.0.saturating_sub(now.0),
            Times::OfCallers => 0,
        };
        Ok(Shift { milliseconds })
    }
}
