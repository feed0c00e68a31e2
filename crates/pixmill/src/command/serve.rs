//! `pixmill serve`: a server that works off requests until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::model::lease::LEASE;
use pixmill_engine::pipeline::Settings;
use pixmill_engine::stack::table::Table;

use super::{End, Stop, interrupt};
use crate::config::limits::{LimitFlags, TimeFlags};
use crate::config::listen::{AccessFlags, ListenFlags};
use crate::config::logs::LogFlags;
use crate::config::network::NetworkFlags;
use crate::config::options::{ServeOptions, Stacks};
use crate::config::queue::{QueueChoice, QueueFlags};
use crate::config::recipe::RecipeFlags;
use crate::config::records::{RecordsChoice, RecordsFlags};
use crate::config::run::EngineFlags;
use crate::config::serve::{Role, ServeFlags};
use crate::config::state::StateFlags;
use crate::config::storage::StorageFlags;
use crate::config::webhook::WebhookFlags;
use crate::{logs, wiring};

/// Run a server: HTTP API, dashboard and workers, on embedded defaults or on Redis, MongoDB and object storage
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    serve: ServeFlags,

    #[command(flatten)]
    state: StateFlags,

    #[command(flatten)]
    records: RecordsFlags,

    #[command(flatten)]
    queue: QueueFlags,

    #[command(flatten)]
    storage: StorageFlags,

    #[command(flatten)]
    webhook: WebhookFlags,

    #[command(flatten)]
    listen: ListenFlags,

    #[command(flatten)]
    access: AccessFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    network: NetworkFlags,

    #[command(flatten)]
    engine: EngineFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    time: TimeFlags,

    #[command(flatten)]
    logs: LogFlags,
}

const AFTER_HELP: &str = "\
Examples:
  pixmill serve                                     all in one process, state in pixmill-data/
  curl -F file=@shop.csv http://127.0.0.1:3000/v1/requests
  pixmill serve --role worker --data pixmill-data   one more process that works on the same
  REDIS_URL=redis://cache MONGODB_URI=mongodb://db/shop pixmill serve --role worker

SIGTERM and Ctrl-C stop cleanly: what is under way is finished or handed back. A second one stops at
once. RUST_LOG says which talk is wanted, such as pixmill=debug. OTEL_EXPORTER_OTLP_ENDPOINT names a
collector of traces. /healthz, /readyz and /metrics tell how it is; 'pixmill health' asks. systemd is
told when it is ready and that it lives, where it asks for that (Type=notify, WatchdogSec=).
Every option --a-b is also PIXMILL_A_B in the environment and a_b in pixmill.toml.
Exit codes: 0 stopped, 1 could not go on, 2 bad usage or configuration.";

/// The longest Retry-After that a server waits for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

impl ServeArgs {
    fn stacks(&self, tables: Vec<Table>) -> Result<Option<Stacks>, Stop> {
        if tables.is_empty() {
            return Ok(None);
        }
        let QueueChoice::Redis(redis) = self.queue.choice() else {
            let told =
                "[[stack]] tables are about queues of BullMQ, and none is named: set REDIS_URL or --queue";
            return Err(Stop::Usage(told.to_owned()));
        };
        let needs = tables.iter().find(|table| table.needs_documents());
        let documents = match (needs, self.records.choice(&self.state.folder())) {
            (None, _) => None,
            (Some(_), RecordsChoice::Mongodb(address)) => Some(address),
            (Some(table), RecordsChoice::Sqlite(_)) => {
                return Err(Stop::Usage(format!(
                    "the [[stack]] table of queue '{}' is about documents, and no database is named: set MONGODB_URI",
                    table.queue
                )));
            }
        };
        Ok(Some(Stacks { redis, tables: tables.into_iter().map(Arc::new).collect(), documents }))
    }

    /// A worker works for somebody: one that was not told for whom would make records of its own, in which no job of an
    /// application can be found, or wait for work at a queue that nobody else sees.
    fn is_told_whose_work(&self) -> Result<(), Stop> {
        let folder = self.state.is_named();
        let (records, queue) = (self.records.is_named() || folder, self.queue.is_named() || folder);
        let lacking = match self.records.choice(&self.state.folder()) {
            _ if self.serve.role != Role::Worker => return Ok(()),
            _ if !records && queue => "records: MONGODB_URI, or --database sqlite:FILE for pixmill's own",
            _ if !records => {
                "queue and records: REDIS_URL and MONGODB_URI, or --data DIR of a server beside it"
            }
            RecordsChoice::Mongodb(_) if !queue => "queue: REDIS_URL, or --queue database for pixmill's own",
            _ => return Ok(()),
        };
        Err(Stop::Usage(format!("a worker must be told whose work it does. It lacks the {lacking}")))
    }

    pub(super) fn resolve(self, stacks: Vec<Table>) -> Result<ServeOptions, Stop> {
        let stacks = self.stacks(stacks)?;
        if stacks.is_none() {
            self.is_told_whose_work()?;
        }
        let data = self.state.folder();
        Ok(ServeOptions {
            role: self.serve.role,
            retention: self.serve.retention,
            records: match (&stacks, self.records.choice(&data)) {
                // Those of MongoDB are the application's, whose requests have a shape of their own.
                (Some(_), RecordsChoice::Mongodb(_)) => RecordsChoice::Sqlite(data.join("pixmill.db")),
                (_, choice) => choice,
            },
            knows_others: self.records.is_named() || self.state.is_named(),
            adopt_since: self.records.adopt_since,
            recipe: self.recipe.recipe(),
            queue: if stacks.is_some() { QueueChoice::Database } else { self.queue.choice() },
            // The requests that jobs become are nobody's to be told of: tables name whom they tell.
            webhook_url: self.webhook.webhook_url.filter(|_| stacks.is_none()),
            stacks,
            job_names: self.queue.queue_job_name,
            queue_name: self.queue.queue_name,
            queue_prefix: self.queue.queue_prefix,
            queue_ca_file: self.queue.queue_ca_file,
            storage: self.storage.choice(&data),
            webhook_secret: self.webhook.signing.webhook_secret,
            public_url: self.listen.public_url_said(),
            listen: match self.serve.role {
                Role::Worker => self.listen.at().of_worker(),
                Role::All | Role::Api => Some(self.listen.at().address()),
            },
            metrics_token: self.access.metrics_token,
            trust: self.access.trust,
            trust_proxy: self.access.trust_proxy,
            origins: self.access.cors_origin,
            most_bytes: self.access.max_upload_mib << 20,
            data,
            picture_time: self.time.picture_time(),
            concurrency: self.engine.concurrency(),
            reach: self.network.reach(),
            settings: Settings {
                connections: self.network.connections,
                per_origin: self.network.per_origin,
                memory_bytes: self.engine.memory_mib << 20,
                limits: self.limits.limits(),
                max_bytes: self.limits.max_bytes,
                timeout: self.network.timeout,
                attempts: self.engine.attempts,
                longest_retry_after: LONGEST_RETRY_AFTER,
                lease: lease(),
            },
        })
    }
}

/// How long a claim holds.
fn lease() -> Duration {
    #[cfg(feature = "failpoints")]
    if let Some(lease) = crate::config::environment::lease() {
        return lease;
    }
    LEASE
}

/// Serves until a signal comes.
pub(super) fn run(args: ServeArgs, stacks: Vec<Table>) -> Result<End, Stop> {
    let traces = wiring::Telling::start().map_err(Stop::Usage)?;
    logs::start(args.logs.log_format, traces.hearing()).map_err(Stop::Usage)?;
    let options = args.resolve(stacks)?;
    let runtime = super::runtime()?;
    let stop = interrupt::watch(&runtime);
    let served = runtime.block_on(wiring::serve(options, traces.port(), stop));
    runtime.shutdown_background();
    traces.stop();
    served?;
    Ok(End::Done)
}
