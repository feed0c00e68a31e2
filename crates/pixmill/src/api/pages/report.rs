//! A request as a report for those who don't look at dashboards: one page that prints well.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::super::Api;
use super::super::access::Caller;
use super::super::failures::{self, FailuresBody};
use super::super::foremost::Order;
use super::super::problem::Problem;
use super::super::query::Id;
use super::images::{Tile, tiles};
use super::line::Line;
use super::request::pace;
use super::text::Moment;
use super::{Page, Section, show_with, text};

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    page: Page,
    line: Line,
    /// How fast it goes, and how long it will take.
    pace: Option<(String, String)>,
    groups: FailuresBody,
    worst: Vec<Tile>,
    /// When it was made.
    now: Moment,
}

/// Shows it.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let groups = failures::of(&*api.on.ledger, &standing).await?;
    let found = api.foremost.of(&api.on.ledger, &standing, Order::LeastSaved).await?;
    let page =
        Page::of(&api, &caller, Section::Requests, format!("Report of {}", standing.request.catalogue));
    let (worst, origins) = tiles(&api, &standing, &page.base, &found.images).await?;
    let now = api.on.clock.wall();
    let (line, pace) = (Line::new(&standing, now), pace(&api, &standing));
    let report = Report { line, pace, groups, worst, now: text::moment(now, now), page };
    Ok(show_with(StatusCode::OK, &report, &origins))
}
