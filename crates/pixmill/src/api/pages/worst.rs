//! The twenty pictures to look at before anything is published: those that became smaller least, and those that became
//! smallest, where a score tells more.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::super::Api;
use super::super::access::Caller;
use super::super::foremost::Order;
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::images::{Tile, tiles};
use super::line::Line;
use super::{Page, Section, show_with};

#[derive(Template)]
#[template(path = "worst.html")]
struct Worst {
    page: Page,
    line: Line,
    tiles: Vec<Tile>,
    searched: u64,
    /// Not all were looked at.
    in_part: bool,
    by_score: bool,
}

/// Shows them.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let by_score = query.one_of("by", &[false, true], |score| if score { "score" } else { "saving" })?;
    let by_score = by_score.unwrap_or(false);
    let order = if by_score { Order::MostSaved } else { Order::LeastSaved };
    let found = api.foremost.of(&api.on.ledger, &standing, order).await?;
    let title = format!("Worst of {}", standing.request.catalogue);
    let page = Page::of(&api, &caller, Section::Requests, title);
    let (tiles, origins) = tiles(&api, &standing, &page.base, &found.images).await?;
    let line = Line::new(&standing, api.on.clock.wall());
    let (searched, in_part) = (found.searched, found.next.is_some());
    let worst = Worst { page, line, tiles, searched, in_part, by_score };
    Ok(show_with(StatusCode::OK, &worst, &origins))
}
