//! Around every call: its id, its place in logs and metrics, and how problems and headers are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, header};
use pixmill_engine::code::Code;
use tracing::Instrument;
use uuid::Uuid;

use super::Api;
use super::listen::Seat;
use super::problem::{AsPage, Problem};

const CALL_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a caller's own that is taken over, bytes.
const LONGEST_ID: usize = 64;

/// What no route is called in metrics and logs: paths that nobody serves could be anything.
const NO_ROUTE: &str = "none";

/// Names the call, times it, and writes its problem.
pub(super) async fn observe(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let call = call_id(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, |path| path.as_str());
    let route = route.strip_prefix(api.base.as_str()).unwrap_or(route).to_owned();
    let (request, body_ended) = followed(request);
    let span = tracing::info_span!("call", call, %method, route);
    let seat = request.extensions().get::<Arc<Seat>>().cloned();
    let standing = seat.as_ref().is_some_and(|seat| seat.is_standing()) && !HEALTH.contains(&&*route);
    let mut response = match standing {
        true => full().into_response(),
        false => next.run(request).instrument(span).await,
    };
    let mut refused = response.extensions_mut().remove::<AsPage>().map(|AsPage(code)| code);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers = std::mem::take(response.headers_mut());
        response = problem.render(&call);
        for (name, value) in headers {
            if let Some(name) = name.filter(|name| !response.headers().contains_key(name)) {
                response.headers_mut().insert(name, value);
            }
        }
        refused = Some(problem.code());
    }
    if let Some(code) = refused {
        if !body_ended.load(Ordering::Relaxed) {
            seat.iter().for_each(|seat| seat.linger());
        }
        if standing || !body_ended.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        tracing::info!(call, %method, route, status = response.status().as_u16(), %code, "refused");
    }
    if let Ok(id) = HeaderValue::from_str(&call) {
        response.headers_mut().insert(CALL_ID, id);
    }
    api.metrics.count_call(&method, &route, response.status(), began.elapsed());
    tracing::debug!(call, %method, route, status = response.status().as_u16(), ms = began.elapsed().as_millis(), "call");
    response
}

/// What is answered even where there is no room.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

fn full() -> Problem {
    let detail = "there is no room for more connections now";
    Problem::new(Code::RateLimited, detail).unavailable().after(Duration::from_secs(2))
}

/// The request, and whether its body has been read to its end. Where it was not, the connection ends with the answer, and
/// a client that is not told so sends its next call into it.
fn followed(request: Request) -> (Request, Arc<AtomicBool>) {
    let (parts, body) = request.into_parts();
    let ended = Arc::new(AtomicBool::new(body.is_end_stream()));
    if body.is_end_stream() {
        return (Request::from_parts(parts, body), ended);
    }
    let seen = ended.clone();
    let end = stream::poll_fn(move |_| {
        seen.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    let body = Body::from_stream(body.into_data_stream().chain(end));
    (Request::from_parts(parts, body), ended)
}

/// The caller's own id where it is one that a log can hold, else a new one.
fn call_id(request: &Request) -> String {
    let own = request.headers().get(CALL_ID).and_then(|id| id.to_str().ok());
    let fits = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    own.filter(fits).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Browsers are to take nothing for what it is not, nor to show it inside other pages.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
