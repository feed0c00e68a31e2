//! Recompress: from bytes to fewer bytes, under the memory budget, in the sandbox.

use std::panic::catch_unwind;
use std::sync::Arc;

use pixmill_codec::{Limits, Recipe, Recompressed};

use super::budget::Budget;
use super::fetch::Fetched;
use crate::code::Code;
use crate::fault::Fault;
use crate::port::sandbox::Sandbox;

/// The stage.
pub(super) struct Recompress {
    sandbox: Arc<dyn Sandbox>,
    budget: Arc<Budget>,
    limits: Limits,
}

impl Recompress {
    pub(super) fn new(sandbox: Arc<dyn Sandbox>, budget: Arc<Budget>, limits: Limits) -> Self {
        Recompress { sandbox, budget, limits }
    }

    /// Recompresses a fetched picture once there is memory for its pixels.
    ///
    /// # Errors
    /// `image.*`.
    pub(super) async fn recompress(&self, fetched: &Fetched, recipe: Recipe) -> Result<Recompressed, Fault> {
        let limits = self.limits;
        let bytes: &[u8] = &fetched.bytes;
        let probed = catch_unwind(|| pixmill_codec::probe(bytes, &recipe, &limits));
        let probe = probed.map_err(|_| crashed())??;
        let _pixels = self.budget.decoded(probe.memory_bytes).await;
        self.sandbox.recompress(fetched.bytes.clone(), recipe, limits).await
    }
}

fn crashed() -> Fault {
    Fault::permanent(Code::ImageCrashed, "the decoder crashed on the picture's header")
}
