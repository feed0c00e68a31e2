//! Queue `database`: a window in memory over what records hold.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::checkup::Diagnose;
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
    lines: HashMap<Arc<str>, Line>,
    /// Tenants of whom something waits, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    waiting: usize,
    waiting_bytes: usize,
    /// In the window, or delivered and not finished; whose.
    known: HashMap<ImageId, Arc<str>>,
    /// How many are delivered and not finished, by tenant.
    in_hand: HashMap<Arc<str>, usize>,
}

/// What waits of a tenant.
#[derive(Debug, Default)]
struct Line {
    waiting: usize,
    /// By request: requests take turns too, so that one with many images holds no other up.
    requests: HashMap<RequestId, VecDeque<Candidate>>,
    turns: VecDeque<RequestId>,
}

impl Line {
    fn add(&mut self, job: Candidate) {
        self.waiting += 1;
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
        self.waiting -= 1;
        if of_it.is_empty() {
            self.requests.remove(&request);
        } else {
            self.turns.push_back(request);
        }
        Some(next)
    }
}

impl State {
    /// Adds a job unless it is known.
    fn add(&mut self, job: Candidate) {
        if self.known.contains_key(&job.image) {
            return;
        }
        let tenant: Arc<str> = match self.lines.get_key_value(job.tenant.as_str()) {
            Some((tenant, _)) => tenant.clone(),
            None => job.tenant.as_str().into(),
        };
        self.known.insert(job.image.clone(), tenant.clone());
        self.waiting += 1;
        self.waiting_bytes += job.bytes();
        let line = self.lines.entry(tenant.clone()).or_default();
        if line.waiting == 0 {
            self.turns.push_back(tenant);
        }
        line.add(job);
    }

    /// The next one of the tenant whose turn it is, of those who may have one.
    fn next(&mut self, may: impl Fn(usize) -> bool) -> Option<Candidate> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let in_hand = self.in_hand.get(&tenant).copied().unwrap_or_default();
            if !may(in_hand) {
                self.turns.push_back(tenant);
                continue;
            }
            let line = self.lines.get_mut(&tenant)?;
            let next = line.next()?;
            self.waiting -= 1;
            self.waiting_bytes -= next.bytes();
            if line.waiting == 0 {
                self.lines.remove(&tenant);
            } else {
                self.turns.push_back(tenant.clone());
            }
            self.in_hand.insert(tenant, in_hand + 1);
            return Some(next);
        }
        None
    }

    fn finish(&mut self, image: &ImageId) {
        let Some(tenant) = self.known.remove(image) else { return };
        if let Some(in_hand) = self.in_hand.get_mut(&tenant) {
            *in_hand -= 1;
            if *in_hand == 0 {
                self.in_hand.remove(&tenant);
            }
        }
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

/// It is records, which are asked themselves.
impl Diagnose for DatabaseQueue {}

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
        jobs.into_iter().for_each(|job| state.add(job));
        Ok(state.waiting - before)
    }

    fn take(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        std::iter::from_fn(|| state.next(|_| true)).take(most).map(job).collect()
    }

    fn waiting_of(&self, tenant: &str) -> Option<usize> {
        Some(self.state().lines.get(tenant).map_or(0, |line| line.waiting))
    }

    fn take_of_others(&self, most: usize) -> Vec<Job> {
        let mut state = self.state();
        std::iter::from_fn(|| state.next(|in_hand| in_hand < most)).map(job).collect()
    }

    async fn arrival(&self) {
        std::future::pending().await
    }

    fn finish(&self, job: &JobId, _delivered: Delivered) {
        self.state().finish(&ImageId::from(job.as_str()));
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
    async fn a_tenant_that_has_all_in_hand_leaves_some_to_others() {
        let queue = DatabaseQueue::new(100);
        queue.add((0..90).map(|number| candidate("large", number)).collect()).await.unwrap();
        let taken = queue.take(50);
        assert_eq!(queue.take_of_others(8), [], "it has more than that");
        let other = |number| Candidate { tenant: "other".into(), ..candidate("small", number) };
        queue.add((0..20).map(other).collect()).await.unwrap();
        assert_eq!((queue.waiting_of("other"), queue.waiting_of("none")), (Some(20), Some(0)));
        let of_other = queue.take_of_others(8);
        assert_eq!(of_other.len(), 8);
        assert!(of_other.iter().all(|job| job.image.as_str().starts_with("small")));
        queue.finish(&of_other[0].id, Delivered::Returned);
        assert_eq!(queue.take_of_others(8).len(), 1);
        taken.iter().for_each(|job| queue.finish(&job.id, Delivered::Returned));
        assert!(queue.take_of_others(8).len() == 8, "it has none in hand any more");
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
