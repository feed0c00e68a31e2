//! Who may call: holders of keys, and networks that are trusted. A key belongs to a tenant.

mod guesses;
mod head;

use std::collections::{HashMap, VecDeque};
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
use url::Url;

use super::Api;
use super::crowd::{Kind, holding};
use super::problem::Problem;
use guesses::Guesses;
use head::Client;

pub(super) use guesses::whose;

/// How long keys that were read hold: a revoked one is refused after this.
const FRESH: Duration = Duration::from_secs(1);

/// Addresses that a key is remembered to have come from.
const ADDRESSES: usize = 16;

/// Whoever calls, once known.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Whose requests are shown.
    pub(super) tenant: Arc<str>,
    by: By,
}

/// Why somebody may call.
#[derive(Debug, Clone)]
enum By {
    /// A key of this hash.
    Key(Arc<str>),
    /// This address is trusted.
    Trust(IpAddr),
}

impl Caller {
    /// Whether it is one of those who run the server: somebody who needs no key, or whose key is the default tenant's.
    pub(super) fn operates(&self) -> bool {
        *self.tenant == *DEFAULT_TENANT
    }
}

/// The ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// The other one.
    pub(super) peer: SocketAddr,
    /// This one.
    pub(super) local: Option<SocketAddr>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// A key that holds.
struct Known {
    tenant: Arc<str>,
    per_minute: Option<NonZeroU32>,
    limiter: Option<Arc<Limiter>>,
    /// Where it came from before: it is looked at even where others guess there.
    came_from: Arc<Mutex<VecDeque<IpAddr>>>,
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
    doors: Doors,
    guesses: Guesses,
    snapshot: Mutex<Snapshot>,
}

/// What opens the server beside keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors {
    /// Networks that need no key; none set: loopback, while no key exists.
    pub(super) trust: Vec<IpNet>,
    /// Proxies that say truly for whom they ask.
    pub(super) proxies: Vec<IpNet>,
    /// What links begin with: its host is the server's.
    pub(super) public: Option<Url>,
}

/// What somebody is told whose key was revoked meanwhile.
pub(super) fn revoked() -> Problem {
    Problem::new(Code::AuthInvalid, "the key was revoked meanwhile")
}

impl Access {
    pub(super) fn new(ledger: Arc<dyn Ledger>, doors: Doors) -> Self {
        Access { ledger, doors, guesses: Guesses::default(), snapshot: Mutex::default() }
    }

    /// Whether somebody who was let in may still call.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn holds(&self, caller: &Caller) -> Result<bool, Fault> {
        let known = self.known().await?;
        Ok(match &caller.by {
            By::Key(hash) => known.contains_key(&**hash),
            By::Trust(address) => self.trusts(*address, known.is_empty()),
        })
    }

    /// Returns once somebody who was let in may call no more.
    pub(super) async fn is_revoked(&self, caller: &Caller) -> Problem {
        loop {
            tokio::time::sleep(FRESH).await;
            // While records are away nothing can be taken in either.
            if let Ok(false) = self.holds(caller).await {
                return revoked();
            }
        }
    }

    /// Whether nobody but this machine may call.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn is_closed(&self) -> Result<bool, Fault> {
        Ok(self.doors.trust.is_empty() && self.known().await?.is_empty())
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
        let ends = parts.extensions.get::<Ends>().copied();
        let peer = ends.map(|ends| ends.peer.ip().to_canonical());
        if let Some(shown) = parts.headers.get(header::AUTHORIZATION) {
            let from = peer.map(|peer| head::counted(peer, &parts.headers, &self.doors.proxies));
            return self.by_key(&known, shown, from, told);
        }
        let needed = |why: String| Err(Problem::new(Code::AuthMissing, why));
        let Some((ends, peer)) = ends.zip(peer) else { return needed("this server asks for a key".into()) };
        let trusted = |address| self.trusts(address, known.is_empty());
        let address = match head::client(peer, &parts.headers, &self.doors.proxies, trusted) {
            Client::Direct(address) | Client::Forwarded(address) => address,
            Client::Hidden(header) if trusted(peer) && !self.is_proxy(peer) => {
                return needed(format!(
                    "the call came through a proxy ({header}), so that it is not known who made it: send a key, or name \
                     the proxy with --trust-proxy"
                ));
            }
            Client::Hidden(_) => return needed("this server asks for a key".into()),
        };
        if !trusted(address) {
            return needed("this server asks for a key".into());
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let local = ends.local.map(|local| local.ip().to_canonical());
        if !head::is_own_host(host, local, self.doors.public.as_ref()) {
            return needed(format!(
                "without a key, calls are answered under localhost, this machine's own address and the host of the \
                 public URL, not under {host:?}: send a key, or name the host with --public-url"
            ));
        }
        if head::is_from_another_site(&parts.method, &parts.headers, &self.own_origins(host, peer)) {
            return needed("a page of another site can't call without a key".into());
        }
        Ok(Caller { tenant: DEFAULT_TENANT.into(), by: By::Trust(address) })
    }

    fn by_key(
        &self,
        known: &HashMap<String, Known>,
        shown: &HeaderValue,
        from: Option<IpAddr>,
        told: &mut HeaderMap,
    ) -> Result<Caller, Problem> {
        let hash = shown.to_str().ok().and_then(bearer).map(key::hash);
        let found = hash.and_then(|hash| known.get(&hash).map(|found| (found, hash)));
        let now = Instant::now();
        let wait = from.and_then(|from| self.guesses.must_wait(from, now));
        if let Some(wait) = wait.filter(|_| !found.as_ref().is_some_and(|(key, _)| key.is_known_at(from))) {
            let detail = "too many keys that are unknown or revoked came from this address";
            return Err(Problem::new(Code::RateLimited, detail).after(wait));
        }
        let Some((found, hash)) = found else {
            from.iter().for_each(|from| self.guesses.wrong(*from, now));
            return Err(Problem::new(Code::AuthInvalid, "the key is unknown or revoked"));
        };
        found.remember(from);
        found.limit(told)?;
        Ok(Caller { tenant: found.tenant.clone(), by: By::Key(hash.into()) })
    }

    /// What a browser says a page of this server's comes from.
    fn own_origins(&self, host: &str, peer: IpAddr) -> Vec<String> {
        let mut own = vec![format!("http://{host}")];
        if self.is_proxy(peer) {
            own.push(format!("https://{host}"));
        }
        own.extend(self.doors.public.as_ref().map(|public| public.origin().ascii_serialization()));
        own
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.doors.proxies.iter().any(|range| range.contains(&address))
    }

    fn trusts(&self, address: IpAddr, keyless: bool) -> bool {
        match self.doors.trust.as_slice() {
            [] => keyless && address.is_loopback(),
            trust => trust.iter().any(|range| range.contains(&address)),
        }
    }
}

fn known(key: Key, old: &HashMap<String, Known>) -> (String, Known) {
    let per_minute = key.per_minute.and_then(NonZeroU32::new);
    let before = old.get(&key.hash);
    let came_from = before.map(|before| before.came_from.clone()).unwrap_or_default();
    let before = before.filter(|before| before.per_minute == per_minute);
    let limiter = before.and_then(|before| before.limiter.clone()).or_else(|| {
        let quota = Quota::per_minute(per_minute?);
        Some(Arc::new(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>()))
    });
    (key.hash, Known { tenant: key.tenant.into(), per_minute, limiter, came_from })
}

impl Known {
    fn is_known_at(&self, address: Option<IpAddr>) -> bool {
        let came_from = self.came_from.lock().unwrap_or_else(PoisonError::into_inner);
        address.is_none_or(|address| came_from.contains(&whose(address)))
    }

    fn remember(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(whose) else { return };
        let mut came_from = self.came_from.lock().unwrap_or_else(PoisonError::into_inner);
        if !came_from.contains(&address) {
            came_from.truncate(ADDRESSES - 1);
            came_from.push_front(address);
        }
    }

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

/// Lets pass who may call, and tells them their limits.
pub(super) async fn check(
    State((api, kind)): State<(Arc<Api>, Kind)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut limits = HeaderMap::new();
    let judged = api.access.judge(&parts, &mut limits).await;
    let let_in = judged.and_then(|caller| Ok((api.crowds.enter(kind, &caller.tenant)?, caller)));
    let mut response = match let_in {
        Err(problem) => problem.into_response(),
        Ok((place, caller)) => {
            parts.extensions.insert(caller);
            holding(next.run(Request::from_parts(parts, body)).await, place)
        }
    };
    response.headers_mut().extend(limits);
    response
}

/// Refuses calls that don't say clearly which host they are for.
pub(super) async fn one_host(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match head::one_host(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_bearers() {
        assert_eq!(bearer("Bearer pxm_1"), Some("pxm_1"));
        assert_eq!(bearer("bearer  pxm_1"), Some("pxm_1"));
        assert_eq!(bearer("Basic eDp5"), None);
        assert_eq!(bearer("pxm_1"), None);
    }
}
