//! Hosts that pictures come from: how they stand, and what an operator wants of them.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::model::time::Timestamp;

use super::super::Api;
use super::super::access::Caller;
use super::super::hosts::{HostBody, gathered, limit_of, ordered, pause_of};
use super::super::problem::Problem;
use super::super::query::Query;
use super::text::{self, Moment};
use super::{Page, Section, act, field, form, in_query, redirect};
use crate::hosts::Order;

#[derive(Template)]
#[template(path = "hosts.html")]
struct Hosts {
    page: Page,
    hosts: Vec<Line>,
}

/// A host as the page shows it.
struct Line {
    body: HostBody,
    /// When it is asked again, and when an operator said what.
    quiet: Option<Moment>,
    paused: Option<Moment>,
    ordered: Option<Moment>,
}

impl Line {
    fn new(body: HostBody, now: Timestamp) -> Self {
        let moment = |text: &Option<String>| {
            let at = text.as_deref().and_then(Timestamp::parse);
            at.map(|at| if at > now { text::ahead(at, now) } else { text::moment(at, now) })
        };
        let (quiet, paused) = (moment(&body.quiet_until), moment(&body.paused_until));
        Line { quiet, paused, ordered: moment(&body.ordered_at), body }
    }

    fn word(&self) -> &'static str {
        match self.body.state {
            "paused" => "paused",
            "quiet" => "left alone",
            "slowed" => "slowed",
            _ if self.body.under_way > 0 => "asked now",
            _ => "fine",
        }
    }

    fn mood(&self) -> &'static str {
        match self.body.state {
            "paused" => "still",
            "quiet" => "bad",
            "slowed" => "warn",
            _ if self.body.under_way > 0 => "busy",
            _ => "good",
        }
    }

    /// What went wrong most often.
    fn worst(&self) -> Option<String> {
        let worst = self.body.asked.faults.first()?;
        Some(format!("{} {}", text::count(worst.requests), worst.code))
    }

    /// How long requests took, half of them and nearly all.
    fn took(&self) -> Option<(String, String)> {
        let told = |milliseconds: u64| text::duration(Duration::from_millis(milliseconds));
        Some((told(self.body.asked.median_ms?), told(self.body.asked.slowest_ms?)))
    }

    /// Whether anything can be wanted of it: what is counted together is no host.
    fn is_one(&self) -> bool {
        self.body.host != "others"
    }
}

/// Shows them, those that stand still first.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    caller.must_operate()?;
    let now = api.on.clock.wall();
    let hosts = gathered(&api).await?.into_iter().map(|body| Line::new(body, now)).collect();
    let page = Page::of(&api, &caller, Section::Hosts, "Hosts").with_notice(notice(&query));
    Ok(super::show(StatusCode::OK, &Hosts { page, hosts }))
}

/// What was done, and to which host.
fn notice(query: &Query) -> Option<String> {
    let host = query.said("host").unwrap_or("the host");
    Some(match query.said("done")? {
        "paused" => {
            format!("{host} is paused: every worker leaves it alone within seconds. No attempt is counted.")
        }
        "resumed" => format!("{host} goes on."),
        "limited" => format!("The limit of {host} holds at every worker within seconds."),
        _ => return act::notice(query),
    })
}

/// Does what an operator wants of a host.
pub(in crate::api) async fn order(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let pairs = form(request.into_body()).await?;
    let (order, done) = match field(&pairs, "do") {
        "pause" => (pause_of(Some(field(&pairs, "minutes")))?, "paused"),
        "resume" => (Order::Resume, "resumed"),
        "limit" => (limit_of(Some(field(&pairs, "most")))?, "limited"),
        _ => return Err(Problem::new(Code::QueryInvalid, "the form says not what to do")),
    };
    let host = ordered(&api, &caller, field(&pairs, "host"), order).await?;
    Ok(redirect(&api, &format!("/hosts?done={done}&host={}", in_query(&host))))
}
