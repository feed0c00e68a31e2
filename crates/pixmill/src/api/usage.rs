//! What a tenant had done.

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
use super::query::Query;

/// What was done, over requests created in a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub(super) struct UsageBody {
    /// Whose it is.
    tenant: String,
    /// From this time on; from the beginning where it is empty.
    from: Option<String>,
    /// Before this time.
    until: String,
    /// Requests.
    requests: u64,
    /// Their images.
    images: u64,
    completed_images: u64,
    failed_images: u64,
    /// Bytes fetched, over completed images.
    bytes_before: u64,
    /// Bytes stored, over completed images.
    bytes_after: u64,
    /// How much smaller it became.
    bytes_saved: i64,
}

/// What was done
#[utoipa::path(
    get, operation_id = "showUsage", path = "/v1/usage", tag = "usage",
    params(
        ("from" = Option<String>, Query, format = DateTime, description = "Requests created from this time on (RFC 3339)"),
        ("until" = Option<String>, Query, format = DateTime, description = "Requests created before this time; now"),
    ),
    responses((status = 200, body = UsageBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let from = query.time("from")?;
    let until = query.time("until")?.unwrap_or(api.on.clock.wall());
    let found = api.on.ledger.usage(&caller.tenant, from.unwrap_or(Timestamp(i64::MIN)), until).await?;
    let progress = found.progress;
    let body = UsageBody {
        tenant: caller.tenant.to_string(),
        from: from.map(|from| from.to_string()),
        until: until.to_string(),
        requests: found.requests,
        images: progress.total(),
        completed_images: progress.completed,
        failed_images: progress.failed,
        bytes_before: progress.bytes_before,
        bytes_after: progress.bytes_after,
        bytes_saved: progress.bytes_before as i64 - progress.bytes_after as i64,
    };
    Ok(json(StatusCode::OK, &body))
}
