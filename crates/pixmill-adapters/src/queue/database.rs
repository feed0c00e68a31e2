//! Queue `database`: a window in memory over what records hold.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, JobId};
use pixmill_engine::model::image::Candidate;
use pixmill_engine::port::queue::{Delivered, Job, Queue};

/// Jobs in a window unless said otherwise.
pub const WINDOW: usize = 10_000;

/// Jobs that are parked and worked on at most.
const HOLD: usize = 2_000;

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
    fn is_shared(&self) -> bool {
        false
    }

    fn hold(&self) -> usize {
        HOLD
    }

    async fn room(&self) -> Result<usize, Fault> {
        Ok(self.window.saturating_sub(self.state().waiting.len()))
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        let mut state = self.state();
        let before = state.waiting.len();
        for job in jobs {
            if state.known.insert(job.image.clone()) {
                state.waiting.push_back(job);
            }
        }
        Ok(state.waiting.len() - before)
    }

    fn take(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        let most = most.min(state.waiting.len());
        state.waiting.drain(..most).map(job).collect()
    }

    async fn arrival(&self) {
        std::future::pending().await
    }

    fn finish(&self, job: &JobId, _delivered: Delivered) {
        self.state().known.remove(&ImageId::from(job.as_str()));
    }

    async fn close(&self) {
        self.state().waiting.clear();
    }
}

fn job(candidate: Candidate) -> Job {
    Job {
        id: candidate.image.as_str().into(),
        image: candidate.image.clone(),
        request: candidate.request.clone(),
        candidate: Some(candidate),
        retries: None,
    }
}
