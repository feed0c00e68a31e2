//! How long what has ended is kept: requests older than that are forgotten, as if each had been deleted by hand.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::image::ImageStatus;
use crate::pipeline::save::folder;
use crate::port::clock::Clock;
use crate::port::records::{Directory, Ledger};
use crate::port::storage::Storage;
use crate::results::Stride;

/// How often a look is taken, unless what is kept is kept for less.
const EVERY: Duration = Duration::from_secs(60);

/// Requests that are retired at a time.
const AT_A_TIME: usize = 100;

/// Images whose outputs are removed at a time.
const OUTPUTS: usize = 1_000;

/// Forgets requests that ended long ago.
#[derive(Clone)]
pub struct Retain {
    /// The only truth.
    pub ledger: Arc<dyn Ledger>,
    /// Where outputs go with their request; none where they stay.
    pub outputs: Option<Arc<dyn Storage>>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// How long requests are kept after their end.
    pub keep: Duration,
}

impl Retain {
    /// Looks again and again until stopped. A round that fails is tried again, and told when the one before did not.
    pub async fn tend(&self, stop: CancellationToken) {
        let mut told = false;
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                // What breaks off is found retired the next time.
                looked = self.forget() => looked,
            };
            if let (Err(fault), false) = (&looked, told) {
                tracing::warn!(%fault, "a request that is to be forgotten can't be deleted, trying again");
            }
            told = looked.is_err();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(self.keep.min(EVERY)) => {}
            }
        }
    }

    /// Forgets all that is due. One that can't be deleted holds up none beside it.
    async fn forget(&self) -> Result<(), Fault> {
        let before = self.clock.wall() - self.keep;
        loop {
            let retired = self.ledger.retire(before, AT_A_TIME).await?;
            let mut last = Ok(());
            for request in &retired {
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

    async fn delete(&self, request: &RequestId) -> Result<(), Fault> {
        if let Some(outputs) = &self.outputs {
            remove_outputs(&*self.ledger, &**outputs, request).await?;
        }
        match self.ledger.delete(request).await {
            // Another process, or a client, was faster.
            Err(fault) if fault.code == Code::RequestNotFound => Ok(()),
            deleted => deleted.map(|_| ()),
        }
    }
}

/// Removes a request's outputs, before the request itself: so a crash leaves a request that can be deleted again, and no
/// picture that nobody knows of.
///
/// # Errors
/// Those of records and of storage.
pub async fn remove_outputs(
    directory: &dyn Directory,
    storage: &dyn Storage,
    request: &RequestId,
) -> Result<(), Fault> {
    let (mut after, mut stride) = (None, Stride::new(OUTPUTS));
    loop {
        let completed = Some(ImageStatus::Completed);
        let page = directory.images(request, completed, after.as_ref(), stride.next()).await?;
        stride.read(page.len(), page.iter().map(|view| view.input.len()).sum());
        let Some(last) = page.last() else { break };
        after = Some(last.image.clone());
        let outputs = page.into_iter().filter_map(|view| view.slot.output);
        let locations: Vec<_> = outputs.map(|output| output.location).collect();
        storage.remove(&locations).await?;
    }
    // Those of images that were cancelled in a worker's hands are named nowhere. Folders of ids that pixmill did not make
    // may be others'.
    match uuid::Uuid::try_parse(request.as_str()) {
        Ok(_) => storage.clear(&folder(request)).await,
        Err(_) => Ok(()),
    }
}
