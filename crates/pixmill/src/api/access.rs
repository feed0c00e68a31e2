//! Who may call: holders of keys, and networks that are trusted. A key belongs to a tenant.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::{self, Key};
use pixmill_engine::model::request::DEFAULT_TENANT;
use pixmill_engine::port::records::Ledger;

use super::Api;
use super::problem::Problem;

/// How long keys that were read hold: a revoked one is refused after this.
const FRESH: Duration = Duration::from_secs(1);

/// Whoever calls, once known.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Whose requests are shown.
    pub(super) tenant: Arc<str>,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// A key that holds.
struct Known {
    tenant: Arc<str>,
    per_minute: Option<NonZeroU32>,
    limiter: Option<Arc<Limiter>>,
}

/// The keys that hold, read again and again.
#[derive(Default)]
struct Snapshot {
    read: Option<Instant>,
    by_hash: Arc<HashMap<String, Known>>,
}

/// Judges calls.
pub(super) struct Access {
    ledger: Arc<dyn Ledger>,
    /// Networks that need no key; none set: loopback, while no key exists.
    trust: Vec<IpNet>,
    snapshot: Mutex<Snapshot>,
}

impl Access {
    pub(super) fn new(ledger: Arc<dyn Ledger>, trust: Vec<IpNet>) -> Self {
        Access { ledger, trust, snapshot: Mutex::default() }
    }

    /// Whether nobody but this machine may call.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn is_closed(&self) -> Result<bool, Fault> {
        Ok(self.trust.is_empty() && self.known().await?.is_empty())
    }

    /// The keys that hold. Limits go on counting from one reading to the next.
    async fn known(&self) -> Result<Arc<HashMap<String, Known>>, Fault> {
        let old = {
            let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            if snapshot.read.is_some_and(|read| read.elapsed() < FRESH) {
                return Ok(snapshot.by_hash.clone());
            }
            snapshot.by_hash.clone()
        };
        let read = Instant::now();
        let keys = self.ledger.keys().await?;
        let holding = keys.into_iter().filter(|key| key.revoked.is_none());
        let by_hash = Arc::new(holding.map(|key| known(key, &old)).collect::<HashMap<_, _>>());
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        *snapshot = Snapshot { read: Some(read), by_hash: by_hash.clone() };
        Ok(by_hash)
    }

    /// Who it is that calls; what the key allows is told in headers, also to whoever is refused.
    async fn judge(&self, parts: &Parts, told: &mut HeaderMap) -> Result<Caller, Problem> {
        let known = self.known().await?;
        if let Some(shown) = parts.headers.get(header::AUTHORIZATION) {
            let secret = shown.to_str().ok().and_then(bearer);
            let found = secret.and_then(|secret| known.get(&key::hash(secret)));
            let found =
                found.ok_or_else(|| Problem::new(Code::AuthInvalid, "the key is unknown or revoked"))?;
            found.limit(told)?;
            return Ok(Caller { tenant: found.tenant.clone() });
        }
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
        let trusted = peer.is_some_and(|peer| self.trusts(peer, known.is_empty()));
        if trusted && !is_from_another_site(&parts.headers) {
            return Ok(Caller { tenant: DEFAULT_TENANT.into() });
        }
        Err(Problem::new(Code::AuthMissing, "this server asks for a key"))
    }

    fn trusts(&self, peer: IpAddr, keyless: bool) -> bool {
        match self.trust.as_slice() {
            [] => keyless && peer.is_loopback(),
            trust => trust.iter().any(|range| range.contains(&peer)),
        }
    }
}

fn known(key: Key, old: &HashMap<String, Known>) -> (String, Known) {
    let per_minute = key.per_minute.and_then(NonZeroU32::new);
    let before = old.get(&key.hash).filter(|before| before.per_minute == per_minute);
    let limiter = before.and_then(|before| before.limiter.clone()).or_else(|| {
        let quota = Quota::per_minute(per_minute?);
        Some(Arc::new(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>()))
    });
    (key.hash, Known { tenant: key.tenant.into(), per_minute, limiter })
}

impl Known {
    /// Counts a call; what is left is told in headers.
    fn limit(&self, told: &mut HeaderMap) -> Result<(), Problem> {
        let (Some(limiter), Some(per_minute)) = (&self.limiter, self.per_minute) else { return Ok(()) };
        match limiter.check() {
            Ok(state) => {
                told.extend(limits(per_minute, state.remaining_burst_capacity()));
                Ok(())
            }
            Err(early) => {
                told.extend(limits(per_minute, 0));
                let wait = early.wait_time_from(DefaultClock::default().now());
                let detail = format!("the key allows {per_minute} calls in a minute");
                Err(Problem::new(Code::RateLimited, detail).after(wait))
            }
        }
    }
}

fn limits(per_minute: NonZeroU32, remaining: u32) -> [(HeaderName, HeaderValue); 3] {
    let missing = u64::from(per_minute.get().saturating_sub(remaining));
    let reset = (missing * 60).div_ceil(u64::from(per_minute.get()));
    let told = [
        ("ratelimit-limit", u64::from(per_minute.get())),
        ("ratelimit-remaining", u64::from(remaining)),
        ("ratelimit-reset", reset),
    ];
    told.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value)))
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, secret) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// A page of another site, in the browser of somebody on a trusted network, must not act in their name. Nor may one
/// whose own host name leads here.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    matches!(site, Some(b"cross-site" | b"same-site"))
        || headers.get(header::ORIGIN).is_some_and(|origin| !is_of_host(origin, headers.get(header::HOST)))
}

fn is_of_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let text = origin.to_str().unwrap_or_default();
    let named = text.split_once("://").map_or("", |(_, named)| named);
    host.is_some_and(|host| host.as_bytes() == named.as_bytes())
}

/// Lets pass who may call, and tells them their limits.
pub(super) async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut limits = HeaderMap::new();
    let mut response = match api.access.judge(&parts, &mut limits).await {
        Err(problem) => problem.into_response(),
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
    };
    response.headers_mut().extend(limits);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_our_own() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            pairs.iter().map(pair).collect()
        };
        assert!(!is_from_another_site(&headers(&[])));
        assert!(!is_from_another_site(&headers(&[("host", "h:1"), ("origin", "http://h:1")])));
        assert!(is_from_another_site(&headers(&[("host", "h:1"), ("origin", "http://evil")])));
        assert!(is_from_another_site(&headers(&[("host", "h:1"), ("origin", "null")])));
        assert!(is_from_another_site(&headers(&[("sec-fetch-site", "cross-site")])));
    }

    #[test]
    fn keys_are_shown_as_bearers() {
        assert_eq!(bearer("Bearer pxm_1"), Some("pxm_1"));
        assert_eq!(bearer("bearer  pxm_1"), Some("pxm_1"));
        assert_eq!(bearer("Basic eDp5"), None);
        assert_eq!(bearer("pxm_1"), None);
    }
}
