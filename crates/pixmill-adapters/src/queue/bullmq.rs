//! Queue `redis://`: BullMQ, through its official Rust port, beside whatever Node producers and workers use the queue.
//!
//! The port's worker does what a Node worker does: takes jobs, extends their locks, recovers those of dead workers and
//! ends them. Its processor hands a job over to dispatch and waits for what becomes of it. Records decide all else.

mod checkup;
mod connect;
mod hands;
mod job;
mod outcome;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bullmq::redis_connection::RedisConnection;
use bullmq::types::JobCounts;
use bullmq::worker::WorkerEvent;
use bullmq::{Queue as Bull, QueueOptions, Worker, WorkerOptions};
use futures::future::try_join_all;
use pixmill_engine::checkup::Finding;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::JobId;
use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::queue::{Delivered, Job, Queue};
use pixmill_engine::serve::GRACE;
use tokio::task::JoinHandle;

use self::connect::Address;
pub use self::connect::{Server, inspect};
use self::hands::Hands;

/// How long an answer about the room may be old.
const ROOM_HOLDS: Duration = Duration::from_millis(250);

/// How long closing waits at most: for what is under way as long as a stop does, then so long for Redis.
const UNDER_WAY: Duration = GRACE;
const CLOSING: Duration = Duration::from_secs(10);

/// How often is looked, while closing, whether all is over; and how often it must be so.
const CLOSING_LOOK: Duration = Duration::from_millis(20);
const CLOSING_LOOKS: u32 = 3;

/// How often a job may stall until BullMQ fails it: records count attempts, so never.
const STALLS: u32 = 1_000_000;

/// How to use a queue.
#[derive(Clone)]
pub struct Settings {
    /// `redis://` or `rediss://`, with user, password and database; of a cluster, many parted by commas.
    pub url: String,
    /// The queue's name.
    pub name: String,
    /// What all its keys begin with.
    pub prefix: String,
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
            window: super::database::WINDOW,
            hold: 256,
            lock: Duration::from_secs(30),
            root_certificates: None,
        }
    }
}

/// A BullMQ queue. Dropping it without closing leaves its jobs to whoever finds their locks expired.
pub struct BullQueue {
    queue: Arc<Bull>,
    worker: Option<Arc<Worker>>,
    hands: Arc<Hands>,
    address: Arc<Address>,
    settings: Settings,
    room: Mutex<Option<(Instant, usize)>>,
    watch: Option<JoinHandle<()>>,
}

impl BullQueue {
    /// Connects, and begins to take jobs. Warns of a server that may throw jobs away.
    ///
    /// # Errors
    /// `config.invalid` for a wrong URL, name or prefix, `backend.unavailable` for a wrong password (permanent) or a
    /// server that can't be reached (transient).
    pub async fn connect(settings: Settings) -> Result<Self, Fault> {
        let server = inspect(&settings).await?;
        if !server.keeps_jobs() {
            tracing::warn!(
                policy = server.maxmemory_policy,
                "Redis throws jobs away when its memory is full, and they are fed again: set maxmemory-policy to noeviction"
            );
        }
        let address = Arc::new(Address::of(&settings)?);
        let connection = RedisConnection::new_managed_only(&connect::options(&settings)?)
            .await
            .map_err(|error| address.fault_of(&error))?;
        let queue = Bull::with_connection(
            &settings.name,
            connection,
            QueueOptions { prefix: settings.prefix.clone(), ..QueueOptions::default() },
        );
        let queue = Arc::new(queue.await.map_err(|error| address.fault_of(&error))?);
        let hands = Arc::new(Hands::default());
        let worker = match settings.hold {
            0 => None,
            _ => {
                let worker = start(&settings, queue.clone(), hands.clone()).await;
                Some(Arc::new(worker.map_err(|error| address.fault_of(&error))?))
            }
        };
        Ok(BullQueue {
            watch: worker.as_ref().map(|worker| tokio::spawn(watch(worker.clone(), address.clone()))),
            queue,
            worker,
            hands,
            address,
            settings,
            room: Mutex::default(),
        })
    }

    /// How many more jobs the window takes. Delayed jobs may take half of it, so that an origin whose images are all put
    /// off leaves room for those of others.
    fn room_beside(&self, counts: &JobCounts) -> usize {
        let window = self.settings.window as u64;
        let alive = counts.waiting + counts.paused + counts.prioritized + counts.active;
        let taken = alive + counts.delayed.min(window / 2);
        usize::try_from(window.saturating_sub(taken)).unwrap_or(self.settings.window)
    }

    fn known_room(&self) -> std::sync::MutexGuard<'_, Option<(Instant, usize)>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the candidates for which no job is alive; what ended under the next job's id is removed, for BullMQ would
    /// pass the job over silently.
    async fn missing(&self, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, bullmq::Error> {
        let ids: Vec<_> = candidates.iter().map(job::ids).collect();
        let mut asked = redis::pipe();
        for id in ids.iter().flatten() {
            asked.hmget(self.queue.keys().job_key(id), &["timestamp", "finishedOn"]);
        }
        let mut connection = self.queue.connection().connection();
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
        try_join_all(ended.iter().map(|id| self.queue.remove(id))).await?;
        Ok(missing)
    }

    async fn add_missing(&self, candidates: Vec<Candidate>) -> Result<usize, bullmq::Error> {
        let missing = self.missing(candidates).await?;
        let added = self.queue.add_bulk(missing.iter().map(job::bulk_job).collect()).await?.len();
        if let Some((_, room)) = &mut *self.known_room() {
            *room = room.saturating_sub(added);
        }
        Ok(added)
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
        let counts = self.queue.get_job_counts().await.map_err(|error| self.address.fault_of(&error))?;
        let room = self.room_beside(&counts);
        *self.known_room() = Some((Instant::now(), room));
        Ok(room)
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        if jobs.is_empty() {
            return Ok(0);
        }
        self.add_missing(jobs).await.map_err(|error| self.address.fault_of(&error))
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
        let Some(worker) = &self.worker else { return };
        worker.pause();
        self.hands.close();
        let finished = async {
            while !self.hands.is_empty() {
                tokio::time::sleep(CLOSING_LOOK).await;
            }
        };
        let _ = tokio::time::timeout(UNDER_WAY, finished).await;
        let over = async {
            let mut looks = 0;
            while looks < CLOSING_LOOKS {
                tokio::time::sleep(CLOSING_LOOK).await;
                let idle = self.hands.is_empty() && worker.active_count().await == 0;
                looks = if idle { looks + 1 } else { 0 };
            }
        };
        // What could not be told is found by other workers once its lock has expired.
        let _ = tokio::time::timeout(CLOSING, over).await;
        let _ = worker.close(0).await;
    }

    async fn look(&self, now: Timestamp) -> Vec<Finding> {
        checkup::look(&self.settings, &self.address, now).await
    }
}

impl Drop for BullQueue {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Starts the port's worker.
async fn start(settings: &Settings, queue: Arc<Bull>, hands: Arc<Hands>) -> Result<Worker, bullmq::Error> {
    let processor = move |job: bullmq::Job, _| {
        let (queue, hands) = (queue.clone(), hands.clone());
        async move { outcome::process(&queue, &hands, job).await }
    };
    let mut options = WorkerOptions::new()
        .prefix(&settings.prefix)
        .name("pixmill")
        .concurrency(settings.hold)
        .lock_duration(settings.lock)
        .stalled_interval(settings.lock)
        .max_stalled_count(STALLS)
        .drain_delay(Duration::from_secs(1))
        .run_retry_delay(Duration::from_millis(500));
    options.connection =
        connect::options(settings).map_err(|fault| bullmq::Error::InvalidConfig(fault.message))?;
    Worker::with_options(&settings.name, processor, options).await
}

/// Tells, once each time, that the worker can't reach Redis, and that it can again.
async fn watch(worker: Arc<Worker>, address: Arc<Address>) {
    let mut gone = false;
    while let Some(event) = worker.next_event().await {
        match event {
            WorkerEvent::Error(error) if error.starts_with("redis error") && !gone => {
                gone = true;
                tracing::warn!(error, "jobs can't be taken from Redis at {address}, waiting until they can");
            }
            WorkerEvent::Active { .. } | WorkerEvent::Drained if gone => {
                gone = false;
                tracing::info!("jobs are taken from Redis at {address} again");
            }
            _ => {}
        }
    }
}
