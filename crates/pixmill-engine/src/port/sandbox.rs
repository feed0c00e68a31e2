//! Where pictures are recompressed, so that one that crashes, hangs or bloats ends only itself.

use std::any::Any;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_codec::{Limits, Recipe, Recompressed};

use crate::fault::Fault;

/// Runs the codec, many pictures at a time, in processes of its own.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// How many pictures run at the same time.
    fn width(&self) -> usize;

    /// Recompresses one picture, once `memory` has room for what its header says that it takes.
    ///
    /// # Errors
    /// The codec's refusals; `image.crashed` when it panicked, died or needed more memory than its header says, which is
    /// transient where something else ended its process each time; `image.too_slow` when it exceeded its time;
    /// `backend.unavailable` where no process can be started.
    async fn recompress(
        &self,
        source: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<Recompressed, Fault>;

    /// How alike a picture and what a recipe made of it are: the SSIMULACRA2 score.
    ///
    /// # Errors
    /// Those of recompressing; the codec's refusal where the two can't be compared.
    async fn judge(
        &self,
        source: Bytes,
        result: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<f64, Fault>;
}

/// What memory is charged to before it is taken.
#[async_trait]
pub trait Memory: Send + Sync {
    /// Waits until there is room for so many bytes, and holds it until the charge is dropped.
    async fn charge(&self, bytes: u64) -> Charge;
}

/// A part of some memory.
pub type Charge = Box<dyn Any + Send + Sync>;

/// Memory without a bound, for one picture that has the machine to itself.
#[derive(Debug, Clone, Copy)]
pub struct Unbounded;

#[async_trait]
impl Memory for Unbounded {
    async fn charge(&self, _: u64) -> Charge {
        Box::new(())
    }
}
