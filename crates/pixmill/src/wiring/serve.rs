//! A server on the backends that its configuration names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::pipeline::{HostRules, Ports, Supply};
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::storage::Storage;
use pixmill_engine::port::traces::Traces;
use pixmill_engine::serve::{Footing, Ground, Part, Serve};
use pixmill_engine::upkeep::retain::Retain;
use tokio_util::sync::CancellationToken;

use super::backends::OpenRecords;
use super::beats::Beats;
use super::configured::Configured;
use super::presence::Teller;
use super::{Strangers, api, backends, origin, sandbox, stacks, webhook};
use crate::config::listen;
use crate::config::options::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::serve::Role;
use crate::config::storage::StorageChoice;
use crate::figures::Figures;
use crate::paces::Paces;
use crate::service;

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
    let listening = door.as_ref().map_or(listen::USUAL, |door| door.listening);
    let links = options.public_url.clone().unwrap_or_else(|| format!("http://{listening}"));
    let open_records = OpenRecords::of(&options);
    let paces = Arc::new(Paces::default());
    let strangers = Arc::new(Strangers::default());
    let figures = Arc::new(Figures::new(options.role.as_str()));
    let beats = Arc::new(Beats::new(paces.clone(), strangers.clone(), figures.clone()));
    let configured = Configured { options, open_records, links, traces, paces, strangers, figures };
    let configured = Arc::new(configured);
    let rules = Arc::new(HostRules::default());
    let managed = tokio::spawn(tell_service_manager(configured.clone(), stop.clone()));
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
    managed.abort();
    service::stops();
    tracing::info!("stopped");
    answered.and(worked)
}

/// How long records that were opened at the start are held for those who use them.
const HELD: Duration = Duration::from_secs(5);

/// Tells a service manager when the process is ready: it listens, and what lies on this machine is up to date. Whatever is
/// elsewhere may be waited for, and that is told; nobody's patience depends on it.
async fn tell_service_manager(configured: Arc<Configured>, stop: CancellationToken) {
    let embedded = matches!(configured.options.records, RecordsChoice::Sqlite(_));
    let starting = async {
        let opened = match embedded {
            true => service::given_time(configured.open_records.ledger()).await.map(Some),
            false => Ok(None),
        };
        match &opened {
            Err(fault) if !pixmill_engine::serve::may_pass(fault) => return None,
            Err(fault) => service::does(&format!("waiting: {fault}")),
            Ok(_) => {}
        }
        service::is_ready();
        opened.ok().flatten()
    };
    let opened = tokio::select! {
        () = stop.cancelled() => None,
        ledger = starting => ledger,
    };
    // Others have it open by then; held longer, it could not be opened anew.
    let held = async {
        tokio::time::sleep(HELD).await;
        drop(opened);
    };
    let answers = || async {
        // Whether it writes is not asked here, only whether there is an answer.
        if let Some(ledger) = configured.open_records.peek().await.filter(|_| embedded) {
            let _ = ledger.release(&RequestId::from("")).await;
        }
    };
    let stopping = async {
        stop.cancelled().await;
        service::stops();
    };
    tokio::join!(service::show_life(answers), stopping, held);
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

#[async_trait]
impl Footing for Configured {
    async fn open(&self) -> Result<Ground, Fault> {
        let opened = self.ground().await;
        match &opened {
            Ok(_) => service::does(&format!(
                "works ({}) on {}, queue {}, storage {}",
                self.options.role.as_str(),
                self.options.records,
                self.options.queue,
                self.options.storage
            )),
            Err(fault) => service::does(&format!("waiting: {fault}")),
        }
        opened
    }
}

impl Configured {
    async fn ground(&self) -> Result<Ground, Fault> {
        let options = &self.options;
        let records = self.open_records.ledger().await?;
        let clock = Arc::new(SystemClock);
        let storage = backends::storage(options)?;
        let retain = retain(options, records.clone(), storage.clone());
        let part = if options.role == Role::Api {
            let queue = backends::queue(options, backends::Use::Leaving, &self.strangers).await?;
            Part::Feed(Supply { records, queue, clock })
        } else {
            let ports = Ports {
                records: records.clone(),
                queue: backends::queue(options, backends::Use::Working, &self.strangers).await?,
                storage,
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
            role = options.role.as_str(), version = env!("CARGO_PKG_VERSION"), "ready"
        );
        Ok(Ground { part, retain })
    }
}

/// What forgets what is old. Outputs elsewhere stay: others may show them still.
fn retain(options: &ServeOptions, ledger: Arc<dyn Ledger>, storage: Arc<dyn Storage>) -> Retain {
    let outputs = matches!(options.storage, StorageChoice::File(_));
    Retain { ledger, storage, outputs, clock: Arc::new(SystemClock), keep: options.retention }
}
