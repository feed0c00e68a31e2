//! Jobs whose shape a table tells, from a queue of BullMQ's.

use std::sync::Arc;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::errands::{Done, Errand, Errands};
use pixmill_engine::stack::table::Table;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::driver::{Driver, Work};
use super::jobs::{Jobs, Taken};
use super::outcome::{completed, failed, note};
use super::shape::{Names, Waiting};
use super::{Settings, Taking, open};

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
        let work = Giving { table, names: Names(settings.job_names.clone()), give };
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
}

#[async_trait]
impl Work for Giving {
    fn lacks(&self, waiting: &Waiting<'_>) -> Option<String> {
        let judged = waiting.known(&self.names).and_then(|data| self.table.items(data).map(|_| ()));
        judged.err()
    }

    async fn process(&self, jobs: &Jobs, taken: Taken) {
        let key = format!("{}/{}/{}", taken.job.id(), taken.job.timestamp(), taken.job.attempts_made());
        let (done, became) = oneshot::channel();
        // Where nobody receives any more, what is given is dropped, and with it who would tell.
        let _ = self.give.send(Errand { key, data: taken.job.data().clone(), done });
        match became.await {
            Ok(Done::Completed(value)) => {
                completed(jobs, &taken, "its pictures have ended", &value.to_string()).await;
            }
            Ok(Done::Failed(reason)) => failed(jobs, &taken, &reason).await,
            Err(_) => {
                note(jobs.give_back(&taken).await, &taken);
            }
        }
    }
}
