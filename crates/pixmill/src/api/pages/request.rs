//! One request: how far it is, why images failed, and what can be done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::catalogue::{Account, fields};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::ImageView;
use pixmill_engine::model::request::Request;
use pixmill_engine::model::row::RowError;
use pixmill_engine::port::records::{Ledger, RequestView};

use super::super::Api;
use super::super::access::Caller;
use super::super::failures::{self, FailuresBody};
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::super::search::cells;
use super::super::view::without_query;
use super::line::{self, Line};
use super::{Page, Section, act, in_query};

/// Requests among which one of the same name is looked for, and rows that are told of.
const OLDER: usize = 200;
const ROW_ERRORS: usize = 20;

#[derive(Template)]
#[template(path = "request.html")]
struct OneRequest {
    page: Page,
    line: Line,
    /// How fast it goes, and how long it will take.
    pace: Option<(String, String)>,
    groups: FailuresBody,
    row_errors: Vec<RowError>,
    understood: Vec<String>,
    webhook: Option<String>,
    foreign: bool,
}

impl OneRequest {
    fn query(&self, text: &str) -> String {
        in_query(text)
    }
}

/// Shows a request.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let ledger = &api.on.ledger;
    let request = &standing.request;
    let mut row_errors =
        if request.row_errors > 0 { ledger.row_errors(&request.id).await? } else { Vec::new() };
    row_errors.truncate(ROW_ERRORS);
    let understood = match request.reading.is_empty() {
        true => Vec::new(),
        false => Account::parse(&request.reading).understood.summary(),
    };
    let page = Page::of(&api, &caller, Section::Requests, request.catalogue.clone());
    let groups = failures::of(&**ledger, &standing).await?;
    let one = OneRequest {
        page: page.with_notice(act::notice(&query)),
        pace: pace(&api, &standing),
        groups,
        row_errors,
        understood,
        webhook: request.webhook.as_deref().map(without_query),
        foreign: request.foreign,
        line: beside_the_last(&api, &caller, &standing).await?,
    };
    Ok(super::show(StatusCode::OK, &one))
}

/// A request beside the last one of its name.
async fn beside_the_last(api: &Api, caller: &Caller, standing: &RequestView) -> Result<Line, Problem> {
    let line = Line::new(standing, api.on.clock.wall());
    if standing.request.status.is_open() {
        return Ok(line);
    }
    let before = Some(&standing.request.id);
    let older = api.on.ledger.requests_of(&caller.tenant, None, before, OLDER).await?;
    let views: Vec<RequestView> = std::iter::once(standing.clone()).chain(older).collect();
    Ok(match line::previous(&views, 0) {
        Some(before) => line.beside(standing, before),
        None => line,
    })
}

/// How fast it went since its intake: all that one look can tell.
pub(super) fn pace(api: &Api, standing: &RequestView) -> Option<(String, String)> {
    let progress = standing.progress;
    let during = api.on.clock.wall().since(standing.request.created);
    if !standing.request.status.is_open() || standing.request.round > 1 || during < Duration::from_secs(2) {
        return None;
    }
    line::pace(progress.ended(), progress.pending + progress.processing, during)
}

/// What the products of images are called.
pub(super) struct Names {
    /// The cell of a row that names its product.
    column: Option<usize>,
    cells: BTreeMap<u64, String>,
}

impl Names {
    /// Those of images of a request; rows are read only where one of their cells is a name.
    pub(super) async fn of(
        ledger: &dyn Ledger,
        request: &Request,
        views: &[ImageView],
    ) -> Result<Self, Fault> {
        let understood = Account::parse(&request.reading).understood;
        let columns = fields(&request.header);
        let column =
            understood.name_column.and_then(|name| columns.iter().position(|column| *column == name));
        let cells = match column {
            Some(_) if !request.foreign => {
                cells(ledger, &request.id, views.iter().map(|view| view.row)).await?
            }
            _ => BTreeMap::new(),
        };
        Ok(Names { column, cells })
    }

    /// A product's name; nothing where the catalogue has none.
    pub(super) fn name(&self, view: &ImageView) -> String {
        let found = self.column.zip(self.cells.get(&view.row));
        found.and_then(|(column, cells)| fields(cells).into_iter().nth(column)).unwrap_or_default()
    }
}
