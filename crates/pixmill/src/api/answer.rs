//! Answers that are JSON, text or a stream.

use axum::body::Body;
use axum::response::Response;
use futures::Stream;
use http::{HeaderValue, StatusCode, header};
use pixmill_engine::fault::Fault;
use serde::Serialize;

/// JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("what is shown can be written");
    of(status, "application/json", Body::from(text))
}

/// A body of a media type.
pub(super) fn of(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Pieces as they come. A fault in the middle breaks the connection off, so that nobody takes half for the whole.
pub(super) fn stream(
    media_type: &'static str,
    pieces: impl Stream<Item = Result<Vec<u8>, Fault>> + Send + 'static,
) -> Response {
    of(StatusCode::OK, media_type, Body::from_stream(pieces))
}
