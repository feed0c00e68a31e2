//! A server on the backends that its configuration names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::pipeline::{Ended, Learnt, Ports, Supply, Watcher};
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::traces::Traces;
use pixmill_engine::serve::{Footing, Ground, Part, Serve};
use pixmill_engine::upkeep::retain::Retain;
use tokio_util::sync::CancellationToken;

use super::backends::OpenRecords;
use super::{Strangers, api, backends, origin, sandbox, stacks, webhook};
use crate::command::serve::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::serve::Role;
use crate::config::storage::StorageChoice;
use crate::paces::Paces;

/// How often a worker says that it is alive, and what it did.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Serves until stopped.
///
/// # Errors
/// What waiting does not mend, and an address that can't be listened on.
pub(crate) async fn serve(
    options: ServeOptions,
    traces: Arc<dyn Traces>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let door = api::open(&options).await?;
    let listening = door.as_ref().map_or(options.listen, |door| door.listening);
    let links = options.public_url.clone().unwrap_or_else(|| format!("http://{listening}"));
    let open_records = OpenRecords::of(&options);
    let paces = Arc::new(Paces::default());
    let strangers = Arc::new(Strangers::default());
    let configured = Arc::new(Configured { options, open_records, links, traces, paces, strangers });
    // What can't go on in one half ends the other.
    let over = stop.child_token();
    let answering = async {
        let answered = match door {
            Some(door) => api::answer(door, &configured, over.clone()).await,
            None => Ok(()),
        };
        answered.inspect_err(|_| over.cancel())
    };
    let working = async {
        let worked = match has_part(&configured.options) {
            true => {
                let work = work(configured.clone(), over.clone());
                let (worked, carried_out) = tokio::join!(work, stacks::carry_out(&configured, over.clone()));
                worked.and(carried_out)
            }
            false => Ok(()),
        };
        worked.inspect_err(|_| over.cancel())
    };
    let (answered, worked) = tokio::join!(answering, working);
    tracing::info!("stopped");
    answered.and(worked)
}

/// Whether this process does anything beside answering calls. Workers on a queue of their own find by themselves what
/// there is to do; a shared one must be fed even where they are not ours.
fn has_part(options: &ServeOptions) -> bool {
    options.role != Role::Api || matches!(options.queue, QueueChoice::Redis(_))
}

/// The stages from dispatch to webhook, and upkeep; of one that answers calls, what feeds workers elsewhere.
async fn work(configured: Arc<Configured>, stop: CancellationToken) -> Result<(), Fault> {
    let (paces, strangers) = (configured.paces.clone(), configured.strangers.clone());
    let beats = Arc::new(Beats { paces, strangers, ..Beats::default() });
    let worker = Serve {
        settings: configured.options.settings.clone(),
        footing: configured,
        clock: Arc::new(SystemClock),
        watcher: beats.clone(),
    };
    let beating = tokio::spawn(async move { beats.beat().await });
    let worked = worker.run(stop).await;
    beating.abort();
    worked
}

/// What a process stands on, as it is configured.
pub(super) struct Configured {
    pub(super) options: ServeOptions,
    pub(super) open_records: OpenRecords,
    /// What links begin with, without a slash at its end.
    pub(super) links: String,
    /// Is told of spans.
    pub(super) traces: Arc<dyn Traces>,
    /// What is learnt of origins.
    pub(super) paces: Arc<Paces>,
    /// Jobs of other programs, which are left alone.
    pub(super) strangers: Arc<Strangers>,
}

#[async_trait]
impl Footing for Configured {
    async fn open(&self) -> Result<Ground, Fault> {
        let options = &self.options;
        let records = self.open_records.ledger().await?;
        let clock = Arc::new(SystemClock);
        let retain = retain(options, records.clone())?;
        let part = if options.role == Role::Api {
            let queue = backends::queue(options, backends::Use::Leaving, &self.strangers).await?;
            Part::Feed(Supply { records, queue, clock })
        } else {
            let ports = Ports {
                records: records.clone(),
                queue: backends::queue(options, backends::Use::Working, &self.strangers).await?,
                storage: backends::storage(options)?,
                sandbox: sandbox(options.concurrency, options.picture_time)?,
                origin: origin(&options.reach, options.settings.connections)?,
                files: None,
                clock,
                traces: self.traces.clone(),
            };
            Part::Work(ports, Box::new(webhook::stage(self, records)?))
        };
        tracing::info!(
            records = %options.records, queue = %options.queue, storage = %options.storage,
            role = ?options.role, version = env!("CARGO_PKG_VERSION"), "ready"
        );
        Ok(Ground { part, retain })
    }
}

/// What forgets what is old. Outputs elsewhere stay: others may show them still.
fn retain(options: &ServeOptions, ledger: Arc<dyn Ledger>) -> Result<Retain, Fault> {
    let outputs = match &options.storage {
        StorageChoice::File(_) if options.retention.is_some() => Some(backends::storage(options)?),
        _ => None,
    };
    Ok(Retain { ledger, outputs, clock: Arc::new(SystemClock), keep: options.retention })
}

/// Counts what ended, for the heartbeat.
#[derive(Default)]
struct Beats {
    completed: AtomicU64,
    failed: AtomicU64,
    paces: Arc<Paces>,
    strangers: Arc<Strangers>,
}

impl Beats {
    /// Says again and again that the process is alive, and how much it has ended.
    async fn beat(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let (completed, failed) =
                (self.completed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
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

    fn ended(&self, ended: Ended) {
        let counted = if ended.status == ImageStatus::Completed { &self.completed } else { &self.failed };
        counted.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
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
    }
}
