//! Results and failures as CSV, streamed at any time.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures::stream;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::results::{Failures, Results};

use super::Api;
use super::access::Caller;
use super::answer;
use super::problem::{Problem, ProblemBody};
use super::query::Id;

const CSV: &str = "text/csv; charset=utf-8";

/// The original rows with what became of their images
#[utoipa::path(
    get, operation_id = "showResults", path = "/v1/requests/{id}/results.csv", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn results(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let request = api.standing(&caller, &id).await?.request;
    let results = Results::new(api.on.ledger.clone(), &request, Some(api.on.links.clone()));
    let pieces = stream::try_unfold((results, api, caller), |(mut results, api, caller)| async move {
        may_still(&api, &caller).await?;
        Ok(results.piece().await?.map(|piece| (piece, (results, api, caller))))
    });
    Ok(answer::named(answer::stream(CSV, pieces), "results.csv"))
}

/// A line for each failed image, to be corrected and sent to retry
#[utoipa::path(
    get, operation_id = "showFailed", path = "/v1/requests/{id}/failed.csv", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn failed(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let request = api.standing(&caller, &id).await?.request;
    let failures = Failures::new(api.on.ledger.clone(), &request);
    let pieces = stream::try_unfold((failures, api, caller), |(mut failures, api, caller)| async move {
        may_still(&api, &caller).await?;
        Ok(failures.piece().await?.map(|piece| (piece, (failures, api, caller))))
    });
    Ok(answer::named(answer::stream(CSV, pieces), "failed.csv"))
}

/// An answer ends with its caller's key: a long one would go on for hours.
pub(super) async fn may_still(api: &Api, caller: &Caller) -> Result<(), Fault> {
    match api.access.holds(caller).await? {
        true => Ok(()),
        false => Err(Fault::permanent(Code::AuthInvalid, "the key was revoked meanwhile")),
    }
}
