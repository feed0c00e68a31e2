//! Hosts that pictures come from: how they stand at every worker, what came of asking them, and what operators want.

mod gather;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::model::key::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{FieldError, Problem, ProblemBody};
use super::query::{Host, Query};
use super::view::Page;
use crate::hosts::{self, LARGEST_LIMIT, LONGEST_PAUSE, Order};

pub(super) use gather::gathered;

/// A host that pictures come from.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HostStanding)]
pub(super) struct HostBody {
    /// Its name, with the port where that is not the scheme's own.
    pub(super) host: String,
    /// `fine`; `slowed` where it refused too many requests; `quiet` where it is left alone after faults in a row, or as
    /// it asked; `paused` by an operator.
    pub(super) state: &'static str,
    /// Requests under way, at all workers.
    pub(super) under_way: usize,
    /// How many may be.
    pub(super) allowed: usize,
    /// Images that wait for it at workers. There may be more in records.
    pub(super) waiting: usize,
    /// Requests a second that it is asked for at most, where that is limited by what it refused.
    pub(super) requests_per_second: Option<f64>,
    /// Requests that it refused as too many.
    pub(super) refusals: u64,
    /// It is left alone until then, unless it is asked again sooner.
    pub(super) quiet_until: Option<String>,
    /// Why it is left alone, from the one list.
    pub(super) code: Option<String>,
    /// The same in a sentence.
    pub(super) message: Option<String>,
    /// An operator's pause ends then; none where it lasts, or there is none.
    pub(super) paused_until: Option<String>,
    /// Most requests under way at each worker that an operator allows.
    pub(super) limit: Option<usize>,
    /// Who said so last, and when.
    pub(super) ordered_by: Option<String>,
    pub(super) ordered_at: Option<String>,
    /// What came of asking it in the last seven days.
    pub(super) asked: TallyBody,
}

/// What came of asking a host. These are requests, of which an image may take several.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HostTally)]
pub(super) struct TallyBody {
    /// Requests that are over.
    pub(super) requests: u64,
    /// Those that brought a file.
    pub(super) fetched: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    /// Half of them took this long at most, and 95 of 100, milliseconds, roughly.
    pub(super) median_ms: Option<u64>,
    pub(super) slowest_ms: Option<u64>,
    /// Those that brought none, by code, most frequent first.
    pub(super) faults: Vec<FaultBody>,
}

/// Requests that brought no file for one reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HostFault)]
pub(super) struct FaultBody {
    pub(super) code: String,
    pub(super) requests: u64,
}

/// List hosts that pictures come from
///
/// Those that stand still first, then those that are slowed, then the busiest. For those who run the server: whoever needs
/// no key, and keys of the tenant `default`.
#[utoipa::path(
    get, operation_id = "listHosts", path = "/v1/hosts", tag = "operation",
    responses((status = 200, body = Page<HostBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    caller.must_operate()?;
    Ok(json(StatusCode::OK, &Page::piece(gathered(&api).await?, None)))
}

/// Leave a host alone
///
/// Every worker stops asking it within seconds. What is under way goes on to its end; what waits goes on waiting, and no
/// attempt is counted.
#[utoipa::path(
    post, operation_id = "pauseHost", path = "/v1/hosts/{host}/pause", tag = "operation",
    params(("host" = String, Path), ("minutes" = Option<u64>, Query, minimum = 1, maximum = 10080, description = "So long; until it is resumed otherwise")),
    responses((status = 200, body = HostBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Host(host): Host,
    query: Query,
) -> Result<Response, Problem> {
    let host = ordered(&api, &caller, &host, pause_of(query.said("minutes"))?).await?;
    Ok(json(StatusCode::OK, &stands_now(&api, host).await?))
}

/// Go on asking a host that was paused
#[utoipa::path(
    post, operation_id = "resumeHost", path = "/v1/hosts/{host}/resume", tag = "operation", params(("host" = String, Path)),
    responses((status = 200, body = HostBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Host(host): Host,
) -> Result<Response, Problem> {
    let host = ordered(&api, &caller, &host, Order::Resume).await?;
    Ok(json(StatusCode::OK, &stands_now(&api, host).await?))
}

/// Limit the requests under way to a host
///
/// At each worker, of what `--per-origin` allows. Without `most` that alone holds again.
#[utoipa::path(
    post, operation_id = "limitHost", path = "/v1/hosts/{host}/limit", tag = "operation",
    params(("host" = String, Path), ("most" = Option<u64>, Query, minimum = 1, maximum = 1000)),
    responses((status = 200, body = HostBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn limit(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Host(host): Host,
    query: Query,
) -> Result<Response, Problem> {
    let host = ordered(&api, &caller, &host, limit_of(query.said("most"))?).await?;
    Ok(json(StatusCode::OK, &stands_now(&api, host).await?))
}

/// A pause as a query or a form says it: of so many minutes, or until it is resumed.
///
/// # Errors
/// `query.invalid`.
pub(super) fn pause_of(said: Option<&str>) -> Result<Order, Problem> {
    let minutes = number(said, "minutes", LONGEST_PAUSE)?;
    Ok(Order::Pause(minutes.map(|minutes| Duration::from_secs(60 * minutes))))
}

/// A limit as a query or a form says it: of so many at a time, or none.
///
/// # Errors
/// `query.invalid`.
pub(super) fn limit_of(said: Option<&str>) -> Result<Order, Problem> {
    let most = number(said, "most", LARGEST_LIMIT as u64)?;
    Ok(Order::Limit(most.map(|most| most as usize)))
}

/// A whole number of a query or a form, from 1.
fn number(said: Option<&str>, name: &str, most: u64) -> Result<Option<u64>, Problem> {
    let Some(said) = said.map(str::trim).filter(|said| !said.is_empty()) else { return Ok(None) };
    let number = said.parse().ok().filter(|number| (1..=most).contains(number));
    number
        .map(Some)
        .ok_or_else(|| Problem::parameter(name, format!("allowed are whole numbers from 1 to {most}")))
}

/// Has an operator's order obeyed: the name of the host that is meant.
///
/// # Errors
/// `auth.role`; `query.invalid` for what is no host; `request.state` where too many stand already.
pub(super) async fn ordered(api: &Api, caller: &Caller, said: &str, order: Order) -> Result<String, Problem> {
    caller.must_operate()?;
    caller.must_be(Role::Admin)?;
    let wrong =
        "that names no host: allowed are names such as shop.example, with a port where it has one of its own";
    let host = hosts::host(said).ok_or_else(|| {
        let error = FieldError::of_field(Code::QueryInvalid, "host", wrong);
        Problem::new(Code::QueryInvalid, wrong).because(vec![error])
    })?;
    let (ledger, now) = (&*api.on.ledger, api.on.clock.wall());
    let mut wishes = hosts::wishes(ledger, now).await?;
    if wishes.len() >= hosts::MOST && !wishes.contains_key(&host) {
        let detail = format!("something is wanted of {} hosts already: resume some first", hosts::MOST);
        return Err(Problem::new(Code::RequestState, detail));
    }
    let wanted = wishes.remove(&host).unwrap_or_default();
    hosts::order(ledger, &host, wanted, order, &caller.who(), now).await?;
    api.note(caller, order.action(), &host, None, order.detail()).await;
    Ok(host)
}

/// How a host stands, also one of which nothing is known yet.
async fn stands_now(api: &Api, host: String) -> Result<HostBody, Problem> {
    let all = gathered(api).await?;
    let found = all.into_iter().find(|found| found.host == host);
    Ok(found.unwrap_or_else(|| HostBody { host, state: "fine", ..HostBody::default() }))
}
