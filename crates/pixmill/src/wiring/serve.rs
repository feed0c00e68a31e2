//! A server on the backends that its configuration names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::pipeline::webhook::Webhook;
use pixmill_engine::pipeline::{Ended, Ports, Watcher};
use pixmill_engine::serve::{Footing, Serve};
use tokio_util::sync::CancellationToken;

use super::{backends, origin, sandbox, webhook};
use crate::command::serve::ServeOptions;

/// How often a worker says that it is alive, and what it did.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// Serves until stopped.
///
/// # Errors
/// What waiting does not mend.
pub(crate) async fn serve(options: ServeOptions, stop: CancellationToken) -> Result<(), Fault> {
    let beats = Arc::new(Beats::default());
    let worker = Serve {
        settings: options.settings.clone(),
        footing: Arc::new(options),
        clock: Arc::new(SystemClock),
        watcher: beats.clone(),
    };
    let beating = tokio::spawn(async move { beats.beat().await });
    let served = worker.run(stop).await;
    beating.abort();
    tracing::info!("stopped");
    served
}

#[async_trait]
impl Footing for ServeOptions {
    async fn open(&self) -> Result<(Ports, Webhook), Fault> {
        let (records, outbox) = backends::records(self).await?;
        let ports = Ports {
            records,
            queue: backends::queue(self, backends::Use::Working).await?,
            storage: backends::storage(&self.storage)?,
            sandbox: sandbox(self.concurrency)?,
            origin: origin(&self.allow, self.settings.connections),
            files: None,
            clock: Arc::new(SystemClock),
        };
        let webhook = webhook::stage(self, outbox)?;
        tracing::info!(
            records = %self.records, queue = %self.queue, storage = %self.storage,
            role = ?self.role, version = env!("CARGO_PKG_VERSION"), "ready"
        );
        Ok((ports, webhook))
    }
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
