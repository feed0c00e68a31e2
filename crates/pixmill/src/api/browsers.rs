//! Which web pages may call from a browser: the Fetch standard's CORS, off unless asked for.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Answers preflights, and lets pages of these origins read answers. They show a key like anybody else: what is trusted
/// for its network alone stays closed to pages of other sites.
pub(super) fn layer(origins: &[HeaderValue]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    let own = ["idempotency-key", "last-event-id"].map(HeaderName::from_static);
    let told = ["x-request-id", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(
            own.into_iter().chain([header::AUTHORIZATION, header::CONTENT_TYPE]).collect::<Vec<_>>(),
        )
        .expose_headers(
            told.map(HeaderName::from_static)
                .into_iter()
                .chain([header::LOCATION, header::RETRY_AFTER])
                .collect::<Vec<_>>(),
        )
        .max_age(REMEMBERED)
}
