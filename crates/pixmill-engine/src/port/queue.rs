//! Delivers images to workers; holds nothing that records can't rebuild.

use std::time::Duration;

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::id::{ImageId, JobId, RequestId};
use crate::model::image::{Candidate, Failure, Output};
use crate::model::time::Timestamp;
use crate::port::diagnose::Diagnose;

/// A job as the queue delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in the queue. Two jobs may name the same image.
    pub id: JobId,
    /// Which image.
    pub image: ImageId,
    /// Of which request, as whoever added the job says.
    pub request: RequestId,
    /// What records said when it was fed. `None` where they must be asked before it may start: nobody of ours fed it, or
    /// it was delivered before.
    pub candidate: Option<Candidate>,
    /// What a producer other than pixmill wants done after a transient fault.
    pub retries: Option<Retries>,
    /// When a producer other than pixmill added it.
    pub added: Option<Timestamp>,
}

/// A producer's word on how its job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Most attempts.
    pub attempts: u32,
    /// How long is waited in between; `None` leaves it to pixmill.
    pub backoff: Option<Backoff>,
}

/// How long is waited before an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Always so long.
    Fixed(Duration),
    /// So long after the first attempt, twice as long after each one more.
    Exponential(Duration),
}

/// What became of a delivered job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// Its image is stored and recorded.
    Completed(Output),
    /// Its image failed for good, or can't be worked at all.
    Failed(Failure),
    /// A transient fault: its image is to be tried again.
    Retried {
        /// Not before so long.
        wait: Duration,
        /// What went wrong.
        fault: Fault,
    },
    /// It was not tried, and is not to be for so long.
    PutOff(Duration),
    /// It was not tried.
    Returned,
}

/// A small window of jobs over what records hold.
///
/// Faults are `backend.unavailable`, and transient where waiting may help.
#[async_trait]
pub trait Queue: Diagnose {
    /// Whether other processes feed the same window and take from it. Of those, one feeds at a time.
    fn is_shared(&self) -> bool;

    /// Most jobs that are delivered to this process and not finished.
    fn hold(&self) -> usize;

    /// How many more jobs the window takes. Cheap enough to be asked at any time: the answer may be a little old.
    async fn room(&self) -> Result<usize, Fault>;

    /// Adds jobs in order and says how many are new: what is in the window, or delivered and not finished, is passed
    /// over.
    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault>;

    /// Delivers up to `most` jobs in order, none when none is at hand. Of jobs that a shared queue hands out at the same
    /// moment, any may come first.
    fn take(&self, most: usize) -> Vec<Job>;

    /// Jobs of a tenant that wait in the window; `None` where it does not tell tenants apart.
    fn waiting_of(&self, _tenant: &str) -> Option<usize> {
        None
    }

    /// Delivers jobs of tenants of whom fewer than so many are delivered to this process and not finished, up to that: for
    /// when one has taken all that the process may hold. None where the window does not tell tenants apart.
    fn take_of_others(&self, _most: usize) -> Vec<Job> {
        Vec::new()
    }

    /// Returns once [`take`](Self::take) may have something to deliver that this process did not add.
    async fn arrival(&self);

    /// Says what became of a delivered job. The queue sees to it that it is shown, as far as it shows anything.
    fn finish(&self, job: &JobId, delivered: Delivered);

    /// Takes no more from the window, hands back what was not taken here, and returns once all that was has been
    /// finished and shown, or the queue can't be reached.
    async fn close(&self);
}
