//! Jobs in a queue: those that wait, those that somebody has, and those of other programs that come back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::model::id::{ImageId, JobId, RequestId};
use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::time::Timestamp;
use tokio::sync::Notify;

/// How long whoever took a job from a shared window has it, unless it is heard of.
const LOCKED: Duration = Duration::from_secs(12);

/// Jobs that wait, and those that were delivered.
#[derive(Default)]
pub(super) struct Window {
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) taken: Vec<Taken>,
    /// Jobs of other programs that come back at a time.
    pub(super) delayed: Vec<(Duration, Waiting)>,
    pub(super) arrived: Arc<Notify>,
}

/// A job that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) id: JobId,
    pub(super) image: ImageId,
    pub(super) request: RequestId,
    /// What was known when it was fed, unless it is delivered again.
    pub(super) candidate: Option<Candidate>,
    /// When another program added it.
    pub(super) added: Option<Timestamp>,
}

impl Waiting {
    pub(super) fn fed(job: Candidate, again: bool) -> Self {
        Waiting {
            id: job.image.as_str().into(),
            image: job.image.clone(),
            request: job.request.clone(),
            candidate: (!again).then_some(job),
            added: None,
        }
    }

    fn again(self) -> Self {
        Waiting { candidate: None, ..self }
    }
}

/// A job that somebody has.
pub(super) struct Taken {
    pub(super) job: Waiting,
    pub(super) by: Arc<str>,
    pub(super) at: Duration,
}

impl Window {
    pub(super) fn holds(&self, job: &Candidate) -> bool {
        self.waiting.iter().any(|waiting| waiting.image == job.image)
            || self.taken.iter().any(|taken| taken.job.image == job.image)
    }

    /// Another program adds a job.
    pub(super) fn add_foreign(&mut self, job: Waiting) {
        self.waiting.push_back(job);
        self.arrived.notify_waiters();
    }

    /// A job of another program that has not come to its end.
    pub(super) fn foreign_left(&self) -> Option<&JobId> {
        let delayed = self.delayed.iter().map(|(_, job)| job);
        let all = self.waiting.iter().chain(self.taken.iter().map(|taken| &taken.job)).chain(delayed);
        all.filter(|job| job.added.is_some()).map(|job| &job.id).next()
    }

    /// What was put off comes back.
    pub(super) fn come_back(&mut self, now: Duration) {
        let (back, delayed): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.delayed).into_iter().partition(|(at, _)| *at <= now);
        self.delayed = delayed;
        if !back.is_empty() {
            self.waiting.extend(back.into_iter().map(|(_, job)| job.again()));
            self.arrived.notify_waiters();
        }
    }

    /// What was taken by those that are not heard of any more waits again.
    pub(super) fn give_up(&mut self, now: Duration, stands: impl Fn(&str) -> bool) {
        let (lost, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.taken)
            .into_iter()
            .partition(|taken| stands(&taken.by) && now > taken.at + LOCKED);
        self.taken = held;
        self.waiting.extend(lost.into_iter().map(|taken| taken.job.again()));
    }
}
