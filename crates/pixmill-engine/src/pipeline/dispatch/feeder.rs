//! The task that feeds: it keeps the queue's window topped up, whatever else takes long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::outage::Outage;
use crate::fault::Fault;
use crate::port::clock::{Clock, Instant};
use crate::port::queue::Delivered;

/// What dispatch and whoever feeds tell each other.
#[derive(Debug, Default)]
pub(super) struct Feeding {
    exhausted: AtomicBool,
    /// When the first of what was put back may be due.
    comes_back: Mutex<Option<Instant>>,
    /// There may be room in the window, or something to feed.
    wanted: Notify,
    fed: Notify,
}

impl Feeding {
    /// Whether there is no more to read, as far as is known.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Acquire)
    }

    /// Jobs were taken out of the window.
    pub(super) fn taken(&self) {
        self.wanted.notify_one();
    }

    /// A job is finished; its image may be due again at a time.
    pub(super) fn finished(&self, delivered: &Delivered, now: Instant) {
        let at = match delivered {
            Delivered::Retried { wait, .. } | Delivered::PutOff(wait) => now + *wait,
            Delivered::Returned => now,
            Delivered::Completed(_) | Delivered::Failed(_) => return,
        };
        let mut comes_back = self.comes_back.lock().unwrap_or_else(PoisonError::into_inner);
        *comes_back = Some(comes_back.map_or(at, |first| first.min(at)));
        self.wanted.notify_one();
    }

    /// Returns once the window may have more.
    pub(super) async fn fed(&self) {
        self.fed.notified().await;
    }

    fn take_comes_back(&self) -> Option<Instant> {
        self.comes_back.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Feeds until told to stop, then lets another process do so. Looks at least so often whether there is something to feed.
///
/// # Errors
/// Faults of records and queue that waiting does not mend.
pub(super) async fn tend(
    mut feed: Feed,
    feeding: Arc<Feeding>,
    clock: Arc<dyn Clock>,
    at_least_every: Duration,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let outage = Outage::none(None);
    while !stop.is_cancelled() {
        let now = clock.instant();
        if let Some(at) = feeding.take_comes_back() {
            feed.comes_back(at);
        }
        if outage.may_try(now) {
            let fed = feed.top_up(now).await;
            outage.tried(fed, now)?;
            feeding.exhausted.store(feed.is_exhausted(), Ordering::Release);
            feeding.fed.notify_one();
        }
        let next = feed.next_due(now).into_iter().chain(outage.next_try()).min();
        let pause = next.map_or(at_least_every, |at| at.since(now).min(at_least_every));
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = feeding.wanted.notified(), if outage.may_try(now) => {}
            () = clock.sleep(pause.max(Duration::from_millis(1))) => {}
        }
    }
    feed.close().await
}
