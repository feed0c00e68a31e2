//! Jobs that this process holds: taken from Redis, and not finished.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pixmill_engine::model::id::JobId;
use pixmill_engine::port::queue::{Delivered, Job};
use tokio::sync::{Notify, oneshot};

/// Where the worker's processor hands jobs over, and learns what became of them.
#[derive(Debug, Default)]
pub(super) struct Hands {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Not taken yet.
    waiting: VecDeque<Job>,
    /// Not finished yet, taken or not.
    open: HashMap<JobId, oneshot::Sender<Delivered>>,
    closed: bool,
}

impl Hands {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job over and returns what became of it; `None` when it was handed over once more in the meantime, since
    /// its lock was lost.
    pub(super) async fn deliver(&self, job: Job) -> Option<Delivered> {
        let finished = {
            let mut state = self.state();
            if state.closed {
                return Some(Delivered::Returned);
            }
            let (finish, finished) = oneshot::channel();
            state.open.insert(job.id.clone(), finish);
            state.waiting.push_back(job);
            finished
        };
        self.arrived.notify_one();
        finished.await.ok()
    }

    /// Jobs in the order in which they came.
    pub(super) fn take(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        let most = most.min(state.waiting.len());
        state.waiting.drain(..most).collect()
    }

    /// Returns once a job waits to be taken.
    pub(super) async fn arrival(&self) {
        while self.state().waiting.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Passes on what became of a job.
    pub(super) fn finish(&self, job: &JobId, delivered: Delivered) {
        if let Some(finish) = self.state().open.remove(job) {
            // Whoever waits for it is gone only when the process ends.
            let _ = finish.send(delivered);
        }
    }

    /// Hands back what was not taken, and whatever comes from now on.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        for job in waiting {
            self.finish(&job.id, Delivered::Returned);
        }
    }

    /// Whether every job has been finished.
    pub(super) fn is_empty(&self) -> bool {
        self.state().open.is_empty()
    }
}
