//! A queue in memory: a window of one process, or one that all share and that delivers jobs twice or loses them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::JobId;
use pixmill_engine::model::image::{Candidate, ImageStatus};
use pixmill_engine::port::diagnose::Diagnose;
use pixmill_engine::port::queue::{Delivered, Job, Queue};

use super::window::{Taken, Waiting, Window};
use super::world::Here;
use crate::memory::lock;

/// Jobs in a window.
const WINDOW: usize = 40;

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

impl SimulatedQueue {
    /// A job that ends well says that an output is there: records must say so, too.
    fn told(&self, job: &JobId, delivered: &Delivered) {
        let Delivered::Completed(output) = delivered else { return };
        let taken =
            self.window().taken.iter().find(|taken| taken.job.id == *job).map(|taken| taken.job.clone());
        let Some(taken) = taken else { return };
        let status = lock(&self.here.world.store).status_of(&taken.image);
        if status.is_some_and(|status| status != ImageStatus::Completed) {
            let location = &output.location;
            self.here
                .world
                .break_off(format!("job {job} is told of {location}, and its image is {status:?}"));
        }
    }
}

impl Diagnose for SimulatedQueue {}

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
                window.waiting.push_back(Waiting::fed(job.clone(), true));
            }
            window.waiting.push_back(Waiting::fed(job, false));
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
        for job in jobs {
            delivered.push(Job {
                id: job.id.clone(),
                image: job.image.clone(),
                request: job.request.clone(),
                candidate: job.candidate.clone(),
                retries: None,
                added: job.added,
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

    fn finish(&self, job: &JobId, delivered: Delivered) {
        self.told(job, &delivered);
        let now = self.here.clock.real();
        let mut window = self.window();
        let name = &self.here.name;
        let is_it = |taken: &Taken| taken.job.id == *job && taken.by == *name;
        let Some(place) = window.taken.iter().position(is_it) else { return };
        let taken = window.taken.remove(place);
        let wait = match delivered {
            Delivered::Retried { wait, .. } | Delivered::PutOff(wait) => wait,
            Delivered::Returned => Duration::ZERO,
            Delivered::Completed(_) | Delivered::Failed(_) => return,
        };
        // Nobody feeds what another program added.
        if taken.job.added.is_some() {
            window.delayed.push((now + wait, taken.job));
        }
    }

    async fn close(&self) {
        if let WindowOf::One(window) = &self.window {
            window.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
        }
    }
}
