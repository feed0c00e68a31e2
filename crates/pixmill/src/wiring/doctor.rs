//! Looks at the backends that a server's configuration names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::checkup::{self, Finding, Severity};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::clock::Clock;

use super::backends::OpenRecords;
use super::configured::Configured;
use super::{backends, signing};
use crate::api::{Checkup, Examined};
use crate::config::options::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::storage::StorageChoice;
use crate::last_backup;

/// Looks at every part, whatever is wrong with others.
pub(crate) async fn examine(options: &ServeOptions) -> Vec<Examined> {
    parts(options, &OpenRecords::of(options), secret).await
}

/// Looks at what a server stands on that runs.
pub(super) struct OfServer(pub(super) Arc<Configured>);

#[async_trait]
impl Checkup for OfServer {
    async fn look(&self) -> Vec<Examined> {
        parts(&self.0.options, &self.0.open_records, that_there_is_a_secret).await
    }
}

/// How long a part may take to say anything.
const PATIENCE: Duration = Duration::from_secs(12);

async fn in_time(looking: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| {
        let told = format!("it has not answered in {} s", PATIENCE.as_secs());
        unreachable_because(&Fault::transient(Code::BackendUnavailable, told))
    })
}

async fn parts(
    options: &ServeOptions,
    open_records: &OpenRecords,
    webhook: fn(&ServeOptions) -> Finding,
) -> Vec<Examined> {
    let now = SystemClock.wall();
    let records = async {
        match open_records.ledger().await {
            Ok(ledger) => checkup::records(&*ledger, now).await,
            Err(fault) => unreachable_because(&fault),
        }
    };
    let queue = async {
        match backends::queue(options, backends::Use::Leaving, &Arc::default()).await {
            Ok(queue) => queue.diagnose(now).await,
            Err(fault) => unreachable_because(&fault),
        }
    };
    let storage = async {
        match backends::storage(options) {
            Ok(storage) => storage.diagnose(now).await,
            Err(fault) => unreachable_because(&fault),
        }
    };
    let (records, queue, storage) = tokio::join!(in_time(records), in_time(queue), in_time(storage));
    vec![
        Examined { part: "records", backend: options.records.to_string(), findings: records },
        Examined { part: "queue", backend: options.queue.to_string(), findings: queue },
        Examined { part: "storage", backend: options.storage.to_string(), findings: storage },
        Examined {
            part: "backup",
            backend: String::new(),
            findings: vec![last_backup::finding(&options.data, options.records.file())],
        },
        Examined { part: "webhook", backend: receiver(options), findings: vec![webhook(options)] },
        Examined { part: "together", backend: String::new(), findings: together(options) },
    ]
}

fn unreachable_because(fault: &Fault) -> Vec<Finding> {
    vec![Finding::fault("reachable", fault)]
}

fn receiver(options: &ServeOptions) -> String {
    // Its query may hold a token.
    options
        .webhook_url
        .as_ref()
        .map_or("none for all requests".to_owned(), |url| url.origin().ascii_serialization())
}

/// What the secret of webhooks is called.
const SECRET: &str = "secret";

/// The secret that receivers check with, unless whoever runs this has set it.
fn secret(options: &ServeOptions) -> Finding {
    match signing::secret(options.webhook_secret.as_ref(), &options.data) {
        Ok(_) if options.webhook_secret.is_some() => Finding::well(SECRET, "as it was set"),
        Ok(secret) => Finding::well(SECRET, format!("{} (give it to the receiver)", secret.trim())),
        Err(fault) => Finding::fault(SECRET, &fault),
    }
}

/// The same for whoever need not see what signs webhooks.
fn that_there_is_a_secret(options: &ServeOptions) -> Finding {
    let finding = secret(options);
    match finding.severity {
        Severity::Well => Finding::well(SECRET, "there is one: 'pixmill doctor' shows it"),
        Severity::Doubtful | Severity::Wrong => finding,
    }
}

/// What each part is fine with and all of them are not.
fn together(options: &ServeOptions) -> Vec<Finding> {
    let here = matches!(options.records, RecordsChoice::Sqlite(_));
    let mut findings = Vec::new();
    if here && matches!(options.queue, QueueChoice::Redis(_)) {
        findings.push(Finding::doubtful(
            "hosts",
            "the queue may be shared by machines, but records are a file of this one",
            "Run workers on this machine alone, or set --database to a mongodb:// that all of them reach.",
        ));
    }
    if !here && matches!(options.storage, StorageChoice::File(_)) {
        findings.push(Finding::doubtful(
            "hosts",
            "records may be shared by machines, but outputs are files of this one",
            "Run workers on this machine alone, or set --storage to one that all of them reach.",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::well("hosts", "records, queue and storage can be used by the same machines"));
    }
    findings
}
