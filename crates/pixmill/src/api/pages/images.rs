//! Images of a request: found by words and qualifiers, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{ImageStatus, ImageView};
use pixmill_engine::port::records::RequestView;
use pixmill_engine::results::query::{ImageQuery, QUALIFIERS};
use url::Url;

use super::super::Api;
use super::super::access::Caller;
use super::super::images::question;
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::super::search::{PIECE, search};
use super::line::Line;
use super::request::Names;
use super::text::{self, Moment};
use super::{Page, Section, act, in_query, show_with};

/// Images on a page.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "images.html")]
struct Images {
    page: Page,
    line: Line,
    asked: String,
    tiles: Vec<Tile>,
    next: Option<String>,
    searched: u64,
    wrong: Option<String>,
}

/// An image in a list.
pub(super) struct Tile {
    pub(super) image: String,
    pub(super) row: u64,
    pub(super) position: u32,
    pub(super) name: String,
    pub(super) input: String,
    /// Where its output can be seen.
    pub(super) picture: Option<String>,
    pub(super) status: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
    pub(super) bytes: Option<(String, String)>,
    pub(super) saved: Option<String>,
    pub(super) attempts: u32,
    pub(super) ended: Option<Moment>,
}

impl Images {
    fn address(&self, asked: &str) -> String {
        format!("{}/requests/{}/images?q={}", self.page.base, self.line.id, in_query(asked))
    }

    fn qualifiers(&self) -> &'static [(&'static str, &'static str)] {
        &QUALIFIERS
    }

    /// Whether what is asked for may be retried: images that failed.
    fn asks_for_failed(&self) -> bool {
        let asked = ImageQuery::parse(&self.asked).ok().and_then(|asked| asked.status());
        asked == Some(ImageStatus::Failed) && self.line.failed > 0
    }
}

/// Shows images that fit.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let asked = query.said("q").unwrap_or_default().trim().to_owned();
    let (question, wrong) = match question(&asked, None) {
        Ok(question) => (question, None),
        Err(problem) => (ImageQuery::default(), Some(problem.detail().to_owned())),
    };
    let after = query.said("after").map(ImageId::from);
    let found = search(&*api.on.ledger, &standing.request.id, &question, after, SHOWN, PIECE).await?;
    let title = format!("Images of {}", standing.request.catalogue);
    let page = Page::of(&api, &caller, Section::Requests, title).with_notice(act::notice(&query));
    let (tiles, origins) = tiles(&api, &standing, &page.base, &found.images).await?;
    let images = Images {
        line: Line::new(&standing, api.on.clock.wall()),
        asked,
        tiles,
        next: found.next.map(|next| next.to_string()),
        searched: found.searched,
        wrong,
        page,
    };
    Ok(show_with(StatusCode::OK, &images, &origins))
}

/// Images as lists show them, and the origins that their pictures come from.
pub(super) async fn tiles(
    api: &Api,
    standing: &RequestView,
    base: &str,
    views: &[ImageView],
) -> Result<(Vec<Tile>, BTreeSet<String>), Problem> {
    let names = Names::of(&*api.on.ledger, &standing.request, views).await?;
    let now = api.on.clock.wall();
    let mut origins = BTreeSet::new();
    let mut tiles = Vec::new();
    for view in views {
        let (output, failure) = (view.slot.output.as_ref(), view.slot.failure.as_ref());
        let picture = output.and_then(|output| picture(&output.location, base));
        if let Some(origin) = picture.as_deref().and_then(|picture| Url::parse(picture).ok()) {
            origins.insert(origin.origin().ascii_serialization());
        }
        tiles.push(Tile {
            image: view.image.to_string(),
            row: view.row + 1,
            position: view.position + 1,
            name: names.name(view),
            input: view.input.clone(),
            picture,
            status: view.slot.status.as_str(),
            code: failure.map(|failure| failure.code.as_str()),
            message: failure.map(|failure| failure.message.clone()).unwrap_or_default(),
            bytes: output.map(|output| (text::bytes(output.bytes_before), text::bytes(output.bytes_after))),
            saved: output.and_then(|output| text::saved(output.bytes_before, output.bytes_after)),
            attempts: view.attempts,
            ended: view.ended.map(|at| text::moment(at, now)),
        });
    }
    Ok((tiles, origins))
}

/// Where a browser finds an output: under this server's own address, however it was called, or where the storage has it.
pub(super) fn picture(location: &str, base: &str) -> Option<String> {
    match location.contains("://") {
        true => text::followed(location),
        false => Some(pixmill_engine::results::link(location, base)),
    }
}
