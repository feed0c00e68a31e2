//! Queue `database`: a window in memory over what records hold.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, JobId, RequestId};
use pixmill_engine::model::image::Candidate;
use pixmill_engine::port::queue::{Delivered, Job, Queue};
use pixmill_engine::port::records::page::Bytes;

/// Jobs in a window unless said otherwise.
pub const WINDOW: usize = 10_000;

/// Bytes of addresses with which a window takes no more, however few jobs it has: `data:` addresses are large.
const WINDOW_BYTES: usize = 16 << 20;

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
    /// What waits, by tenant: tenants take turns, so that one with a window full of requests holds no other up.
    lines: HashMap<String, Line>,
    /// Tenants of whom something waits, in the order of their turns.
    turns: VecDeque<String>,
    waiting: usize,
    waiting_bytes: usize,
    /// In the window, or delivered and not finished.
    known: HashSet<ImageId>,
}

/// What waits of a tenant.
#[derive(Debug, Default)]
struct Line {
    /// By request: requests take turns too, so that one with many images holds no other up.
    requests: HashMap<RequestId, VecDeque<Candidate>>,
    turns: VecDeque<RequestId>,
}

impl Line {
    fn add(&mut self, job: Candidate) {
        let of_it = self.requests.entry(job.request.clone()).or_default();
        if of_it.is_empty() {
            self.turns.push_back(job.request.clone());
        }
        of_it.push_back(job);
    }

    /// The next one of the request whose turn it is.
    fn next(&mut self) -> Option<Candidate> {
        let request = self.turns.pop_front()?;
        let of_it = self.requests.get_mut(&request)?;
        let next = of_it.pop_front()?;
        if of_it.is_empty() {
            self.requests.remove(&request);
        } else {
            self.turns.push_back(request);
        }
        Some(next)
    }
}

impl State {
    fn add(&mut self, job: Candidate) {
        self.waiting += 1;
        self.waiting_bytes += job.bytes();
        let line = self.lines.entry(job.tenant.clone()).or_default();
        if line.turns.is_empty() {
            self.turns.push_back(job.tenant.clone());
        }
        line.add(job);
    }

    /// The next one of the tenant whose turn it is.
    fn next(&mut self) -> Option<Candidate> {
        let tenant = self.turns.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let next = line.next()?;
        self.waiting -= 1;
        self.waiting_bytes -= next.bytes();
        if line.turns.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        Some(next)
    }
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
        let state = self.state();
        let room = self.window.saturating_sub(state.waiting);
        Ok(if state.waiting_bytes < WINDOW_BYTES { room } else { 0 })
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        let mut state = self.state();
        let before = state.waiting;
        for job in jobs {
            if state.known.insert(job.image.clone()) {
                state.add(job);
            }
        }
        Ok(state.waiting - before)
    }

    fn take(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        std::iter::from_fn(|| state.next()).take(most).map(job).collect()
    }

    async fn arrival(&self) {
        std::future::pending().await
    }

    fn finish(&self, job: &JobId, _delivered: Delivered) {
        self.state().known.remove(&ImageId::from(job.as_str()));
    }

    async fn close(&self) {
        let mut state = self.state();
        (state.lines, state.turns, state.waiting, state.waiting_bytes) = Default::default();
    }
}

fn job(candidate: Candidate) -> Job {
    Job {
        id: candidate.image.as_str().into(),
        image: candidate.image.clone(),
        request: candidate.request.clone(),
        candidate: Some(candidate),
        retries: None,
        added: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(request: &str, number: usize) -> Candidate {
        Candidate {
            image: format!("{request}-{number}").into(),
            request: request.into(),
            input: "http://h/a.jpg".into(),
            round: 1,
            attempts: 0,
            tenant: String::new(),
        }
    }

    #[tokio::test]
    async fn a_request_with_a_full_window_holds_no_other_up() {
        let queue = DatabaseQueue::new(100);
        queue.add((0..90).map(|number| candidate("large", number)).collect()).await.unwrap();
        queue.add((0..2).map(|number| candidate("small", number)).collect()).await.unwrap();
        let taken: Vec<_> = queue.take(5).into_iter().map(|job| job.image.as_str().to_owned()).collect();
        assert_eq!(taken, ["large-0", "small-0", "large-1", "small-1", "large-2"]);
        assert_eq!(queue.room().await.unwrap(), 100 - 92 + 5);
        assert_eq!(queue.take(1_000).len(), 87);
    }

    #[tokio::test]
    async fn a_tenant_with_a_full_window_holds_no_other_up() {
        let queue = DatabaseQueue::new(100);
        queue.add((0..90).map(|number| candidate(&format!("of-many-{number}"), 0)).collect()).await.unwrap();
        let other = |number| Candidate { tenant: "other".into(), ..candidate("small", number) };
        queue.add((0..2).map(other).collect()).await.unwrap();
        let taken: Vec<_> = queue.take(5).into_iter().map(|job| job.image.as_str().to_owned()).collect();
        assert_eq!(taken, ["of-many-0-0", "small-0", "of-many-1-0", "small-1", "of-many-2-0"]);
        assert_eq!(queue.take(1_000).len(), 87);
    }

    #[tokio::test]
    async fn a_window_of_large_addresses_is_full_though_they_are_few() {
        let queue = DatabaseQueue::new(100);
        let large = |number| Candidate { input: "x".repeat(1 << 20), ..candidate("large", number) };
        queue.add((0..17).map(large).collect()).await.unwrap();
        assert_eq!(queue.room().await.unwrap(), 0);
        queue.take(10);
        assert_eq!(queue.room().await.unwrap(), 93);
    }
}
