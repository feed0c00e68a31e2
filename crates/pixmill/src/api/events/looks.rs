//! How requests stand, read once for all who watch the same one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::port::records::{Ledger, RequestView};

/// How long a look holds: less than a watcher waits.
const FRESH: Duration = Duration::from_millis(400);

/// Looks that are remembered before those that hold no more are forgotten.
const REMEMBERED: usize = 256;

/// When each request was looked at, and what was seen.
type Known = HashMap<RequestId, (Instant, Option<RequestView>)>;

/// The latest look at each request that is watched.
#[derive(Default)]
pub(in crate::api) struct Looks(Mutex<Known>);

impl Looks {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a request stands, or stood a moment ago.
    ///
    /// # Errors
    /// Those of records.
    pub(in crate::api) async fn at(
        &self,
        ledger: &dyn Ledger,
        request: &RequestId,
    ) -> Result<Option<RequestView>, Fault> {
        if let Some((_, view)) = self.known().get(request).filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(view.clone());
        }
        let at = Instant::now();
        let view = ledger.view(request).await?;
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        known.insert(request.clone(), (at, view.clone()));
        Ok(view)
    }
}
