//! Recompress: from bytes to fewer bytes, under the memory budget, in the sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pixmill_codec::{Limits, Recipe, Recompressed};

use super::budget::Budget;
use super::fair::Fair;
use super::fetch::Fetched;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::port::sandbox::Sandbox;

/// The stage.
pub(super) struct Recompress {
    sandbox: Arc<dyn Sandbox>,
    budget: Arc<Budget>,
    limits: Limits,
    waiting: AtomicUsize,
    turns: Fair,
}

impl Recompress {
    pub(super) fn new(sandbox: Arc<dyn Sandbox>, budget: Arc<Budget>, limits: Limits) -> Self {
        let turns = Fair::new(sandbox.width(), false);
        Recompress { sandbox, budget, limits, waiting: AtomicUsize::new(0), turns }
    }

    /// How many pictures wait for memory or a decoder, or are with one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Recompresses a request's fetched picture when it is its turn and there is memory for its pixels.
    ///
    /// # Errors
    /// `image.*`, `backend.unavailable`.
    pub(super) async fn recompress(
        &self,
        request: &RequestId,
        fetched: &Fetched,
        recipe: Recipe,
    ) -> Result<Recompressed, Fault> {
        let _waiting = Waiting::one(&self.waiting);
        let _turn = self.turns.take(request).await;
        self.sandbox.recompress(fetched.bytes.clone(), recipe, self.limits, &*self.budget).await
    }
}

/// Counts a picture for as long as it is held, also where the one who waited is stopped.
struct Waiting<'c>(&'c AtomicUsize);

impl<'c> Waiting<'c> {
    fn one(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
