//! Why images of a request failed: by code, and by the host that was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::port::records::{Ledger, RequestView};
use pixmill_engine::results::query::host_of;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::query::Id;

/// Failures whose hosts are looked at, at a time and for how long; of more, the codes alone are told.
const AT_A_TIME: usize = 1_000;
const WITHIN: Duration = Duration::from_millis(80);

/// Hosts of a code that are told apart.
const MOST_HOSTS: usize = 100;

/// Failures of one kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FailureGroup)]
pub(super) struct GroupBody {
    /// From the one list.
    pub(super) code: &'static str,
    /// What to do about it.
    pub(super) advice: &'static str,
    /// Images that failed so.
    pub(super) images: u64,
    /// The address of the first of them.
    pub(super) example: String,
    /// Its sentence.
    pub(super) message: String,
    /// The hosts that were asked, those with most failures first.
    pub(super) hosts: Vec<HostBody>,
}

/// Failures of one kind at one host.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FailuresOfHost)]
pub(super) struct HostBody {
    /// With its port where it has one; empty for what names no host.
    pub(super) host: String,
    /// Images that failed so.
    pub(super) images: u64,
    /// The address of the first of them.
    pub(super) example: String,
}

/// All failures of a request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Failures)]
pub(super) struct FailuresBody {
    /// By code, most frequent first.
    pub(super) data: Vec<GroupBody>,
    /// Whether hosts were counted over all failures. Of very many, those of the first are told.
    pub(super) hosts_complete: bool,
}

/// Show why images failed
///
/// Grouped by code, and each code by host.
#[utoipa::path(
    get, operation_id = "showFailures", path = "/v1/requests/{id}/failures", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = FailuresBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let id = api.standing(&caller, &id).await?.request.id;
    Ok(json(StatusCode::OK, &grouped(&*api.on.ledger, &id).await?))
}

/// Failures of a request that stands so. Where nothing failed, nothing is read.
///
/// # Errors
/// Those of records.
pub(super) async fn of(ledger: &dyn Ledger, standing: &RequestView) -> Result<FailuresBody, Fault> {
    match standing.progress.failed {
        0 => Ok(FailuresBody { data: Vec::new(), hosts_complete: true }),
        _ => grouped(ledger, &standing.request.id).await,
    }
}

/// Failures of a request by code and host.
///
/// # Errors
/// Those of records.
pub(super) async fn grouped(ledger: &dyn Ledger, id: &RequestId) -> Result<FailuresBody, Fault> {
    let groups = ledger.failures(id).await?;
    let (mut hosts, hosts_complete) =
        if groups.is_empty() { (HashMap::new(), true) } else { by_host(ledger, id).await? };
    let group = groups.into_iter().map(|group| {
        let mut hosts: Vec<HostBody> = hosts.remove(&group.code).unwrap_or_default().into_values().collect();
        hosts.sort_by(|one, other| other.images.cmp(&one.images).then_with(|| one.host.cmp(&other.host)));
        hosts.truncate(MOST_HOSTS);
        GroupBody {
            code: group.code.as_str(),
            advice: group.code.advice(),
            images: group.images,
            example: group.example,
            message: group.message,
            hosts,
        }
    });
    Ok(FailuresBody { data: group.collect(), hosts_complete })
}

type ByHost = HashMap<Code, HashMap<String, HostBody>>;

async fn by_host(ledger: &dyn Ledger, id: &RequestId) -> Result<(ByHost, bool), Fault> {
    let (mut found, began) = (ByHost::new(), Instant::now());
    let mut after = None;
    loop {
        let page = ledger.images(id, Some(ImageStatus::Failed), after.as_ref(), AT_A_TIME).await?;
        let Some(last) = page.last() else { return Ok((found, true)) };
        after = Some(last.image.clone());
        for view in &page {
            let Some(failure) = &view.slot.failure else { continue };
            let hosts = found.entry(failure.code).or_default();
            let host = host_of(&view.input);
            // A catalogue may name as many hosts as pictures.
            if hosts.len() >= 10 * MOST_HOSTS && !hosts.contains_key(&host) {
                continue;
            }
            let new = || HostBody { host: host.clone(), images: 0, example: view.input.clone() };
            hosts.entry(host.clone()).or_insert_with(new).images += 1;
        }
        if began.elapsed() >= WITHIN {
            return Ok((found, false));
        }
    }
}
