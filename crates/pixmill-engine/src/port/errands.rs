//! Jobs that applications give in shapes of their own, which a table tells.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::model::time::Timestamp;

/// A job of an application's.
#[derive(Debug)]
pub struct Errand {
    /// Names the job, the same whenever it is delivered again.
    pub job: String,
    /// How often it ended before: another after a retry, the same after a crash.
    pub round: u64,
    /// When it was added.
    pub added: Timestamp,
    /// What it says.
    pub data: Value,
    /// Is told what became of it. One that is dropped gives the job back.
    pub done: oneshot::Sender<Done>,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// It returns this.
    Completed(Value),
    /// It failed for this reason.
    Failed(String),
    /// What it names is not there, so it is left to others; this is what it lacks.
    LeftAlone(String),
}

/// What was read of a queue, without taking anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and data of jobs, those that wait first.
    pub jobs: Vec<(String, Value)>,
    /// How many wait.
    pub waiting: u64,
    /// It has jobs and nothing that BullMQ writes beside them, so Bull (3, 4) made it.
    pub of_bull: bool,
}

/// Where such jobs come from.
#[async_trait]
pub trait Errands: Send + Sync {
    /// The next one, once there is one; none once closed.
    async fn next(&self) -> Option<Errand>;

    /// Takes no more, and returns once all that was taken has been shown, or the queue can't be reached.
    async fn close(&self);
}
