//! A queue in memory: a window of one process, or one that all share and that delivers jobs twice or loses them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::JobId;
use pixmill_engine::model::image::Candidate;
use pixmill_engine::port::queue::{Delivered, Job, Queue};
use tokio::sync::Notify;

use super::world::Here;

/// Jobs in a window.
const WINDOW: usize = 40;

/// How long whoever took a job from a shared window has it, unless it is heard of.
const LOCKED: Duration = Duration::from_secs(12);

/// Jobs that wait, and those that were delivered.
#[derive(Default)]
pub(super) struct Window {
    waiting: VecDeque<(Candidate, bool)>,
    taken: Vec<Taken>,
    arrived: Arc<Notify>,
}

struct Taken {
    job: Candidate,
    by: Arc<str>,
    at: Duration,
}

impl Window {
    fn holds(&self, job: &Candidate) -> bool {
        self.waiting.iter().any(|(waiting, _)| waiting.image == job.image)
            || self.taken.iter().any(|taken| taken.job.image == job.image)
    }

    /// What was taken by those that are not heard of any more waits again.
    pub(super) fn give_up(&mut self, now: Duration, stands: impl Fn(&str) -> bool) {
        let (lost, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.taken)
            .into_iter()
            .partition(|taken| stands(&taken.by) && now > taken.at + LOCKED);
        self.taken = held;
        self.waiting.extend(lost.into_iter().map(|taken| (taken.job, true)));
    }
}

pub(super) enum WindowOf {
    /// This process alone.
    One(Mutex<Window>),
    /// All of them.
    All,
}

/// The queue, as a process uses it.
pub(super) struct SimulatedQueue {
    pub(super) here: Here,
    pub(super) window: WindowOf,
}

impl SimulatedQueue {
    fn window(&self) -> MutexGuard<'_, Window> {
        let window = match &self.window {
            WindowOf::One(window) => window,
            WindowOf::All => &self.here.world.window,
        };
        window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Queue for SimulatedQueue {
    fn is_shared(&self) -> bool {
        matches!(self.window, WindowOf::All)
    }

    fn hold(&self) -> usize {
        20
    }

    async fn room(&self) -> Result<usize, Fault> {
        Ok(WINDOW.saturating_sub(self.window().waiting.len()))
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        let mut new = 0;
        for job in jobs {
            let (lost, twice) = match self.window {
                WindowOf::One(_) => (false, false),
                WindowOf::All => self.here.chance(|state, _| {
                    (state.chaos && state.chance.comes(30), state.chaos && state.chance.comes(50))
                }),
            };
            let mut window = self.window();
            if window.holds(&job) {
                continue;
            }
            new += 1;
            if lost {
                self.here.say(|| format!("the queue loses {}", job.image));
                continue;
            }
            if twice {
                window.waiting.push_back((job.clone(), true));
            }
            window.waiting.push_back((job, false));
        }
        if new > 0 {
            self.window().arrived.notify_waiters();
        }
        Ok(new)
    }

    fn take(&self, most: usize) -> Vec<Job> {
        let now = self.here.clock.real();
        let mut window = self.window();
        let many = most.min(window.waiting.len());
        let jobs: Vec<_> = window.waiting.drain(..many).collect();
        let mut delivered = Vec::new();
        for (job, again) in jobs {
            delivered.push(Job {
                id: job.image.as_str().into(),
                image: job.image.clone(),
                request: job.request.clone(),
                candidate: (!again).then(|| job.clone()),
                retries: None,
                added: None,
            });
            window.taken.push(Taken { job, by: self.here.name.clone(), at: now });
        }
        delivered
    }

    async fn arrival(&self) {
        if !self.is_shared() {
            return std::future::pending().await;
        }
        let arrived = self.window().arrived.clone();
        arrived.notified().await;
    }

    fn finish(&self, job: &JobId, _delivered: Delivered) {
        let mut window = self.window();
        let name = &self.here.name;
        let is_it = |taken: &Taken| taken.job.image.as_str() == job.as_str() && taken.by == *name;
        if let Some(place) = window.taken.iter().position(is_it) {
            window.taken.remove(place);
        }
    }

    async fn close(&self) {
        if let WindowOf::One(window) = &self.window {
            window.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
        }
    }
}
