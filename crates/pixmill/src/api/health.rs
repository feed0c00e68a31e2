//! Whether the process lives, and whether it can do what it is for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::answer::json;

/// A backend that takes longer to say anything is away.
const PATIENCE: Duration = Duration::from_secs(5);

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
#[derive(Debug, Serialize, ToSchema)]
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
/// Asks each backend. Not ready while it stops.
#[utoipa::path(get, operation_id = "isReady", path = "/readyz", tag = "operation", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    let on = &api.on;
    // Giving free what nobody holds needs the records to be writable, and writes nothing.
    let records = async {
        on.ledger.open_requests().await?;
        on.ledger.release(&RequestId::from("")).await
    };
    let queue = async { on.queue.room().await.map(drop) };
    let storage = async { on.storage.remove(&[]).await };
    let (records, queue, storage) = tokio::join!(look(records), look(queue), look(storage));
    let outputs = on.outputs.as_ref().is_none_or(|folder| folder.is_dir());
    let storage = if outputs { storage } else { "disk.read_only".to_owned() };
    let backends: Vec<Backend> = [("records", records), ("queue", queue), ("storage", storage)]
        .into_iter()
        .map(|(name, status)| Backend { name, status })
        .collect();
    let well = backends.iter().all(|backend| backend.status == "ok") && !api.stop.is_cancelled();
    let (code, status) = match well {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    json(code, &Health { status, backends })
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
