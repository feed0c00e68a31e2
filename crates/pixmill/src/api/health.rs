//! Whether the process lives, and whether it can do what it is for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Api;
use super::answer::json;

/// A backend that takes longer to say anything is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what was found holds: whoever may ask, may ask often.
const FRESH: Duration = Duration::from_millis(500);

/// What must fit on a disk: an output or a batch of rows.
const ROOM: usize = 1 << 20;

/// What was found last; one looks at a time.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Vec<Backend>)>>);

/// Health of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `unavailable`.
    status: &'static str,
    /// Each backend: `ok`, or the code of what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backends: Vec<Backend>,
}

/// Health of a backend.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Backend {
    name: &'static str,
    status: String,
}

/// Whether the process lives
#[utoipa::path(get, operation_id = "isAlive", path = "/healthz", tag = "operation", responses((status = 200, body = Health)))]
pub(super) async fn alive() -> Response {
    json(StatusCode::OK, &Health { status: "ok", backends: Vec::new() })
}

/// Whether it can do what it is for
///
/// Asks each backend, and whether disks have room. Not ready while it stops.
#[utoipa::path(get, operation_id = "isReady", path = "/readyz", tag = "operation", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let mut found = api.readiness.0.lock().await;
    let fresh = found.take().filter(|(at, _)| at.elapsed() < FRESH);
    let (at, backends) = match fresh {
        Some(found) => found,
        None => (Instant::now(), ask(&api).await),
    };
    *found = Some((at, backends.clone()));
    drop(found);
    let well = backends.iter().all(|backend| backend.status == "ok") && !api.stop.is_cancelled();
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    json(code, &Health { status, backends })
}

async fn ask(api: &Api) -> Vec<Backend> {
    let on = &api.on;
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
