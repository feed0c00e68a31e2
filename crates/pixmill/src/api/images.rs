//! Images of a request.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, stream};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::ImageStatus;

use super::Api;
use super::access::Caller;
use super::answer;
use super::csv::may_still;
use super::problem::{Problem, ProblemBody};
use super::query::{Id, Query};
use super::view::{ImageBody, Page};
use super::words::ImageWord;

/// List images of a request, in the order of the catalogue
#[utoipa::path(
    get, operation_id = "listImages", path = "/v1/requests/{id}/images", tag = "requests",
    params(
        ("id" = String, Path),
        ("status" = inline(Option<ImageWord>), Query, description = "Those that stand so"),
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
    let mut listing = Listing { api, caller, request, status, after, left, begun: false, ended: false };
    // What can't be read is a problem, not half an answer.
    let first = listing.piece().await?;
    let first = stream::iter(first.map(Ok));
    let rest = stream::try_unfold(listing, |mut listing| async move {
        Ok(listing.piece().await?.map(|piece| (piece, listing)))
    });
    Ok(answer::stream("application/json", first.chain(rest)))
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
