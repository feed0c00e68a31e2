//! Images of a request.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::ImageStatus;

use super::Api;
use super::access::Caller;
use super::answer::json;
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
    let id = api.standing(&caller, &id).await?.request.id;
    let limit = query.limit()?;
    let status = query.one_of("status", &ImageStatus::ALL, ImageStatus::as_str)?;
    let after = query.get("cursor").map(ImageId::from);
    let found = api.on.ledger.images(&id, status, after.as_ref(), limit + 1).await?;
    let page =
        Page::of(found, limit, |view| view.image.to_string(), |view| ImageBody::new(view, &api.on.links));
    Ok(json(StatusCode::OK, &page))
}
