//! One image: its picture, its figures, its row.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::super::Api;
use super::super::access::Caller;
use super::super::images::{one, row_of};
use super::super::originals::{ScoreBody, scored};
use super::super::problem::Problem;
use super::super::query::{Id, Image, Query};
use super::super::view::CellBody;
use super::images::{Tile, tiles};
use super::line::Line;
use super::{Page, Section, show_with, text};

#[derive(Template)]
#[template(path = "image.html")]
struct OneImage {
    page: Page,
    line: Line,
    tile: Tile,
    row: Vec<CellBody>,
    /// The address of the original, where it may be followed.
    original: Option<String>,
    advice: &'static str,
    next: Option<String>,
    /// How alike before and after are, where that was asked, or why it can't be told.
    score: Option<ScoreBody>,
    no_score: Option<String>,
}

impl OneImage {
    /// Where the original can be seen.
    fn original_picture(&self) -> String {
        format!("/v1/requests/{}/images/{}/original", self.line.id, self.tile.image)
    }

    fn score_address(&self) -> String {
        format!("/v1/requests/{}/images/{}/score", self.line.id, self.tile.image)
    }
}

/// Shows an image.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    Image(image): Image,
    query: Query,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let view = one(&api, &standing, &image).await?;
    let next = api.on.ledger.images(&standing.request.id, None, Some(&view.image), 1).await?;
    let title = format!("Row {}, picture {}", view.row + 1, view.position + 1);
    let page = Page::of(&api, &caller, Section::Requests, title);
    let (mut found, origins) = tiles(&api, &standing, &page.base, std::slice::from_ref(&view)).await?;
    let tile = found.remove(0);
    let (score, no_score) = match query.flag("score")? {
        false => (None, None),
        true => match scored(&api, &caller, &standing, &view).await {
            Ok(score) => (Some(score), None),
            Err(problem) => (None, Some(problem.detail().to_owned())),
        },
    };
    let shown = OneImage {
        line: Line::new(&standing, api.on.clock.wall()),
        row: row_of(&api, &standing, view.row).await?,
        original: text::followed(&view.input),
        advice: view.slot.failure.as_ref().map_or("", |failure| failure.code.advice()),
        next: next.first().map(|next| next.image.to_string()),
        tile,
        score,
        no_score,
        page,
    };
    Ok(show_with(StatusCode::OK, &shown, &origins))
}
