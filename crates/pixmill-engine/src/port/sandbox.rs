//! Where pictures are recompressed, so that a panic or a runaway ends only its image.

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_codec::{Limits, Recipe, Recompressed};

use crate::fault::Fault;

/// Runs the codec, many pictures at a time, on threads or processes of its own.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// How many pictures run at the same time.
    fn width(&self) -> usize;

    /// Recompresses one picture.
    ///
    /// # Errors
    /// The codec's refusals, `image.crashed` when it panicked, `image.too_slow` when it exceeded its time.
    async fn recompress(&self, source: Bytes, recipe: Recipe, limits: Limits) -> Result<Recompressed, Fault>;
}
