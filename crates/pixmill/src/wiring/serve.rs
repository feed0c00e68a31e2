//! A server on the backends that its configuration names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::pipeline::{Ended, Ports, Watcher};
use pixmill_engine::port::records::Outbox;
use pixmill_engine::serve::Serve;
use tokio_util::sync::CancellationToken;

use super::{backends, origin, sandbox, webhook};
use crate::command::serve::ServeOptions;

/// How often a worker says that it is alive, and what it did.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long is waited before a backend that could not be reached at the start is tried again.
const START_PAUSE: Duration = Duration::from_secs(2);

/// Serves until stopped.
///
/// # Errors
/// What waiting does not mend.
pub(crate) async fn serve(options: ServeOptions, stop: CancellationToken) -> Result<(), Fault> {
    let Some((ports, outbox)) = reached(&options, &stop).await? else { return Ok(()) };
    let webhook = webhook::stage(&options, outbox)?;
    tracing::info!(
        records = %options.records, queue = %options.queue, storage = %options.storage,
        role = ?options.role, version = env!("CARGO_PKG_VERSION"), "ready"
    );
    let beats = Arc::new(Beats::default());
    let worker = Serve { ports, settings: options.settings, watcher: beats.clone(), webhook };
    let beating = tokio::spawn(async move { beats.beat().await });
    let served = worker.run(stop).await;
    beating.abort();
    tracing::info!("stopped");
    served
}

/// What the server stands on, once all of it can be reached; none when stopped before.
async fn reached(
    options: &ServeOptions,
    stop: &CancellationToken,
) -> Result<Option<(Ports, Arc<dyn Outbox>)>, Fault> {
    let mut told = false;
    loop {
        let fault = match ports(options) {
            Err(fault) if fault.transient => fault,
            reached => return reached.map(Some),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%fault, "a backend can't be reached yet, waiting for it");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(START_PAUSE) => {}
        }
    }
}

fn ports(options: &ServeOptions) -> Result<(Ports, Arc<dyn Outbox>), Fault> {
    let (records, outbox) = backends::records(&options.records)?;
    let ports = Ports {
        records,
        queue: backends::queue(&options.queue)?,
        storage: backends::storage(&options.storage)?,
        sandbox: sandbox(options.concurrency)?,
        origin: origin(&options.allow, options.settings.connections),
        files: None,
        clock: Arc::new(SystemClock),
    };
    Ok((ports, outbox))
}

/// Counts what ended, for the heartbeat.
#[derive(Default)]
struct Beats {
    completed: AtomicU64,
    failed: AtomicU64,
}

impl Beats {
    /// Says again and again that the process is alive, and how much it has ended.
    async fn beat(&self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let (completed, failed) =
                (self.completed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
            tracing::info!(completed, failed, "alive");
        }
    }
}

impl Watcher for Beats {
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
