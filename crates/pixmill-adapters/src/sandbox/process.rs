//! Sandbox of child processes: so many at most, started when they are needed and kept for the next picture.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, process};

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_codec::{Limits, Recipe, Recompressed};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::port::sandbox::{Memory, Sandbox};
use tokio::sync::{Semaphore, oneshot};

use super::child::{Answer, Child, Done, Job};
use super::death::Failed;
use super::nursery::Nursery;
use super::wire::Walls;

/// Pictures after which a child is replaced: what decoders lose, the AV1 decoder above all, goes with it.
const PICTURES: u32 = 500;

/// A child that was allowed more than this is replaced too, for heaps give little back.
const KEPT_BYTES: u64 = 96 << 20;

/// How often a picture is begun whose process something else ends, such as a kernel that is short of memory.
const TRIES: u32 = 3;

/// How often starting a child is tried, and how long is waited in between.
const STARTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// How long a child may take to come up.
const UP: Duration = Duration::from_secs(60);

/// What a child is told to be.
#[derive(Debug, Clone)]
pub struct Program {
    /// This program, or one that answers to `argument` as it does.
    pub path: PathBuf,
    /// The one argument that makes it call [`super::inside::serve`].
    pub argument: &'static str,
}

/// A sandbox of processes.
pub struct ProcessSandbox {
    width: usize,
    slots: Semaphore,
    nursery: Nursery,
    idle: Mutex<Vec<Child>>,
    /// The first child, where it is started before it is asked for.
    first: Mutex<Option<Starting>>,
    time: Duration,
    told: AtomicBool,
}

type Starting = oneshot::Receiver<io::Result<process::Child>>;

impl ProcessSandbox {
    /// So many pictures at a time, each of which may take so much of a processor; large ones more.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub fn new(width: usize, time: Duration, program: Program) -> io::Result<Self> {
        let nursery = Nursery::open(program.path, program.argument)?;
        Ok(ProcessSandbox {
            width,
            slots: Semaphore::new(width),
            nursery,
            first: Mutex::default(),
            idle: Mutex::default(),
            time,
            told: AtomicBool::new(false),
        })
    }

    /// The same with its first child on its way, for whoever has a picture for it at once.
    #[must_use]
    pub fn warmed(self) -> Self {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.nursery.start());
        self
    }

    /// A child that waits for a picture.
    async fn child(&self) -> Result<Child, Fault> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut child) = idle else { break };
            if !child.has_ended() {
                return Ok(child);
            }
        }
        let mut left = STARTS;
        loop {
            left -= 1;
            match tokio::time::timeout(UP, self.started()).await.unwrap_or_else(|slow| Err(slow.into())) {
                Ok((child, walls)) => {
                    self.tell(walls);
                    return Ok(child);
                }
                Err(error) if left == 0 => {
                    let message = format!("no process can be started for pictures: {error}");
                    return Err(Fault::transient(Code::BackendUnavailable, message).of(Blame::Backend));
                }
                Err(error) => {
                    tracing::debug!(%error, "a child did not come up");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn started(&self) -> io::Result<(Child, Walls)> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let starting = first.unwrap_or_else(|| self.nursery.start());
        let process = starting.await.map_err(|_| io::Error::other("the thread that starts it is gone"))??;
        let mut child = Child::new(process, self.nursery.clone())?;
        let walls = child.ready().await?;
        Ok((child, walls))
    }

    /// Says once what a kernel lacks.
    fn tell(&self, walls: Walls) {
        if !walls.calls && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this system can't take network and files from the processes that decode pictures; \
                 they are apart all the same"
            );
        }
    }

    fn keep(&self, child: Child) {
        if child.pictures < PICTURES && child.allowed_bytes <= KEPT_BYTES {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
    }
}

#[async_trait]
impl Sandbox for ProcessSandbox {
    fn width(&self) -> usize {
        self.width
    }

    async fn recompress(
        &self,
        source: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<Recompressed, Fault> {
        let job = Job { source, result_bytes: 0, recipe, limits, memory, time: self.time };
        match self.work(&job).await? {
            Done::Made(made) => Ok(made),
            Done::Judged(_) => Err(nonsense()),
        }
    }

    async fn judge(
        &self,
        source: Bytes,
        result: Bytes,
        recipe: Recipe,
        limits: Limits,
        memory: &dyn Memory,
    ) -> Result<f64, Fault> {
        let (result_bytes, recipe) = (result.len() as u64, recipe.judged());
        let source = Bytes::from([source, result].concat());
        let job = Job { source, result_bytes, recipe, limits, memory, time: self.time };
        match self.work(&job).await? {
            Done::Judged(score) => Ok(score),
            Done::Made(_) => Err(nonsense()),
        }
    }
}

/// A child answers to its order, or is nonsense before this is reached.
fn nonsense() -> Fault {
    Fault::permanent(Code::ImageCrashed, "the picture's process answered to something else")
}

impl ProcessSandbox {
    /// Has one picture worked on.
    async fn work(&self, job: &Job<'_>) -> Answer {
        let _slot = self.slots.acquire().await.expect("slots are never closed");
        let mut left = TRIES;
        loop {
            left -= 1;
            let mut child = self.child().await?;
            match child.work(job).await {
                Ok(answer) => {
                    self.keep(child);
                    return answer;
                }
                Err(Failed::Picture(fault)) => return Err(fault),
                Err(Failed::Killed(by)) if left == 0 => {
                    let message = format!(
                        "the picture's process was ended from outside {TRIES} times, by {by}: is the machine short of \
                         memory?"
                    );
                    return Err(Fault::transient(Code::ImageCrashed, message));
                }
                Err(Failed::Killed(by)) => {
                    tracing::warn!(by, "a picture's process was ended from outside; it is tried again");
                }
            }
        }
    }
}
