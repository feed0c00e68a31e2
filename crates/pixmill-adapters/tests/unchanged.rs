//! A sandbox that leaves pictures as they are, where the pipeline is tested and not the codec.

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_codec::{Limits, OutputFormat, Recipe, Recompressed};
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::{Memory, Sandbox};

/// Stands in for the codec, in so many slots.
pub(crate) struct Unchanged(pub(crate) usize);

#[async_trait]
impl Sandbox for Unchanged {
    fn width(&self) -> usize {
        self.0
    }

    async fn recompress(
        &self,
        source: Bytes,
        _: Recipe,
        _: Limits,
        _: &dyn Memory,
    ) -> Result<Recompressed, Fault> {
        let (bytes, format) = (source.to_vec(), OutputFormat::Jpeg);
        Ok(Recompressed { bytes, format, width: 1, height: 1, frames: 1, kept_source: true })
    }

    async fn judge(&self, _: Bytes, _: Bytes, _: Recipe, _: Limits, _: &dyn Memory) -> Result<f64, Fault> {
        Ok(100.0)
    }
}
