//! Jobs whose shape a table tells, from a queue of BullMQ's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Guarded, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::errands::{Done, Errand, Errands};
use pixmill_engine::stack::table::Table;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::driver::{Driver, Work};
use super::jobs::{Jobs, Taken};
use super::outcome::{completed, failed, note};
use super::shape::{Names, Waiting};
use super::{Settings, Taking, open};

/// A job that was given back, for what it names was not there, is taken again after so long, or once it was edited.
const LEFT_FOR: Duration = Duration::from_secs(300);

/// So many of them are remembered.
const MOST_LEFT: usize = 20_000;

/// The jobs of a queue that a table is about.
pub struct BullErrands {
    taking: Taking,
    given: Mutex<mpsc::UnboundedReceiver<Errand>>,
}

impl BullErrands {
    /// Connects, and begins to take the jobs that fit the table.
    ///
    /// # Errors
    /// As those of [`super::BullQueue::connect`].
    pub async fn connect(settings: Settings, table: Arc<Table>) -> Result<Self, Fault> {
        let (jobs, address) = open(&settings).await?;
        let (give, given) = mpsc::unbounded_channel();
        let work = Giving { table, names: Names(settings.job_names.clone()), give, left: Guarded::default() };
        let driver = Driver::new(jobs, Arc::new(work), address, &settings);
        Ok(BullErrands { taking: Taking::start(driver), given: Mutex::new(given) })
    }
}

#[async_trait]
impl Errands for BullErrands {
    async fn next(&self) -> Option<Errand> {
        self.given.lock().await.recv().await
    }

    async fn close(&self) {
        self.taking.close(&|| true).await;
        // What was given and not taken goes back.
        self.given.lock().await.close();
        while self.given.lock().await.recv().await.is_some() {}
        self.taking.until_idle().await;
    }
}

/// Gives jobs to whoever works them off.
struct Giving {
    table: Arc<Table>,
    names: Names,
    give: mpsc::UnboundedSender<Errand>,
    /// Jobs that were given back, by their ids.
    left: Guarded<HashMap<String, Left>>,
}

/// A job that was given back.
struct Left {
    data: Value,
    lacks: String,
    at: Instant,
}

impl Giving {
    fn left(&self) -> MutexGuard<'_, HashMap<String, Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a job lacks that was given back and is as it was.
    fn lacks_still(&self, id: &str, data: &Value) -> Option<String> {
        let left = self.left();
        let left = left.get(id).filter(|left| left.at.elapsed() < LEFT_FOR && left.data == *data);
        left.map(|left| left.lacks.clone())
    }

    fn leave(&self, taken: &Taken, lacks: String) {
        let mut left = self.left();
        if left.len() >= MOST_LEFT {
            left.retain(|_, left| left.at.elapsed() < LEFT_FOR);
        }
        let data = taken.job.data().clone();
        left.insert(taken.job.id().to_owned(), Left { data, lacks, at: Instant::now() });
    }
}

#[async_trait]
impl Work for Giving {
    fn lacks(&self, waiting: &Waiting<'_>) -> Option<String> {
        let data = match waiting.known(&self.names) {
            Ok(data) => data,
            Err(lacks) => return Some(lacks),
        };
        self.table.fits(data).err().or_else(|| self.lacks_still(waiting.id, data))
    }

    async fn process(&self, jobs: &Jobs, taken: Taken) {
        let (done, became) = oneshot::channel();
        let errand = Errand {
            job: format!("{}/{}", taken.job.id(), taken.job.timestamp()),
            round: u64::from(taken.job.attempts_made()),
            added: Timestamp(i64::try_from(taken.job.timestamp()).unwrap_or_default()),
            data: taken.job.data().clone(),
            done,
        };
        // Where nobody receives any more, what is given is dropped, and with it who would tell.
        let _ = self.give.send(errand);
        match became.await {
            Ok(Done::Completed(value)) => {
                completed(jobs, &taken, "its pictures have ended", &value.to_string()).await;
            }
            Ok(Done::Failed(reason)) => failed(jobs, &taken, &reason).await,
            Ok(Done::LeftAlone(lacks)) => {
                // Known before it waits again, so that it is not taken at once.
                self.leave(&taken, lacks);
                note(jobs.give_back(&taken).await, &taken);
            }
            Err(_) => {
                note(jobs.give_back(&taken).await, &taken);
            }
        }
    }
}
