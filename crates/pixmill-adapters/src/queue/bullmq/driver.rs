//! A worker: looks at what waits, takes what fits, holds its locks, and finds what dead workers left behind.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::RedisError;
use tokio::sync::{Semaphore, watch};

use super::Settings;
use super::connect::Address;
use super::jobs::{Jobs, Taken, now};
use super::shape::{Waiting, data};
use crate::queue::strangers::Strangers;

/// How soon is looked again: after something came, where nothing came for long, and where Redis can't be reached.
const SOON: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(200);
const UNREACHABLE: Duration = Duration::from_millis(500);

/// Most jobs that are taken, or come from delayed, in one step: Redis does nothing else meanwhile.
const MOST_TAKEN: usize = 64;
const MOST_DUE: usize = 500;

/// So many jobs that don't fit are looked behind.
const MOST_BEHIND: usize = 2_000;

/// What is done with jobs.
#[async_trait]
pub(super) trait Work: Send + Sync {
    /// What a job lacks; none for one that fits.
    fn lacks(&self, waiting: &Waiting<'_>) -> Option<String>;

    /// Works a job that was taken off, and shows what became of it.
    async fn process(&self, jobs: &Jobs, taken: Taken);
}

/// Takes jobs for as long as it is not told to stop.
pub(super) struct Driver {
    jobs: Arc<Jobs>,
    work: Arc<dyn Work>,
    strangers: Arc<Strangers>,
    address: Arc<Address>,
    /// Most jobs that are held.
    hold: usize,
    lock: Duration,
    /// One for each job that may be held besides.
    free: Arc<Semaphore>,
    /// Jobs that are held, each with its token.
    held: Mutex<HashSet<(String, String)>>,
    /// Whether no more are taken.
    closed: watch::Sender<bool>,
}

/// What waits and fits.
#[derive(Debug, Default)]
struct Look {
    due: Vec<String>,
    waiting: Vec<String>,
}

impl Driver {
    /// One that takes nothing yet.
    pub(super) fn new(
        jobs: Arc<Jobs>,
        work: Arc<dyn Work>,
        address: Arc<Address>,
        settings: &Settings,
    ) -> Self {
        Driver {
            jobs,
            work,
            strangers: settings.strangers.clone(),
            address,
            hold: settings.hold,
            lock: settings.lock,
            free: Arc::new(Semaphore::new(settings.hold)),
            held: Mutex::default(),
            closed: watch::Sender::new(false),
        }
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn held(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is held and no job is being taken.
    pub(super) fn is_idle(&self) -> bool {
        self.free.available_permits() == self.hold
    }

    /// Takes what fits, until closed.
    pub(super) async fn take(self: Arc<Self>) {
        let mut closed = self.closed.subscribe();
        let (mut pause, mut gone) = (SOON, true);
        while !*closed.borrow() {
            let came = self.round().await;
            pause = match came {
                Ok(true) => SOON,
                Ok(false) => (pause * 2).min(IDLE),
                Err(_) => UNREACHABLE,
            };
            self.tell(came.err(), &mut gone).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        }
    }

    /// Tells, once each time, that Redis can't be reached, and that it can again.
    async fn tell(&self, error: Option<RedisError>, gone: &mut bool) {
        match error {
            Some(error) if !*gone => {
                *gone = true;
                let error = self.address.fault(&error);
                tracing::warn!(%error, "jobs can't be taken from Redis at {}, waiting until they can", self.address);
            }
            None if *gone => {
                // Not every server lets its clients have names, and none is needed.
                let _ = self.jobs.sign().await;
                *gone = false;
                tracing::info!("jobs are taken from Redis at {}", self.address);
            }
            _ => {}
        }
    }

    /// Looks once and takes what fits, and says whether there was any.
    async fn round(self: &Arc<Self>) -> Result<bool, RedisError> {
        let most = self.free.available_permits().min(MOST_TAKEN);
        let Ok(mut permits) = self.free.clone().try_acquire_many_owned(most as u32) else { return Ok(false) };
        if most == 0 {
            return Ok(false);
        }
        let look = self.look(most).await?;
        if look.due.is_empty() && look.waiting.is_empty() {
            return Ok(false);
        }
        let haul = self.jobs.take(&look.due, &look.waiting).await?;
        let came = haul.promoted > 0 || !haul.taken.is_empty();
        for taken in haul.taken {
            let permit = permits.split(1);
            let driver = self.clone();
            tokio::spawn(async move {
                driver.process(taken).await;
                drop(permit);
            });
        }
        drop(permits);
        if !haul.limited.is_zero() {
            tokio::time::sleep(haul.limited.min(UNREACHABLE)).await;
        }
        Ok(came)
    }

    async fn process(&self, taken: Taken) {
        let held = (taken.job.id().to_owned(), taken.token.clone());
        self.held().insert(held.clone());
        self.work.process(&self.jobs, taken).await;
        self.held().remove(&held);
    }

    /// What waits and fits, in the order in which it is to be taken, up to so many; nothing is changed.
    async fn look(&self, most: usize) -> Result<Look, RedisError> {
        let keys = &self.jobs.keys;
        let depth = (most + self.strangers.lately().min(MOST_BEHIND)) as isize;
        let mut asked = redis::pipe();
        asked.hlen(keys.meta());
        asked.hexists(keys.meta(), "paused");
        asked.lrange(keys.wait(), -depth, -1);
        asked.zrange(keys.prioritized(), 0, depth - 1);
        let until = (now() + 1) * 0x1000 - 1;
        asked.zrangebyscore_limit(keys.delayed(), "-inf", until, 0, MOST_DUE as isize + depth - 1);
        type Ids = Vec<Vec<u8>>;
        let (meta, paused, mut waiting, urgent, due): (usize, bool, Ids, Ids, Ids) =
            asked.query_async(&mut self.jobs.connection.connection()).await?;
        if meta == 0 {
            if !waiting.is_empty() {
                self.strangers.note_bull(keys.name());
            }
            return Ok(Look::default());
        }
        if paused {
            return Ok(Look::default());
        }
        // The next one stands last.
        waiting.reverse();
        waiting.extend(urgent);
        let due = self.fitting(due, MOST_DUE).await?;
        Ok(Look { due, waiting: self.fitting(waiting, most).await? })
    }

    /// Those of the jobs that fit, up to so many. The others are told of and counted.
    async fn fitting(&self, ids: Vec<Vec<u8>>, most: usize) -> Result<Vec<String>, RedisError> {
        let ids = ids.into_iter().filter_map(|id| String::from_utf8(id).ok());
        // BullMQ before 5 marked places where something waits.
        let ids: Vec<_> = ids.filter(|id| !id.starts_with("0:") && !self.strangers.knows(id)).collect();
        let mut fitting = Vec::new();
        for ids in ids.chunks(most.max(1)) {
            if fitting.len() >= most {
                break;
            }
            let mut asked = redis::pipe();
            for id in ids {
                asked.hmget(self.jobs.keys.job_key(id), &["name", "data", "rjk"]);
            }
            type Text = Option<Vec<u8>>;
            let read: Vec<(Text, Text, Text)> =
                asked.query_async(&mut self.jobs.connection.connection()).await?;
            for (id, (name, text, scheduler)) in ids.iter().zip(read) {
                // Without data it is gone already.
                let Some(text) = text else { continue };
                let name = String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
                let read = data(&text);
                let waiting =
                    Waiting { id, name: &name, data: read.as_ref(), scheduled: scheduler.is_some() };
                match self.work.lacks(&waiting) {
                    None => fitting.push(id.clone()),
                    Some(lacks) => {
                        self.strangers.note(self.jobs.keys.name(), id, waiting.stranger(lacks));
                    }
                }
            }
        }
        fitting.truncate(most);
        Ok(fitting)
    }

    /// Extends the locks of what is held, at half their length.
    pub(super) async fn hold(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.lock / 2).await;
            let held: Vec<_> = self.held().iter().cloned().collect();
            for held in held.chunks(MOST_DUE) {
                if let Err(error) = self.jobs.extend(held).await {
                    tracing::debug!(%error, "locks could not be extended");
                }
            }
        }
    }

    /// Puts back what was left by workers that died, as often as a lock lasts, in whichever process comes first: all look at
    /// all that is active, so that each would make a fleet of N workers cost N times as much.
    pub(super) async fn recover(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.lock).await;
            match self.recover_once().await {
                Ok(0) => {}
                Ok(jobs) => tracing::info!(jobs, "jobs that nobody held any more wait again"),
                Err(error) => tracing::debug!(%error, "it was not looked for jobs that nobody holds"),
            }
        }
    }

    async fn recover_once(&self) -> Result<usize, RedisError> {
        let keys = &self.jobs.keys;
        let mut asked = redis::pipe();
        asked.hlen(keys.meta());
        asked.llen(keys.active());
        let (meta, active): (usize, usize) =
            asked.query_async(&mut self.jobs.connection.connection()).await?;
        if meta == 0 || active == 0 || !self.jobs.looks_for_the_lost().await? {
            return Ok(0);
        }
        let mut asked = redis::cmd("LRANGE");
        asked.arg(keys.active()).arg(0).arg(-1);
        let active: Vec<Vec<u8>> = asked.query_async(&mut self.jobs.connection.connection()).await?;
        let (mut back, most) = (0, active.len());
        for ids in self.fitting(active, most).await?.chunks(MOST_DUE) {
            back += self.jobs.recover(ids).await?;
        }
        Ok(back)
    }
}
