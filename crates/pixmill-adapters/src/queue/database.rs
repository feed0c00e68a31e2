//! Queue `database`: a window in memory over what records hold.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::Candidate;
use pixmill_engine::port::queue::{Delivered, Queue};

/// Jobs in a window unless said otherwise.
pub const WINDOW: usize = 10_000;

/// A bounded window of jobs. Records rebuild it, so nothing is lost with it.
#[derive(Debug)]
pub struct DatabaseQueue {
    window: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Candidate>,
    /// In the window, or delivered and not finished.
    known: HashSet<ImageId>,
}

impl DatabaseQueue {
    /// An empty window of so many jobs.
    pub fn new(window: usize) -> Self {
        DatabaseQueue { window, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for DatabaseQueue {
    async fn room(&self) -> Result<usize, Fault> {
        Ok(self.window.saturating_sub(self.state().waiting.len()))
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<(), Fault> {
        let mut state = self.state();
        for job in jobs {
            if state.known.insert(job.image.clone()) {
                state.waiting.push_back(job);
            }
        }
        Ok(())
    }

    async fn take(&self, most: usize) -> Result<Vec<Candidate>, Fault> {
        let mut state = self.state();
        let most = most.min(state.waiting.len());
        Ok(state.waiting.drain(..most).collect())
    }

    async fn finish(&self, job: &Candidate, _delivered: Delivered) -> Result<(), Fault> {
        self.state().known.remove(&job.image);
        Ok(())
    }
}
