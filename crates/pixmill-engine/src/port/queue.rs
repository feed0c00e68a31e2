//! Delivers image ids to workers; holds nothing that records can't rebuild.

use async_trait::async_trait;

use crate::checkup::Finding;
use crate::fault::Fault;
use crate::model::image::Candidate;
use crate::model::time::Timestamp;

/// What became of a delivered job, as far as the queue need know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// Its image ended.
    Ended,
    /// Its image is to be tried again at this time; records will feed it again.
    Later(Timestamp),
    /// It was not started; records will feed it again.
    Returned,
}

/// A small window of images that may be claimed.
#[async_trait]
pub trait Queue: Send + Sync {
    /// How many more jobs the window takes.
    async fn room(&self) -> Result<usize, Fault>;

    /// Adds jobs in order; one that is in the window or delivered already is passed over.
    async fn add(&self, jobs: Vec<Candidate>) -> Result<(), Fault>;

    /// Delivers up to `most` jobs in order, none when the window is empty.
    async fn take(&self, most: usize) -> Result<Vec<Candidate>, Fault>;

    /// Says what became of a delivered job.
    async fn finish(&self, job: &Candidate, delivered: Delivered) -> Result<(), Fault>;

    /// How it is, for whoever set it up. Leaves nothing behind.
    async fn look(&self, _now: Timestamp) -> Vec<Finding> {
        Vec::new()
    }
}
