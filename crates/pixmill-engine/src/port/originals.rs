//! The bytes of catalogues as they came, so that each can be given back with its outputs in place.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::time::Timestamp;

/// Keeps the bytes of catalogues beside their requests, in pieces, and deletes them with their requests.
#[async_trait]
pub trait Originals: Send + Sync {
    /// Keeps a piece of the catalogue that is being taken in, numbered from 0; durable once this returns. The intake counts
    /// as under way then.
    async fn keep(
        &self,
        request: &RequestId,
        piece: u32,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Fault>;

    /// A piece as it was kept; `None` after the last one, and where nothing was kept.
    async fn kept(&self, request: &RequestId, piece: u32) -> Result<Option<Vec<u8>>, Fault>;

    /// Of how many requests pieces are kept that are not there themselves.
    async fn unclaimed(&self) -> Result<u64, Fault>;
}
