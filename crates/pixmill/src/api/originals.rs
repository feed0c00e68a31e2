//! Originals, which are not kept: a look at one asks its shop anew. By an image's id alone, so that nobody is led anywhere
//! that no catalogue names.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::look::{Seen, Size, Tried};
use pixmill_engine::model::image::ImageView;
use pixmill_engine::port::records::RequestView;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer;
use super::images::one;
use super::problem::{Problem, ProblemBody};
use super::query::{Id, Image, Query};
use super::words::SizeWord;

/// An image's original
///
/// Asked for anew under the same guard and bounds as the work, for originals are not kept, and encoded anew as WebP, no
/// larger than outputs are. Kept for a while, for whoever looks again.
#[utoipa::path(
    get, operation_id = "showOriginal", path = "/v1/requests/{id}/images/{image}/original", tag = "requests",
    params(
        ("id" = String, Path),
        ("image" = String, Path),
        ("size" = inline(Option<SizeWord>), Query, description = "Fit inside 320 (thumb), 1600 (screen, the usual one) or 4096 pixels (full)"),
    ),
    responses(
        (status = 200, content_type = "image/webp", body = Vec<u8>),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Among them 502: the shop does not give it, as the code says"),
    )
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    Image(image): Image,
    query: Query,
) -> Result<Response, Problem> {
    let size = query.one_of("size", &Size::ALL, Size::as_str)?.unwrap_or(Size::Screen);
    let standing = api.standing(&caller, &id).await?;
    let view = one(&api, &standing, &image).await?;
    let recipe = &standing.request.recipe;
    let seen = api.on.looks.original(&caller.tenant, &view.input, size, recipe).await;
    Ok(picture(seen.map_err(not_seen)?))
}

/// A picture that somebody else's bytes were made of: shown as one, and as nothing else.
pub(super) fn picture(seen: Seen) -> Response {
    let mut response = answer::of(StatusCode::OK, seen.format.media_type(), Body::from(seen.bytes));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "private, max-age=900"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a picture can't be shown: mostly its shop's doing.
pub(super) fn not_seen(fault: Fault) -> Problem {
    match fault.code {
        Code::BackendUnavailable => fault.into(),
        code if code.as_str().starts_with("image.") => {
            Problem::new(code, fault.message).with_status(StatusCode::UNPROCESSABLE_ENTITY)
        }
        code => Problem::new(code, fault.message).with_status(StatusCode::BAD_GATEWAY),
    }
}

/// How an output compares with its original.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Score)]
pub(super) struct ScoreBody {
    /// How alike the two are, by SSIMULACRA2: 100 for equal ones; 90 looks the same side by side, 70 good, 50 so-so. None
    /// where they can't be compared.
    pub(super) score: Option<f64>,
    /// Bytes of the original as it is now.
    original_bytes: u64,
    /// Whether the original is another than the one that was worked: the score is that of the one that is there now.
    pub(super) changed: bool,
    /// What the score means.
    pub(super) meaning: &'static str,
}

impl ScoreBody {
    fn new(tried: &Tried, view: &ImageView) -> Self {
        let output = view.slot.output.as_ref();
        let as_then = output.is_none_or(|output| {
            output.bytes_before == tried.bytes_before && output.bytes_after == tried.made.bytes.len() as u64
        });
        let score = rounded(tried);
        ScoreBody { score, original_bytes: tried.bytes_before, changed: !as_then, meaning: meaning(score) }
    }
}

/// A score as it is told, to two places.
pub(super) fn rounded(tried: &Tried) -> Option<f64> {
    tried.score.map(|score| (score * 100.0).round() / 100.0)
}

/// What a score means, in words.
pub(super) fn meaning(score: Option<f64>) -> &'static str {
    match score {
        None => "they can't be compared",
        Some(90.0..) => "looks the same side by side",
        Some(80.0..) => "hardly to be told apart",
        Some(70.0..) => "good",
        Some(50.0..) => "differences can be seen",
        Some(_) => "differs plainly",
    }
}

/// How alike an image's output and its original are
///
/// The original is asked for anew, and what the request's recipe makes of it is held against it: the same recipe makes the
/// same output.
#[utoipa::path(
    get, operation_id = "showScore", path = "/v1/requests/{id}/images/{image}/score", tag = "requests",
    params(("id" = String, Path), ("image" = String, Path)),
    responses(
        (status = 200, body = ScoreBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn score(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    Image(image): Image,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let view = one(&api, &standing, &image).await?;
    Ok(answer::json(StatusCode::OK, &scored(&api, &caller, &standing, &view).await?))
}

/// Scores an image's output.
///
/// # Errors
/// `request.state` for one that has none; why the original can't be had.
pub(super) async fn scored(
    api: &Api,
    caller: &Caller,
    standing: &RequestView,
    view: &ImageView,
) -> Result<ScoreBody, Problem> {
    if view.slot.output.is_none() {
        return Err(Problem::new(
            Code::RequestState,
            "the image has no output yet, so there is nothing to compare",
        ));
    }
    let looks = &api.on.looks;
    let source = looks.fetched(&caller.tenant, &view.input).await.map_err(not_seen)?;
    let tried = looks.tried(source, &standing.request.recipe).await.map_err(not_seen)?;
    Ok(ScoreBody::new(&tried, view))
}
