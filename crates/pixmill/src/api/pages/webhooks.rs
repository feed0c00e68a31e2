//! Tries to tell webhooks, and telling again: one event, or all whose last try since a time was in vain.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::event::Delivery;

use super::super::Api;
use super::super::access::Caller;
use super::super::deliveries::{self, DeliveryBody};
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::text::{self, Moment};
use super::{Page, Section, act, field, form, redirect};

/// Tries on a page, that are looked through at a time, and in all.
const SHOWN: usize = 50;
const AT_A_TIME: usize = 500;
const MOST: usize = 50_000;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Webhooks {
    page: Page,
    tries: Vec<Try>,
    request: String,
    failed: bool,
    next: Option<String>,
}

struct Try {
    body: DeliveryBody,
    at: Moment,
    took: Option<String>,
    /// The body that was sent, a line a field where it is JSON as a whole.
    sent: Option<String>,
}

impl Try {
    fn new(body: DeliveryBody, at: Moment) -> Self {
        let took = body.took_ms.map(|took| text::duration(Duration::from_millis(took)));
        let sent = body.body.as_deref().map(in_lines);
        Try { body, at, took, sent }
    }
}

/// JSON with a line a field; all else as it is.
fn in_lines(body: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(body);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| body.to_owned())
}

/// Shows tries, latest first.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let failed = query.said("failed") == Some("true");
    let request = match query.said("request") {
        Some(id) => Some(api.standing(&caller, id).await?.request.id),
        None => None,
    };
    let (mut found, mut before, mut next) = (Vec::new(), query.said("before").map(str::to_owned), None);
    let mut looked = 0;
    'pages: while looked < MOST {
        let page = api
            .on
            .ledger
            .deliveries_of(&caller.tenant, request.as_ref(), before.as_deref(), AT_A_TIME)
            .await?;
        looked += AT_A_TIME;
        let over = page.is_empty();
        for delivery in page {
            if found.len() == SHOWN {
                next = before;
                break 'pages;
            }
            before = Some(delivery.id.clone());
            if !failed || !is_heard(&delivery) {
                found.push(delivery);
            }
        }
        if over {
            break;
        }
    }
    let now = api.on.clock.wall();
    let shown = deliveries::shown(&api, &caller, &found).await?;
    let tries = shown.into_iter().zip(&found);
    let page = Page::of(&api, &caller, Section::Webhooks, "Webhooks").with_notice(act::notice(&query));
    let webhooks = Webhooks {
        tries: tries.map(|(body, delivery)| Try::new(body, text::moment(delivery.at, now))).collect(),
        request: request.map(|id| id.to_string()).unwrap_or_default(),
        failed,
        next,
        page,
    };
    Ok(super::show(StatusCode::OK, &webhooks))
}

fn is_heard(delivery: &Delivery) -> bool {
    delivery.answer.as_ref().is_ok_and(|answer| answer.is_success())
}

/// Tells an event again.
pub(in crate::api) async fn again(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    deliveries::redeliver_it(&api, &caller, &id).await?;
    Ok(redirect(&api, "/webhooks?done=told"))
}

/// Tells all events again whose last try was in vain, of those tried within so many hours.
pub(in crate::api) async fn recover(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let pairs = form(request.into_body()).await?;
    let hours: u64 = field(&pairs, "hours").parse().unwrap_or(24).clamp(1, 24 * 30);
    let now = api.on.clock.wall();
    let since = now - Duration::from_secs(hours * 3600);
    let (mut seen, mut before, mut told, mut looked) = (BTreeSet::new(), None::<String>, 0, 0);
    while looked < MOST {
        let page = api.on.ledger.deliveries_of(&caller.tenant, None, before.as_deref(), AT_A_TIME).await?;
        looked += AT_A_TIME;
        let over = page.is_empty();
        before = page.last().map(|last| last.id.clone());
        let is_old = page.last().is_some_and(|last| last.at < since);
        for delivery in page.into_iter().filter(|delivery| delivery.at >= since) {
            // The latest try of an event comes first, and says whether it was heard.
            if seen.insert(delivery.event.clone()) && !is_heard(&delivery) {
                told += u64::from(api.on.ledger.redeliver(&delivery.id, now).await?);
            }
        }
        if over || is_old {
            break;
        }
    }
    Ok(redirect(&api, &format!("/webhooks?done=recovered-{told}")))
}
