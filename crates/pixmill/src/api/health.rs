//! Whether the process lives, and whether it can do what it is for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::storage::Storage;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Api;
use super::answer::json;
use crate::last_backup;
use crate::wiring::records_file;

/// A backend that takes longer to say anything is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what was found holds: whoever may ask, may ask often.
const FRESH: Duration = Duration::from_secs(2);

/// What must fit on a disk: an output or a batch of rows.
const ROOM: usize = 1 << 20;

/// What a process stands on, as far as its readiness is asked.
#[derive(Clone)]
pub(crate) struct Backends {
    /// The only truth.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Delivers image ids.
    pub(crate) queue: Arc<dyn Queue>,
    /// Keeps outputs.
    pub(crate) storage: Arc<dyn Storage>,
    /// Folders that must have room, and what lies in them.
    pub(crate) disks: Vec<(&'static str, PathBuf)>,
    /// What tells when the last backup was made.
    pub(crate) backed_up: PathBuf,
}

/// What was found last; one looks at a time.
pub(super) struct Readiness {
    on: Backends,
    stop: CancellationToken,
    found: Mutex<Option<(Instant, Vec<Backend>)>>,
}

/// Health of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `unavailable`.
    status: &'static str,
    /// Each backend: `ok`, or the code of what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backends: Vec<Backend>,
    /// When the last backup was made, as far as anybody told.
    #[serde(rename = "lastBackupAt", skip_serializing_if = "Option::is_none")]
    last_backup_at: Option<String>,
}

/// Health of a backend.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Backend {
    name: &'static str,
    status: String,
}

impl Readiness {
    /// Nothing is known yet. A process that is told to stop is ready for nothing.
    pub(super) fn new(on: Backends, stop: CancellationToken) -> Self {
        Readiness { on, stop, found: Mutex::default() }
    }

    /// Whether all is well.
    pub(super) async fn is_ready(&self) -> bool {
        let backends = self.look().await;
        self.is_well(&backends)
    }

    fn is_well(&self, backends: &[Backend]) -> bool {
        backends.iter().all(|backend| backend.status == "ok") && !self.stop.is_cancelled()
    }

    async fn look(&self) -> Vec<Backend> {
        let mut found = self.found.lock().await;
        let fresh = found.take().filter(|(at, _)| at.elapsed() < FRESH);
        let (at, backends) = match fresh {
            Some(found) => found,
            None => (Instant::now(), ask(&self.on).await),
        };
        *found = Some((at, backends.clone()));
        backends
    }

    /// Answers whoever asks.
    pub(super) async fn answer(&self) -> Response {
        let backends = self.look().await;
        let mark = self.on.backed_up.clone();
        let made = tokio::task::spawn_blocking(move || last_backup::made(&mark)).await.unwrap_or_default();
        told(self.is_well(&backends), backends, made)
    }
}

fn told(well: bool, backends: Vec<Backend>, last_backup: Option<SystemTime>) -> Response {
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let last_backup_at = last_backup.map(|made| records_file::moment(made).to_string());
    json(code, &Health { status, backends, last_backup_at })
}

/// Whether the process lives
#[utoipa::path(get, operation_id = "isAlive", path = "/healthz", tag = "operation", responses((status = 200, body = Health)))]
pub(super) async fn alive() -> Response {
    told(true, Vec::new(), None)
}

/// What is said before anything is known of backends: they are not reached yet.
pub(super) async fn starting() -> Response {
    told(false, Vec::new(), None)
}

/// Whether it can do what it is for
///
/// Asks each backend, and whether disks have room; what was found holds for two seconds. Not ready while it starts or
/// stops. Let whatever restarts processes ask /healthz: a backend that is away is no reason to.
#[utoipa::path(get, operation_id = "isReady", path = "/readyz", tag = "operation", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    api.readiness.answer().await
}

async fn ask(on: &Backends) -> Vec<Backend> {
    // Giving free what nobody holds needs the records to be writable, and writes nothing.
    let records = async {
        on.ledger.open_requests(&[], 1).await?;
        on.ledger.release(&RequestId::from("")).await
    };
    let queue = async { on.queue.room().await.map(drop) };
    let storage = async { on.storage.remove(&[]).await };
    let (records, queue, storage, disks) =
        tokio::join!(look(records), look(queue), look(storage), full(on.disks.clone()));
    [("records", records), ("queue", queue), ("storage", storage)]
        .into_iter()
        .map(|(name, status)| {
            let disk = disks.iter().find(|(part, _)| *part == name).map(|(_, code)| code.to_string());
            Backend { name, status: disk.unwrap_or(status) }
        })
        .collect()
}

/// Folders in which there is no room, by what lies in them.
async fn full(disks: Vec<(&'static str, PathBuf)>) -> Vec<(&'static str, Code)> {
    let looking = tokio::task::spawn_blocking(move || {
        let unusable = |folder: &Path| take_room(folder).err().map(|error| Code::of_unwritable(error.kind()));
        disks.into_iter().filter_map(|(part, folder)| Some((part, unusable(&folder)?))).collect()
    });
    looking.await.unwrap_or_default()
}

/// Writes as much as is written next, into a file that has no name and is gone when it is closed.
fn take_room(folder: &Path) -> std::io::Result<()> {
    tempfile::tempfile_in(folder)?.write_all(&vec![0; ROOM])
}

async fn look(asking: impl Future<Output = Result<(), Fault>>) -> String {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(())) => "ok".to_owned(),
        Ok(Err(fault)) => {
            tracing::warn!(%fault, "not ready");
            fault.code.to_string()
        }
        Err(_) => "backend.unavailable".to_owned(),
    }
}
