//! Answers that are JSON, text or a stream.

use axum::body::Body;
use axum::response::Response;
use futures::Stream;
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pixmill_engine::fault::Fault;
use serde::Serialize;

/// JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("what is shown can be written");
    of(status, "application/json", Body::from(text))
}

/// A body of a media type.
pub(super) fn of(status: StatusCode, media_type: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let media_type = HeaderValue::from_str(media_type);
    response.headers_mut().extend(media_type.ok().map(|value| (header::CONTENT_TYPE, value)));
    response
}

/// What may stand as it is in a name that is percent-encoded (RFC 8187).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// With the name under which a browser saves it (RFC 6266): in ASCII, and as it is where that differs.
pub(super) fn named(mut response: Response, name: &str) -> Response {
    let name: String =
        name.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let plain: String = name.chars().map(|c| if c.is_ascii() && c != '"' { c } else { '_' }).collect();
    let mut disposition = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        disposition.push_str(&format!("; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED)));
    }
    let disposition = HeaderValue::from_str(&disposition).ok();
    response.headers_mut().extend(disposition.map(|value| (header::CONTENT_DISPOSITION, value)));
    response
}

/// Pieces as they come. A fault in the middle breaks the connection off, so that nobody takes half for the whole.
pub(super) fn stream(
    media_type: &str,
    pieces: impl Stream<Item = Result<Vec<u8>, Fault>> + Send + 'static,
) -> Response {
    of(StatusCode::OK, media_type, Body::from_stream(pieces))
}

/// Events as they come.
pub(super) fn events(pieces: impl Stream<Item = Result<Vec<u8>, Fault>> + Send + 'static) -> Response {
    let mut response = stream("text/event-stream", pieces);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies of the nginx kind would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
