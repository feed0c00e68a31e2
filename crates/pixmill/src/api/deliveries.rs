//! Tries to tell webhooks, and telling them again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::pipeline::webhook::sign;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::query::{Id, Query};
use super::view::{Page, without_query};

/// A try to tell a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub(super) struct DeliveryBody {
    /// Its id.
    pub(super) id: String,
    /// The event's id: `webhook-id` of each try.
    pub(super) event_id: String,
    /// The request that the event is about.
    pub(super) request_id: String,
    /// Who was told, without the query, which may hold secrets. Where that is the server's own webhook, only those who
    /// run the server see it, and what it answered.
    pub(super) url: Option<String>,
    /// When.
    pub(super) at: String,
    /// How long it took, milliseconds; nothing where nobody was called.
    pub(super) took_ms: Option<u64>,
    /// The headers that name and sign the event; of the signature no more than that there was one.
    pub(super) headers: Option<BTreeMap<&'static str, String>>,
    /// The body as it was sent, 4,096 bytes at most; nothing where nobody was called, and for tries from before it was
    /// kept.
    pub(super) body: Option<String>,
    /// Whether it was taken.
    pub(super) success: bool,
    /// What the receiver answered.
    pub(super) status: Option<u16>,
    /// The beginning of its answer.
    pub(super) answer: Option<String>,
    /// Why there was no answer, from the one list.
    pub(super) code: Option<&'static str>,
    /// The same in a sentence.
    pub(super) message: Option<String>,
}

impl DeliveryBody {
    /// As it was; of one that is not the caller's own, who was told and what it said are left out.
    fn new(delivery: &Delivery, own: bool) -> Self {
        let (answer, failure) = (delivery.answer.as_ref().ok(), delivery.answer.as_ref().err());
        let failure = failure.filter(|_| own).map(|failure| (failure.code.as_str(), failure.message.clone()));
        DeliveryBody {
            id: delivery.id.clone(),
            event_id: delivery.event.clone(),
            request_id: delivery.request.to_string(),
            url: own.then(|| without_query(&delivery.url)),
            at: delivery.at.to_string(),
            took_ms: delivery.took.map(|took| took.as_millis() as u64),
            headers: delivery.took.map(|_| sign::masked(&delivery.event, delivery.at)),
            body: delivery.body.clone(),
            success: answer.is_some_and(|answer| answer.is_success()),
            status: answer.map(|answer| answer.status),
            answer: answer.filter(|_| own).map(|answer| answer.beginning.clone()),
            code: failure.as_ref().map(|(code, _)| *code),
            message: failure.map(|(_, message)| message),
        }
    }
}

/// Whose address each request named itself, of those that tries are about.
async fn named(
    api: &Api,
    caller: &Caller,
    deliveries: &[Delivery],
) -> Result<HashMap<RequestId, Option<String>>, Problem> {
    let mut named = HashMap::new();
    for delivery in deliveries.iter().filter(|_| !caller.operates()) {
        if !named.contains_key(&delivery.request) {
            let request = api.on.ledger.request(&delivery.request).await?;
            named.insert(delivery.request.clone(), request.and_then(|request| request.webhook));
        }
    }
    Ok(named)
}

/// Whether a caller may know who was told: whoever runs the server, and whose request named that address itself.
fn is_own(caller: &Caller, named: &HashMap<RequestId, Option<String>>, delivery: &Delivery) -> bool {
    let own = named.get(&delivery.request).and_then(Option::as_deref);
    caller.operates() || own == Some(&delivery.url)
}

/// List tries to tell webhooks, latest first
#[utoipa::path(
    get, operation_id = "listDeliveries", path = "/v1/webhooks/deliveries", tag = "webhooks",
    params(
        ("requestId" = Option<String>, Query, description = "Those about this request"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Page<DeliveryBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let limit = query.limit()?;
    let request = match query.said("requestId") {
        Some(id) => Some(api.standing(&caller, id).await?.request.id),
        None => None,
    };
    let (request, cursor) = (request.as_ref(), query.said("cursor"));
    let found = api.on.ledger.deliveries_of(&caller.tenant, request, cursor, limit + 1).await?;
    let named = named(&api, &caller, &found).await?;
    let show = |delivery: &Delivery| DeliveryBody::new(delivery, is_own(&caller, &named, delivery));
    let page = Page::of(found, limit, false, |delivery| delivery.id.clone(), show);
    Ok(json(StatusCode::OK, &page))
}

/// Tell an event again
///
/// It is due at once, under the same `webhook-id`, with all its tries before it.
#[utoipa::path(
    post, operation_id = "redeliver", path = "/v1/webhooks/deliveries/{id}/redeliver", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 202, body = DeliveryBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn redeliver(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let delivery = redeliver_it(&api, &caller, &id).await?;
    let body = shown(&api, &caller, std::slice::from_ref(&delivery)).await?;
    Ok(json(StatusCode::ACCEPTED, &body[0]))
}

/// Has an event told again.
///
/// # Errors
/// `request.not_found`
pub(super) async fn redeliver_it(api: &Api, caller: &Caller, id: &str) -> Result<Delivery, Problem> {
    let unknown = || Problem::new(Code::RequestNotFound, format!("there is no delivery {id:?}"));
    let delivery = api.on.ledger.delivery_of(&caller.tenant, id).await?.ok_or_else(unknown)?;
    if !api.on.ledger.redeliver(id, api.on.clock.wall()).await? {
        return Err(unknown());
    }
    Ok(delivery)
}

/// Tries as a caller may see them.
///
/// # Errors
/// Those of records.
pub(super) async fn shown(
    api: &Api,
    caller: &Caller,
    deliveries: &[Delivery],
) -> Result<Vec<DeliveryBody>, Problem> {
    let named = named(api, caller, deliveries).await?;
    let show = |delivery: &Delivery| DeliveryBody::new(delivery, is_own(caller, &named, delivery));
    Ok(deliveries.iter().map(show).collect())
}
