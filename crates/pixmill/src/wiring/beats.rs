//! What a process counts of its own work, for its log and for its presence.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::pipeline::{Ended, Learnt, Look, OriginAsked, Told, Watcher};

use super::Strangers;
use crate::figures::Figures;
use crate::paces::Paces;
use crate::tally::Day;

/// How often a worker says in its log that it is alive, and what it did.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Over which time the rate of images is told.
const LATELY: Duration = Duration::from_secs(30);

/// Counts what ended, and keeps how all stood last.
pub(super) struct Beats {
    completed: AtomicU64,
    failed: AtomicU64,
    paces: Arc<Paces>,
    strangers: Arc<Strangers>,
    figures: Arc<Figures>,
    look: Mutex<Option<(Instant, Look)>>,
    /// How many had ended, when.
    ended: Mutex<VecDeque<(Instant, u64)>>,
    day: Mutex<Day>,
}

fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Beats {
    pub(super) fn new(paces: Arc<Paces>, strangers: Arc<Strangers>, figures: Arc<Figures>) -> Self {
        Beats {
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            paces,
            strangers,
            figures,
            look: Mutex::default(),
            ended: Mutex::default(),
            day: Mutex::default(),
        }
    }

    /// Images that completed and that failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.completed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// How all stood last; nothing where it is out of date, for the stages don't run.
    pub(super) fn look(&self) -> Look {
        let look = lock(&self.look).clone();
        look.filter(|(at, _)| at.elapsed() < LATELY).map(|(_, look)| look).unwrap_or_default()
    }

    /// Images a second lately, given that this is asked again and again.
    pub(super) fn per_second(&self) -> f64 {
        let (completed, failed) = self.counts();
        let (now, mut ended) = (Instant::now(), lock(&self.ended));
        while ended.front().is_some_and(|(at, _)| at.elapsed() > LATELY) && ended.len() > 1 {
            ended.pop_front();
        }
        ended.push_back((now, completed + failed));
        let (since, before) = ended.front().copied().unwrap_or((now, 0));
        let passed = now.duration_since(since).as_secs_f64();
        if passed > 0.0 { (completed + failed - before) as f64 / passed } else { 0.0 }
    }

    /// What was asked of origins today.
    pub(super) fn day(&self) -> MutexGuard<'_, Day> {
        lock(&self.day)
    }

    /// Says again and again that the process is alive, and how much it has ended.
    pub(super) async fn beat(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let (completed, failed) = self.counts();
            let left_alone: u64 = self.strangers.counts().iter().map(|left| left.jobs).sum();
            tracing::info!(completed, failed, left_alone, "alive");
        }
    }
}

impl Watcher for Beats {
    fn learnt(&self, learnt: Learnt) {
        tracing::debug!(
            origin = learnt.origin,
            per_second = learnt.per_second,
            refusals = learnt.refusals,
            "an origin asked for less"
        );
        self.paces.take(learnt);
    }

    fn asked(&self, asked: OriginAsked<'_>) {
        self.day().count(&asked);
        self.figures.asked(asked);
    }

    fn stands(&self, look: &dyn Fn() -> Look) {
        *lock(&self.look) = Some((Instant::now(), look()));
    }

    fn ended(&self, ended: Ended) {
        let counted = if ended.status == ImageStatus::Completed { &self.completed } else { &self.failed };
        counted.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            request = %ended.request,
            image = %ended.image,
            row = ended.row,
            position = ended.position,
            origin = ended.origin,
            status = ended.status.as_str(),
            code = ended.code.map(|code| code.as_str()),
            bytes_before = ended.bytes_before,
            bytes_after = ended.bytes_after,
            attempt = ended.attempt,
            "image ended"
        );
        self.figures.ended(ended);
    }

    fn entered(&self, stage: &'static str) {
        self.figures.entered(stage);
    }

    fn left(&self, stage: &'static str, took: Duration) {
        self.figures.left(stage, took);
    }

    fn origins_open(&self, origins: usize) {
        self.figures.origins_open(origins);
    }

    fn told(&self, told: Told) {
        self.figures.told(told);
    }

    fn works(&self, works: bool) {
        self.figures.works(works);
    }
}
