//! Queue `redis://`: BullMQ, with its official Rust port, beside whatever Node producers and workers use the queue.
//!
//! Jobs are ended by BullMQ's own scripts (`jobs`). Taking and recovering are pixmill's (`driver`), for theirs take
//! whatever comes: here a job that does not fit (`shape`) is not touched. Each is handed over to dispatch (`hands`), and
//! what becomes of it is shown (`outcome`). Records decide all else.

mod census;
mod checkup;
mod connect;
mod driver;
mod errands;
mod hands;
mod job;
mod jobs;
mod outcome;
mod pack;
mod sample;
mod shape;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bullmq::QueueKeys;
use bullmq::redis_connection::RedisConnection;
use pixmill_engine::checkup::{Diagnose, Finding};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::JobId;
use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::queue::{Delivered, Job, Queue};
use pixmill_engine::serve::GRACE;
use redis::RedisError;
use tokio::task::JoinHandle;

use self::connect::Address;
pub use self::connect::{Server, inspect};
use self::driver::Driver;
pub use self::errands::BullErrands;
use self::hands::Hands;
use self::jobs::Jobs;
use self::outcome::Images;
pub use self::sample::sample;
use self::shape::Names;
use super::strangers::Strangers;

/// How long an answer about the room may be old.
const ROOM_HOLDS: Duration = Duration::from_millis(250);

/// How long closing waits at most: for what is under way as long as a stop does, then so long for Redis.
const UNDER_WAY: Duration = GRACE;
const CLOSING: Duration = Duration::from_secs(10);

/// How often is looked, while closing, whether all is over; and how often it must be so.
const CLOSING_LOOK: Duration = Duration::from_millis(20);
const CLOSING_LOOKS: u32 = 3;

/// How to use a queue.
#[derive(Clone)]
pub struct Settings {
    /// `redis://` or `rediss://`, with user, password and database; of a cluster, many parted by commas.
    pub url: String,
    /// The queue's name.
    pub name: String,
    /// What all its keys begin with.
    pub prefix: String,
    /// What jobs are called that are taken, `*` for any name.
    pub job_names: Vec<String>,
    /// Whether records may know the images of jobs that other programs add; they are left alone where not.
    pub foreign: bool,
    /// Takes note of jobs that are left alone.
    pub strangers: Arc<Strangers>,
    /// Most jobs that wait in Redis.
    pub window: usize,
    /// Most jobs that are taken from Redis and not finished, which other workers can't have; 0 leaves all to others.
    pub hold: usize,
    /// How long a job stays locked unless its lock is extended; jobs that were left locked are looked for as often.
    pub lock: Duration,
    /// Certificates (PEM) to trust beside the public ones.
    pub root_certificates: Option<Vec<u8>>,
}

impl Settings {
    /// Everything but the URL as BullMQ and pixmill have it unless told otherwise.
    pub fn new(url: impl Into<String>) -> Self {
        Settings {
            url: url.into(),
            name: "image-processing".into(),
            prefix: "bull".into(),
            job_names: vec![job::NAME.into()],
            foreign: true,
            strangers: Arc::default(),
            window: super::database::WINDOW,
            hold: 256,
            lock: Duration::from_secs(30),
            root_certificates: None,
        }
    }
}

/// A BullMQ queue. Dropping it without closing leaves its jobs to whoever finds their locks expired.
pub struct BullQueue {
    jobs: Arc<Jobs>,
    taking: Option<Taking>,
    hands: Arc<Hands>,
    address: Arc<Address>,
    settings: Settings,
    room: Mutex<Option<(Instant, usize)>>,
}

/// Connects to a queue. Warns of a server that may throw jobs away.
async fn open(settings: &Settings) -> Result<(Arc<Jobs>, Arc<Address>), Fault> {
    let server = inspect(settings).await?;
    if !server.keeps_jobs() {
        tracing::warn!(
            policy = server.maxmemory_policy,
            "Redis throws jobs away when its memory is full, and they are fed again: set maxmemory-policy to noeviction"
        );
    }
    let address = Arc::new(Address::of(settings)?);
    let jobs = jobs_of(settings, &settings.name, &address).await?;
    Ok((Arc::new(jobs), address))
}

/// The jobs of a queue under the prefix.
async fn jobs_of(settings: &Settings, name: &str, address: &Address) -> Result<Jobs, Fault> {
    let connection = RedisConnection::new_managed_only(&connect::options(settings)?).await;
    let connection = connection.map_err(|error| address.fault_of(&error))?;
    Ok(Jobs::new(QueueKeys::new(name, Some(&settings.prefix)), connection, settings.lock))
}

/// A driver at work.
struct Taking {
    driver: Arc<Driver>,
    tasks: Vec<JoinHandle<()>>,
}

impl Taking {
    fn start(driver: Driver) -> Self {
        let driver = Arc::new(driver);
        let tasks = vec![
            tokio::spawn(driver.clone().take()),
            tokio::spawn(driver.clone().hold()),
            tokio::spawn(driver.clone().recover()),
        ];
        Taking { driver, tasks }
    }

    /// Takes no more, and waits until those that were handed over have been finished, as far as a stop waits.
    async fn close(&self, finished: &(dyn Fn() -> bool + Sync)) {
        self.driver.close();
        let finished = async {
            while !finished() {
                tokio::time::sleep(CLOSING_LOOK).await;
            }
        };
        let _ = tokio::time::timeout(UNDER_WAY, finished).await;
    }

    /// Waits until what became of all jobs has been shown. What could not be is found by other workers once its lock has
    /// expired.
    async fn until_idle(&self) {
        let over = async {
            let mut looks = 0;
            while looks < CLOSING_LOOKS {
                tokio::time::sleep(CLOSING_LOOK).await;
                looks = if self.driver.is_idle() { looks + 1 } else { 0 };
            }
        };
        let _ = tokio::time::timeout(CLOSING, over).await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl BullQueue {
    /// Connects, and begins to take jobs. Warns of a server that may throw jobs away.
    ///
    /// # Errors
    /// `config.invalid` for a wrong URL, name or prefix, `backend.unavailable` for a wrong password (permanent) or a
    /// server that can't be reached (transient).
    pub async fn connect(settings: Settings) -> Result<Self, Fault> {
        let (jobs, address) = open(&settings).await?;
        let hands = Arc::new(Hands::default());
        let taking = (settings.hold > 0).then(|| {
            let names = Names(settings.job_names.clone());
            let work = Arc::new(Images { hands: hands.clone(), names, foreign: settings.foreign });
            Taking::start(Driver::new(jobs.clone(), work, address.clone(), &settings))
        });
        Ok(BullQueue { jobs, taking, hands, address, settings, room: Mutex::default() })
    }

    /// Asks how many jobs wait or are under way, and how many are delayed.
    async fn count(&self) -> Result<(u64, u64), RedisError> {
        let keys = &self.jobs.keys;
        let mut asked = redis::pipe();
        asked.llen(keys.wait()).llen(keys.paused()).llen(keys.active());
        asked.zcard(keys.prioritized()).zcard(keys.delayed());
        let mut connection = self.jobs.connection.connection();
        let (waiting, paused, active, prioritized, delayed): (u64, u64, u64, u64, u64) =
            asked.query_async(&mut connection).await?;
        Ok((waiting + paused + active + prioritized, delayed))
    }

    /// How many more jobs the window takes. Delayed jobs may take half of it, so that an origin whose images are all put
    /// off leaves room for those of others.
    fn room_beside(&self, alive: u64, delayed: u64) -> usize {
        let window = self.settings.window as u64;
        let taken = alive + delayed.min(window / 2);
        usize::try_from(window.saturating_sub(taken)).unwrap_or(self.settings.window)
    }

    fn known_room(&self) -> std::sync::MutexGuard<'_, Option<(Instant, usize)>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the candidates for which no job is alive; what ended under the next job's id is removed, for BullMQ would
    /// pass the job over silently.
    async fn missing(&self, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, RedisError> {
        let ids: Vec<_> = candidates.iter().map(job::ids).collect();
        let mut asked = redis::pipe();
        for id in ids.iter().flatten() {
            asked.hmget(self.jobs.keys.job_key(id), &["timestamp", "finishedOn"]);
        }
        let mut connection = self.jobs.connection.connection();
        let found: Vec<(Option<String>, Option<String>)> = asked.query_async(&mut connection).await?;
        let mut found = found.into_iter();
        let mut seen = HashSet::new();
        let (mut missing, mut ended) = (Vec::new(), Vec::new());
        for (candidate, ids) in candidates.into_iter().zip(ids) {
            let jobs: Vec<_> = found.by_ref().take(ids.len()).collect();
            let alive = jobs.iter().any(|(added, finished)| added.is_some() && finished.is_none());
            if alive || !seen.insert(candidate.image.clone()) {
                continue;
            }
            if jobs.first().is_some_and(|(_, finished)| finished.is_some()) {
                ended.push(job::next_id(&candidate));
            }
            missing.push(candidate);
        }
        if !ended.is_empty() {
            self.jobs.remove(&ended).await?;
        }
        Ok(missing)
    }

    async fn add_missing(&self, candidates: Vec<Candidate>) -> Result<usize, RedisError> {
        let missing = self.missing(candidates).await?;
        if missing.is_empty() {
            return Ok(0);
        }
        let added = self.jobs.add(&missing.iter().map(job::added).collect::<Vec<_>>()).await?;
        if let Some((_, room)) = &mut *self.known_room() {
            *room = room.saturating_sub(added);
        }
        Ok(added)
    }
}

#[async_trait]
impl Diagnose for BullQueue {
    async fn diagnose(&self, now: Timestamp) -> Vec<Finding> {
        checkup::look(&self.settings, &self.address, now).await
    }
}

#[async_trait]
impl Queue for BullQueue {
    fn is_shared(&self) -> bool {
        true
    }

    fn hold(&self) -> usize {
        self.settings.hold
    }

    async fn room(&self) -> Result<usize, Fault> {
        if let Some((asked, room)) = *self.known_room()
            && asked.elapsed() < ROOM_HOLDS
        {
            return Ok(room);
        }
        let (alive, delayed) = self.count().await.map_err(|error| self.address.fault(&error))?;
        let room = self.room_beside(alive, delayed);
        *self.known_room() = Some((Instant::now(), room));
        Ok(room)
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        if jobs.is_empty() {
            return Ok(0);
        }
        self.add_missing(jobs).await.map_err(|error| self.address.fault(&error))
    }

    fn take(&self, most: usize) -> Vec<Job> {
        self.hands.take(most)
    }

    async fn arrival(&self) {
        self.hands.arrival().await;
    }

    fn finish(&self, job: &JobId, delivered: Delivered) {
        self.hands.finish(job, delivered);
    }

    async fn close(&self) {
        let Some(taking) = &self.taking else { return };
        self.hands.close();
        taking.close(&|| self.hands.is_empty()).await;
        taking.until_idle().await;
    }
}
