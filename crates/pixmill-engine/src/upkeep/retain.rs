//! How long what has ended is kept: requests older than that are forgotten, as if each had been deleted by hand, and so
//! are tries to tell webhooks.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::Fault;
use crate::lead::Leading;
use crate::model::id::RequestId;
use crate::model::image::ImageStatus;
use crate::pipeline::save::folder;
use crate::port::clock::{Clock, Instant};
use crate::port::records::{Deletion, Directory, Ledger};
use crate::port::storage::Storage;

/// How often a look is taken, unless what is kept is kept for less.
const EVERY: Duration = Duration::from_secs(60);

/// Requests that are retired at a time.
const AT_A_TIME: usize = 100;

/// Images whose outputs are removed at a time.
const OUTPUTS: usize = 1_000;

/// How often a process looks whether it is the one that forgets.
const LOOK: Duration = Duration::from_secs(1);

/// How often is looked for deletions that somebody began and did not end.
const DELETIONS_EVERY: Duration = Duration::from_secs(60);

/// How long tries to tell webhooks are remembered, and how often old ones are forgotten.
const TRIES_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
const TRIES_EVERY: Duration = Duration::from_secs(3600);

/// Forgets what is old: in the process that does upkeep, so in one at a time.
#[derive(Clone)]
pub struct Retain {
    /// The only truth.
    pub ledger: Arc<dyn Ledger>,
    /// Where outputs are.
    pub storage: Arc<dyn Storage>,
    /// Whether outputs go with a request that is old.
    pub outputs: bool,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// How long requests are kept after their end; none where they are kept for good.
    pub keep: Option<Duration>,
}

impl Retain {
    /// Looks again and again until stopped, while upkeep is this process's to do. A round that fails is tried again, and told
    /// when the one before did not.
    pub async fn tend(&self, leading: &Leading, stop: CancellationToken) {
        let (mut told, mut requests_at, mut tries_at) = (false, Instant::default(), Instant::default());
        let mut deletions_at = Instant::default();
        while !stop.is_cancelled() {
            let now = self.clock.instant();
            let mut looked = Ok(());
            if leading.holds(now) && now >= tries_at {
                tries_at = now + TRIES_EVERY;
                looked = self.ledger.forget_deliveries(self.clock.wall() - TRIES_KEPT).await.map(|_| ());
            }
            if leading.holds(now) && now >= deletions_at {
                deletions_at = now + DELETIONS_EVERY;
                let ended = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    ended = self.end_deletions(leading) => ended,
                };
                looked = looked.and(ended);
            }
            if let Some(keep) = self.keep.filter(|_| leading.holds(now) && now >= requests_at) {
                requests_at = now + keep.min(EVERY);
                // What breaks off is found retired the next time.
                let forgotten = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    forgotten = self.forget(keep, leading) => forgotten,
                };
                looked = looked.and(forgotten);
            }
            if let (Err(fault), false) = (&looked, told) {
                tracing::warn!(%fault, "what is old can't be deleted, trying again");
            }
            told = looked.is_err();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(LOOK) => {}
            }
        }
    }

    /// Forgets all requests that are due. One that can't be deleted holds up none beside it.
    async fn forget(&self, keep: Duration, leading: &Leading) -> Result<(), Fault> {
        let before = self.clock.wall() - keep;
        loop {
            let retired = self.ledger.retire(before, AT_A_TIME).await?;
            let mut last = Ok(());
            for request in &retired {
                if !leading.holds(self.clock.instant()) {
                    return last;
                }
                match self.delete(request).await {
                    Ok(()) => tracing::info!(%request, "forgotten, as it ended long ago"),
                    fault => last = fault,
                }
            }
            last?;
            if retired.len() < AT_A_TIME {
                return Ok(());
            }
        }
    }

    /// Ends deletions that were begun. One that can't be ended holds up none beside it.
    async fn end_deletions(&self, leading: &Leading) -> Result<(), Fault> {
        let mut last = Ok(());
        for deletion in self.ledger.deletions(AT_A_TIME).await? {
            if !leading.holds(self.clock.instant()) {
                break;
            }
            match end_deletion(&*self.ledger, &*self.storage, &deletion).await {
                Ok(_) => tracing::info!(request = %deletion.request, "deleted, as was asked for before"),
                Err(fault) => last = Err(fault),
            }
        }
        last
    }

    async fn delete(&self, request: &RequestId) -> Result<(), Fault> {
        let deletion = Deletion { request: request.clone(), outputs: self.outputs };
        end_deletion(&*self.ledger, &*self.storage, &deletion).await.map(|_| ())
    }
}

/// Removes a request that nothing opens any more, and its outputs where they go with it. Nothing is lost where it breaks
/// off: the mark that it is being deleted goes last. False where it is open after all.
///
/// # Errors
/// Those of records and of storage.
pub async fn end_deletion(
    ledger: &dyn Ledger,
    storage: &dyn Storage,
    Deletion { request, outputs }: &Deletion,
) -> Result<bool, Fault> {
    if *outputs {
        remove_outputs(ledger, storage, request).await?;
    }
    let deleted = match ledger.delete(request).await {
        // Another process, or a client, was faster.
        Err(fault) if fault.code == Code::RequestNotFound => Ok(true),
        deleted => deleted,
    };
    if *outputs && matches!(deleted, Ok(true)) {
        // A worker may have stored one for an image that was cancelled in its hands, while the request was still there.
        clear(storage, request).await?;
    }
    deleted
}

/// Removes a request's outputs, before the request itself: so a crash leaves no picture that nobody knows of.
async fn remove_outputs(
    directory: &dyn Directory,
    storage: &dyn Storage,
    request: &RequestId,
) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let completed = Some(ImageStatus::Completed);
        let page = directory.images(request, completed, after.as_ref(), OUTPUTS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.image.clone());
        let outputs = page.into_iter().filter_map(|view| view.slot.output);
        let locations: Vec<_> = outputs.map(|output| output.location).collect();
        storage.remove(&locations).await?;
    }
    // Those of images that were cancelled in a worker's hands are named nowhere.
    clear(storage, request).await
}

/// Removes what is in a request's folder. Folders of ids that pixmill did not make may be others'.
async fn clear(storage: &dyn Storage, request: &RequestId) -> Result<(), Fault> {
    match uuid::Uuid::try_parse(request.as_str()) {
        Ok(_) => storage.clear(&folder(request)).await,
        Err(_) => Ok(()),
    }
}
