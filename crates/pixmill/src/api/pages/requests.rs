//! The list of requests: is it done, and is it worse than last time?

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::port::records::RequestView;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::words::REQUEST_STATUSES;
use super::line::{Line, previous};
use super::{Page, Section, act, in_query};

/// Requests on a page, and how many older ones are looked at for one of the same name.
const SHOWN: usize = 25;
const OLDER: usize = 150;

/// How long requests are looked for that fit.
const WITHIN: Duration = Duration::from_millis(180);

#[derive(Template)]
#[template(path = "requests.html")]
struct Requests {
    page: Page,
    lines: Vec<Line>,
    status: String,
    name: String,
    failed: bool,
    next: Option<String>,
    origin: String,
}

impl Requests {
    fn is_filtered(&self) -> bool {
        !self.status.is_empty() || !self.name.is_empty() || self.failed
    }

    /// The address of this list, with something else at its end.
    fn address(&self, more: &str) -> String {
        let mut text = format!("{}/requests?", self.page.base);
        for (name, value) in [("status", &self.status), ("name", &self.name)] {
            if !value.is_empty() {
                text.push_str(&format!("{name}={}&", in_query(value)));
            }
        }
        if self.failed {
            text.push_str("failed=true&");
        }
        text + more
    }
}

/// Shows the list.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let status = query.said("status");
    let status = status.and_then(|text| REQUEST_STATUSES.iter().copied().find(|one| one.as_str() == text));
    let name = query.said("name").unwrap_or_default().to_owned();
    let failed = query.flag("failed").unwrap_or_default();
    let before = match query.said("before") {
        Some(before) => Some(api.standing(&caller, before).await?.request.id),
        None => None,
    };
    let fits = |view: &RequestView| {
        (!failed || view.progress.failed > 0)
            && view.request.catalogue.to_lowercase().contains(&name.to_lowercase())
    };
    let (views, next) = listed(&api, &caller, status, before, fits).await?;
    let now = api.on.clock.wall();
    let older = match views.last() {
        Some(last) => {
            let ledger = &api.on.ledger;
            ledger.requests_of(&caller.tenant, None, Some(&last.request.id), OLDER).await?
        }
        None => Vec::new(),
    };
    let shown = views.len();
    let views: Vec<RequestView> = views.into_iter().chain(older).collect();
    let line = |at: usize| {
        let line = Line::new(&views[at], now);
        match previous(&views, at) {
            Some(before) if !views[at].request.status.is_open() => line.beside(&views[at], before),
            _ => line,
        }
    };
    let page = Page::of(&api, &caller, Section::Requests, "Requests").with_notice(act::notice(&query));
    let requests = Requests {
        lines: (0..shown).map(line).collect(),
        status: status.map(RequestStatus::as_str).unwrap_or_default().to_owned(),
        name,
        failed,
        next: next.map(|next| next.to_string()),
        origin: api.on.links.clone(),
        page,
    };
    Ok(super::show(StatusCode::OK, &requests))
}

/// Requests that fit, latest first, and where to go on.
async fn listed(
    api: &Api,
    caller: &Caller,
    status: Option<RequestStatus>,
    mut before: Option<RequestId>,
    fits: impl Fn(&RequestView) -> bool,
) -> Result<(Vec<RequestView>, Option<RequestId>), Problem> {
    let (mut found, began) = (Vec::new(), Instant::now());
    loop {
        let page = api.on.ledger.requests_of(&caller.tenant, status, before.as_ref(), 4 * SHOWN).await?;
        let Some(last) = page.last().map(|view| view.request.id.clone()) else { return Ok((found, None)) };
        for view in page {
            if found.len() == SHOWN {
                return Ok((found, before));
            }
            before = Some(view.request.id.clone());
            if fits(&view) {
                found.push(view);
            }
        }
        if began.elapsed() >= WITHIN {
            return Ok((found, Some(last)));
        }
    }
}
