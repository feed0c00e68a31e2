//! Images of a request.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, stream};
use http::StatusCode;
use pixmill_engine::catalogue::fields;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView};
use pixmill_engine::port::records::RequestView;
use pixmill_engine::results::query::ImageQuery;

use super::Api;
use super::access::Caller;
use super::answer;
use super::csv::may_still;
use super::problem::{Problem, ProblemBody};
use super::query::{Id, Image, Query};
use super::search::{PIECE, search};
use super::view::{CellBody, ImageBody, OneImageBody, Page};
use super::words::ImageWord;

/// List images of a request, in the order of the catalogue
#[utoipa::path(
    get, operation_id = "listImages", path = "/v1/requests/{id}/images", tag = "requests",
    params(
        ("id" = String, Path),
        ("status" = inline(Option<ImageWord>), Query, description = "Those that stand so"),
        ("q" = Option<String>, Query, description = "Those that fit: words of the address or of any cell, and status: code: host: sku: name: row:10-90 saved:<5% bytes:>1MB. A page of a question may hold fewer than were asked for, even none, while has_more is true: then the next one goes on looking"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Page<ImageBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    let request = api.standing(&caller, &id).await?.request.id;
    let left = query.limit()?;
    let status = query.one_of("status", &ImageStatus::ALL, ImageStatus::as_str)?;
    let after = query.get("cursor").map(ImageId::from);
    if let Some(asked) = query.said("q") {
        let asked = question(asked, status)?;
        let found = search(&*api.on.ledger, &request, &asked, after, left, PIECE).await?;
        let data = found.images.iter().map(|view| ImageBody::new(view, &api.on.links)).collect();
        return Ok(answer::json(StatusCode::OK, &Page::piece(data, found.next.map(|next| next.to_string()))));
    }
    let mut listing = Listing { api, caller, request, status, after, left, begun: false, ended: false };
    // What can't be read is a problem, not half an answer.
    let first = listing.piece().await?;
    let first = stream::iter(first.map(Ok));
    let rest = stream::try_unfold(listing, |mut listing| async move {
        Ok(listing.piece().await?.map(|piece| (piece, listing)))
    });
    Ok(answer::stream("application/json", first.chain(rest)))
}

/// What is asked for, as people write it.
///
/// # Errors
/// `query.invalid`
pub(super) fn question(text: &str, status: Option<ImageStatus>) -> Result<ImageQuery, Problem> {
    let status = status.map(|status| format!(" status:{}", status.as_str())).unwrap_or_default();
    ImageQuery::parse(&format!("{text}{status}")).map_err(|allowed| Problem::parameter("q", allowed))
}

/// Show an image
#[utoipa::path(
    get, operation_id = "showImage", path = "/v1/requests/{id}/images/{image}", tag = "requests",
    params(("id" = String, Path), ("image" = String, Path)),
    responses((status = 200, body = OneImageBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    Image(image): Image,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let view = one(&api, &standing, &image).await?;
    let row = row_of(&api, &standing, view.row).await?;
    Ok(answer::json(StatusCode::OK, &OneImageBody { image: ImageBody::new(&view, &api.on.links), row }))
}

/// An image of a request.
///
/// # Errors
/// `request.not_found`
pub(super) async fn one(api: &Api, standing: &RequestView, image: &str) -> Result<ImageView, Problem> {
    let found = api.on.ledger.image(&standing.request.id, &ImageId::from(image)).await?;
    let unknown = || Problem::new(Code::RequestNotFound, format!("the request has no image {image:?}"));
    found.ok_or_else(unknown)
}

/// The columns of an image's row; none where another program made the request, whose rows have no numbers.
pub(super) async fn row_of(api: &Api, standing: &RequestView, row: u64) -> Result<Vec<CellBody>, Problem> {
    if standing.request.foreign {
        return Ok(Vec::new());
    }
    let rows = api.on.ledger.rows(&standing.request.id, row, 1).await?;
    let cells = rows.first().map(|row| fields(&row.cells)).unwrap_or_default();
    let mut columns = fields(&standing.request.header).into_iter();
    let named = cells.into_iter().map(|value| CellBody { column: columns.next().unwrap_or_default(), value });
    Ok(named.collect())
}

/// Most images that are held at a time, whatever was asked for.
const AT_A_TIME: usize = 250;

/// A page of images on its way.
struct Listing {
    api: Arc<Api>,
    caller: Caller,
    request: RequestId,
    status: Option<ImageStatus>,
    after: Option<ImageId>,
    left: usize,
    begun: bool,
    ended: bool,
}

impl Listing {
    /// The next piece; `None` after the last one.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        if self.begun {
            may_still(&self.api, &self.caller).await?;
        }
        // Once all that was asked for is there, one more is asked for, which tells whether there is more.
        let most = self.left.clamp(1, AT_A_TIME);
        let found = self.api.on.ledger.images(&self.request, self.status, self.after.as_ref(), most).await?;
        let mut text = if self.begun { String::new() } else { "{\"data\":[".to_owned() };
        if found.is_empty() || self.left == 0 {
            self.ended = true;
            let after = self.after.as_ref().filter(|_| !found.is_empty()).map(ToString::to_string);
            let cursor = serde_json::to_string(&after).expect("text can be written");
            let _ = write!(text, "],\"next_cursor\":{cursor},\"has_more\":{}}}", !found.is_empty());
            return Ok(Some(text.into_bytes()));
        }
        for view in &found {
            let comma = if std::mem::replace(&mut self.begun, true) { "," } else { "" };
            let body = serde_json::to_string(&ImageBody::new(view, &self.api.on.links));
            let _ = write!(text, "{comma}{}", body.expect("what is shown can be written"));
        }
        self.left -= found.len();
        self.after = found.last().map(|view| view.image.clone());
        Ok(Some(text.into_bytes()))
    }
}
