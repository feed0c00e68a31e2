//! The processes that stand on these records, as each tells of itself.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::view::Page;
use crate::presence::{self, Heard};

/// A process of the server's.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Worker)]
pub(super) struct WorkerBody {
    /// Its id, of this run.
    pub(super) id: String,
    /// The machine's name.
    pub(super) host: String,
    /// The process's number there.
    pub(super) pid: u32,
    /// `all`, `api` or `worker`.
    pub(super) role: String,
    pub(super) version: String,
    pub(super) started_at: String,
    /// When it was heard of last. It is gone from this list half a minute later.
    pub(super) seen_at: String,
    /// Images that it has begun.
    pub(super) under_way: usize,
    /// Images that wait in it to be begun.
    pub(super) waiting: usize,
    /// Images that it completed since it began.
    pub(super) completed_images: u64,
    /// Images that failed by it since it began.
    pub(super) failed_images: u64,
    /// Images a second that it ended in the last half minute.
    pub(super) images_per_second: f64,
    /// Memory that it takes, where its system tells.
    pub(super) memory_bytes: Option<u64>,
    /// Memory that it may take for pictures.
    pub(super) memory_budget_bytes: u64,
    /// Pictures that it recompresses at a time.
    pub(super) concurrency: usize,
}

impl WorkerBody {
    pub(super) fn new(heard: &Heard) -> Self {
        let one = &heard.presence;
        WorkerBody {
            id: one.id.clone(),
            host: one.host.clone(),
            pid: one.pid,
            role: one.role.clone(),
            version: one.version.clone(),
            started_at: Timestamp(one.started).to_string(),
            seen_at: heard.at.to_string(),
            under_way: one.under_way,
            waiting: one.waiting,
            completed_images: one.completed,
            failed_images: one.failed,
            images_per_second: (one.per_second * 10.0).round() / 10.0,
            memory_bytes: one.memory_bytes,
            memory_budget_bytes: one.memory_budget,
            concurrency: one.concurrency,
        }
    }
}

/// List processes that are alive
///
/// Each tells of itself every five seconds. For those who run the server: whoever needs no key, and keys of the tenant
/// `default`.
#[utoipa::path(
    get, operation_id = "listWorkers", path = "/v1/workers", tag = "operation",
    responses((status = 200, body = Page<WorkerBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.must_operate()?;
    let heard = presence::alive(&*api.on.ledger, api.on.clock.wall()).await?;
    Ok(json(StatusCode::OK, &Page::piece(heard.iter().map(WorkerBody::new).collect(), None)))
}
