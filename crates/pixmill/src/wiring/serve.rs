//! A server on the backends that its configuration names.

use std::sync::Arc;

use async_trait::async_trait;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::pipeline::{HostRules, Ports, Supply};
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::traces::Traces;
use pixmill_engine::serve::{Footing, Ground, Part, Serve};
use pixmill_engine::upkeep::retain::Retain;
use tokio_util::sync::CancellationToken;

use super::backends::OpenRecords;
use super::beats::Beats;
use super::presence::Teller;
use super::{Strangers, api, backends, origin, sandbox, stacks, webhook};
use crate::command::serve::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::serve::Role;
use crate::config::storage::StorageChoice;
use crate::paces::Paces;

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
    let beats = Arc::new(Beats::new(paces.clone(), strangers.clone()));
    let configured = Arc::new(Configured { options, open_records, links, traces, paces, strangers });
    let rules = Arc::new(HostRules::default());
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
                let work = work(configured.clone(), beats.clone(), rules.clone(), over.clone());
                let (worked, carried_out) = tokio::join!(work, stacks::carry_out(&configured, over.clone()));
                worked.and(carried_out)
            }
            false => Ok(()),
        };
        worked.inspect_err(|_| over.cancel())
    };
    let telling = Teller::new(configured.clone(), beats.clone(), rules.clone()).tell(over.clone());
    let (answered, worked, ()) = tokio::join!(answering, working, telling);
    tracing::info!("stopped");
    answered.and(worked)
}

/// Whether this process does anything beside answering calls. Workers on a queue of their own find by themselves what
/// there is to do; a shared one must be fed even where they are not ours.
fn has_part(options: &ServeOptions) -> bool {
    options.role != Role::Api || matches!(options.queue, QueueChoice::Redis(_))
}

/// The stages from dispatch to webhook, and upkeep; of one that answers calls, what feeds workers elsewhere.
async fn work(
    configured: Arc<Configured>,
    beats: Arc<Beats>,
    rules: Arc<HostRules>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let worker = Serve {
        settings: configured.options.settings.clone(),
        footing: configured,
        clock: Arc::new(SystemClock),
        watcher: beats.clone(),
        rules,
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
