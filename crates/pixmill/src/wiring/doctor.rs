//! Looks at the backends that a server's configuration names.

use std::sync::Arc;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::checkup::{self, Finding};
use pixmill_engine::fault::Fault;
use pixmill_engine::port::clock::Clock;

use super::{backends, signing};
use crate::command::serve::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::storage::StorageChoice;

/// A part of a server, and how it is.
pub(crate) struct Examined {
    /// Which part.
    pub(crate) part: &'static str,
    /// What stands for it, without secrets.
    pub(crate) backend: String,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
}

/// Looks at every part, one after the other, whatever is wrong with those before.
pub(crate) async fn examine(options: &ServeOptions) -> Vec<Examined> {
    let now = SystemClock.wall();
    let records = match backends::OpenRecords::of(options).ledger().await {
        Ok(ledger) => checkup::records(&*ledger, now).await,
        Err(fault) => unreachable_because(&fault),
    };
    let queue = match backends::queue(options, backends::Use::Leaving, &Arc::default()).await {
        Ok(queue) => queue.look(now).await,
        Err(fault) => unreachable_because(&fault),
    };
    let storage = match backends::storage(options) {
        Ok(storage) => storage.look(now).await,
        Err(fault) => unreachable_because(&fault),
    };
    vec![
        Examined { part: "records", backend: options.records.to_string(), findings: records },
        Examined { part: "queue", backend: options.queue.to_string(), findings: queue },
        Examined { part: "storage", backend: options.storage.to_string(), findings: storage },
        Examined { part: "webhook", backend: receiver(options), findings: vec![secret(options)] },
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

/// The secret that receivers check with, unless whoever runs this has set it.
fn secret(options: &ServeOptions) -> Finding {
    match signing::secret(options.webhook_secret.as_ref(), &options.data) {
        Ok(_) if options.webhook_secret.is_some() => Finding::well("secret", "as it was set"),
        Ok(secret) => Finding::well("secret", format!("{} (give it to the receiver)", secret.trim())),
        Err(fault) => Finding::fault("secret", &fault),
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
