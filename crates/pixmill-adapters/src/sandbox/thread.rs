//! Sandbox of threads: survives panics and runaways; what only a process can survive is not its business.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_codec::{Limits, Recipe, Recompressed, Workspace};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::Sandbox;
use tokio::sync::oneshot;

/// What is run: the codec, or in benchmarks something in its place.
pub type Codec = fn(&[u8], &Recipe, &Limits, &mut Workspace) -> Result<Recompressed, pixmill_codec::Error>;

/// Steps in which a running job's time is counted.
const STEPS: u32 = 30;

/// The stack of a thread that decodes, bytes.
const STACK: usize = 8 << 20;

/// A job is queued, then running, then either done or abandoned: one compare-and-set decides between the last two.
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const ABANDONED: u8 = 3;

/// So many threads, each with a workspace of its own.
pub struct ThreadSandbox {
    width: usize,
    limit: Duration,
    codec: Codec,
    queue: mpsc::Sender<Job>,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
}

struct Job {
    source: Bytes,
    recipe: Recipe,
    limits: Limits,
    state: Arc<AtomicU8>,
    begun: oneshot::Sender<()>,
    done: oneshot::Sender<Result<Recompressed, Fault>>,
}

impl ThreadSandbox {
    /// So many pictures at a time, each for at most so long.
    ///
    /// # Errors
    /// When threads can't be started.
    pub fn new(width: usize, limit: Duration, codec: Codec) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let sandbox = ThreadSandbox { width, limit, codec, queue, jobs: Arc::new(Mutex::new(jobs)) };
        for _ in 0..width {
            sandbox.start_thread()?;
        }
        Ok(sandbox)
    }

    fn start_thread(&self) -> std::io::Result<()> {
        let (jobs, codec) = (self.jobs.clone(), self.codec);
        thread::Builder::new().name("codec".into()).stack_size(STACK).spawn(move || work(&jobs, codec))?;
        Ok(())
    }
}

#[async_trait]
impl Sandbox for ThreadSandbox {
    fn width(&self) -> usize {
        self.width
    }

    async fn recompress(&self, source: Bytes, recipe: Recipe, limits: Limits) -> Result<Recompressed, Fault> {
        let state = Arc::new(AtomicU8::new(0));
        let (begun, begins) = oneshot::channel();
        let (done, mut result) = oneshot::channel();
        let job = Job { source, recipe, limits, state: state.clone(), begun, done };
        self.queue.send(job).map_err(|_| gone())?;
        // Waiting for a thread takes as long as it takes; only running is timed.
        begins.await.map_err(|_| gone())?;
        match within(self.limit, &mut result).await {
            Some(result) => result.map_err(|_| gone())?,
            None if state
                .compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok() =>
            {
                if let Err(error) = self.start_thread() {
                    tracing::error!(%error, "a thread that was left behind can't be replaced");
                }
                Err(Fault::permanent(
                    Code::ImageTooSlow,
                    format!("recompressing took longer than {} s", self.limit.as_secs_f32()),
                ))
            }
            None => result.await.map_err(|_| gone())?,
        }
    }
}

/// Waits in small steps: while the whole process stands still (a stopped job, a frozen container) only one of them
/// passes, so a picture is not blamed for it.
async fn within<T>(limit: Duration, mut result: impl Future<Output = T> + Unpin) -> Option<T> {
    for _ in 0..STEPS {
        if let Ok(result) = tokio::time::timeout(limit / STEPS, &mut result).await {
            return Some(result);
        }
    }
    None
}

fn gone() -> Fault {
    Fault::permanent(Code::ImageCrashed, "the thread that recompressed the picture is gone")
}

/// Works off jobs until the sandbox is dropped, or until this thread is left behind.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>, codec: Codec) {
    let mut workspace = Workspace::default();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job.state.store(RUNNING, Ordering::Release);
        if job.begun.send(()).is_err() {
            continue; // Whoever asked was stopped in the meantime.
        }
        let ran =
            catch_unwind(AssertUnwindSafe(|| codec(&job.source, &job.recipe, &job.limits, &mut workspace)));
        let result = match ran {
            Ok(result) => result.map_err(Fault::from),
            Err(_) => {
                workspace = Workspace::default();
                Err(Fault::permanent(Code::ImageCrashed, "the decoder crashed on this picture"))
            }
        };
        drop(job.source);
        if job.state.compare_exchange(RUNNING, DONE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return; // It took too long and has been replaced.
        }
        let _ = job.done.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recompresses by what the source says.
    fn obedient(
        bytes: &[u8],
        _: &Recipe,
        _: &Limits,
        _: &mut Workspace,
    ) -> Result<Recompressed, pixmill_codec::Error> {
        match bytes {
            b"panic" => panic!("as asked"),
            b"run away" => loop {
                thread::park();
            },
            _ => Err(pixmill_codec::Error::new(pixmill_codec::ErrorKind::Corrupt, "as asked")),
        }
    }

    async fn code(sandbox: &ThreadSandbox, source: &'static [u8]) -> Code {
        let result =
            sandbox.recompress(Bytes::from_static(source), Recipe::default(), Limits::default()).await;
        result.expect_err("nothing here succeeds").code
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_image() {
        let sandbox = ThreadSandbox::new(1, Duration::from_secs(60), obedient).unwrap();
        assert_eq!(code(&sandbox, b"panic").await, Code::ImageCrashed);
        assert_eq!(code(&sandbox, b"broken").await, Code::ImageCorrupt);
    }

    #[tokio::test]
    async fn a_runaway_is_left_behind_and_replaced() {
        let sandbox = ThreadSandbox::new(1, Duration::from_millis(20), obedient).unwrap();
        for _ in 0..3 {
            assert_eq!(code(&sandbox, b"run away").await, Code::ImageTooSlow);
        }
        assert_eq!(code(&sandbox, b"broken").await, Code::ImageCorrupt);
    }

    #[tokio::test]
    async fn whoever_stops_waiting_takes_nothing_with_him() {
        let sandbox = Arc::new(ThreadSandbox::new(1, Duration::from_secs(60), obedient).unwrap());
        let waiting = {
            let sandbox = sandbox.clone();
            tokio::spawn(async move { code(&sandbox, b"broken").await })
        };
        waiting.abort();
        assert_eq!(code(&sandbox, b"broken").await, Code::ImageCorrupt);
    }
}
