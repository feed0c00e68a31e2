//! Who may call: holders of keys, and networks that are trusted. A key belongs to a tenant.

mod guesses;
mod head;
mod known;
pub(super) mod session;
mod setup;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, header};
use ipnet::IpNet;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::{self, Role};
use pixmill_engine::model::request::DEFAULT_TENANT;
use pixmill_engine::port::records::Ledger;
use url::Url;

use super::Api;
use super::crowd::{Kind, holding};
use super::problem::Problem;
use guesses::Guesses;
use head::Client;
use known::{Known, known};
use session::{Session, Sessions};
use setup::Setup;

pub(super) use guesses::whose;
pub(super) use setup::SetUp;

/// How long keys that were read hold: a revoked one is refused after this.
const FRESH: Duration = Duration::from_secs(1);

/// Whoever calls, once known.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Whose requests are shown.
    pub(super) tenant: Arc<str>,
    /// What the caller may do.
    pub(super) role: Role,
    /// What the caller's key is called; nothing for one who needs none.
    pub(super) name: Option<Arc<str>>,
    /// The key's id.
    pub(super) key_id: Option<Arc<str>>,
    /// Where the call came from, as far as that is known.
    pub(super) from: Option<IpAddr>,
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
    fn of_key(key: &Known, hash: Arc<str>, from: Option<IpAddr>) -> Self {
        let (tenant, name, key_id) = (key.tenant.clone(), Some(key.name.clone()), Some(key.id.clone()));
        Caller { tenant, role: key.role, name, key_id, from, by: By::Key(hash) }
    }

    /// Who it is, as others are told.
    pub(super) fn who(&self) -> String {
        match (&self.name, &self.key_id) {
            (Some(name), _) if !name.is_empty() => name.to_string(),
            (_, Some(id)) => format!("key {id}"),
            _ => "somebody without a key".to_owned(),
        }
    }

    /// Whoever showed the token for figures, which opens nothing else.
    pub(super) fn who_watches() -> Self {
        let by = By::Key(Arc::default());
        let tenant = DEFAULT_TENANT.into();
        Caller { tenant, role: Role::Read, name: None, key_id: None, from: None, by }
    }

    /// Whether it is one of those who run the server: somebody who needs no key, or whose key is the default tenant's.
    pub(super) fn operates(&self) -> bool {
        *self.tenant == *DEFAULT_TENANT
    }

    /// Refuses whoever is not one of those.
    ///
    /// # Errors
    /// `auth.role`.
    pub(super) fn must_operate(&self) -> Result<(), Problem> {
        if self.operates() {
            return Ok(());
        }
        let detail = "that is for those who run the server: keys of the tenant 'default'";
        Err(Problem::new(Code::AuthRole, detail))
    }

    /// Refuses whoever may do less.
    ///
    /// # Errors
    /// `auth.role`.
    pub(super) fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let (needed, own) = (role.as_str(), self.role.as_str());
        Err(Problem::new(Code::AuthRole, format!("that takes the role '{needed}', and this key has '{own}'")))
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

/// The address at the other end of a call's connection.
pub(super) fn peer(of_call: &Extensions) -> Option<IpAddr> {
    of_call.get::<Ends>().map(|ends| ends.peer.ip().to_canonical())
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
    sessions: Sessions,
    guesses: Guesses,
    snapshot: Mutex<Snapshot>,
    /// What waits for the first key.
    setup: Option<Setup>,
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
        let sessions = Sessions::new(doors.public.as_ref());
        let (guesses, snapshot) = (Guesses::default(), Mutex::default());
        Access { ledger, doors, sessions, guesses, snapshot, setup: None }
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
        if let Some(shown) = parts.headers.get(header::AUTHORIZATION) {
            return self.by_key(&known, shown, self.comes_from(parts), told);
        }
        if let Some(caller) = self.by_session(&known, parts, told)? {
            return Ok(caller);
        }
        let needed = |why: String| Err(Problem::new(Code::AuthMissing, why));
        if self.setup.is_some() && known.is_empty() {
            return needed(
                "this server has no key yet: open the link that it printed at its start, or make a key on its machine with \
                 'pixmill keys create --role admin'"
                    .into(),
            );
        }
        let ends = parts.extensions.get::<Ends>();
        let Some((ends, peer)) = ends.zip(peer(&parts.extensions)) else {
            return needed("this server asks for a key".into());
        };
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
        let host = host(&parts.headers);
        let local = ends.local.map(|local| local.ip().to_canonical());
        if !head::is_own_host(host, local, self.doors.public.as_ref()) {
            return needed(format!(
                "without a key, calls are answered under localhost, this machine's own address and the host of the \
                 public URL, not under {host:?}: send a key, or name the host with --public-url"
            ));
        }
        if head::is_from_another_site(&parts.method, &parts.headers, &self.own_origins(parts)) {
            return needed("a page of another site can't call without a key".into());
        }
        Ok(Caller {
            tenant: DEFAULT_TENANT.into(),
            role: Role::Admin,
            name: None,
            key_id: None,
            from: Some(address),
            by: By::Trust(address),
        })
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
        Ok(Caller::of_key(found, hash.into(), from))
    }

    /// Who signed in, where the cookie says so and its key still holds; that lasts longer by being used.
    fn by_session(
        &self,
        known: &HashMap<String, Known>,
        parts: &Parts,
        told: &mut HeaderMap,
    ) -> Result<Option<Caller>, Problem> {
        let Some(session) = self.sessions.shown(&parts.headers) else { return Ok(None) };
        let Some((hash, found)) = known.iter().find(|(_, known)| *known.id == *session.key) else {
            return Ok(None);
        };
        let now = session::now();
        if !session.holds(hash, now) {
            return Ok(None);
        }
        // A cookie comes along whoever made the page that calls.
        if head::is_forged(&parts.method, &parts.headers, &self.own_origins(parts)) {
            return Err(Problem::new(
                Code::AuthRole,
                "a page of another site can't act in the name of who signed in",
            ));
        }
        found.limit(told)?;
        if session.is_old(now) {
            told.append(header::SET_COOKIE, self.sessions.cookie(&session.renewed(hash, now)));
        }
        Ok(Some(Caller::of_key(found, hash.as_str().into(), self.comes_from(parts))))
    }

    /// Signs somebody in who shows a key: the cookie.
    ///
    /// # Errors
    /// `auth.invalid`, `rate.limited`; a page of another site must not sign anybody in.
    pub(super) async fn sign_in(&self, parts: &Parts, secret: &str) -> Result<HeaderValue, Problem> {
        let known = self.known().await?;
        if head::is_from_another_site(&Method::POST, &parts.headers, &self.own_origins(parts)) {
            return Err(Problem::new(Code::AuthRole, "a page of another site can't sign anybody in"));
        }
        let shown = HeaderValue::from_str(&format!("Bearer {}", secret.trim()));
        let shown = shown.map_err(|_| Problem::new(Code::AuthInvalid, "the key is unknown or revoked"))?;
        self.by_key(&known, &shown, self.comes_from(parts), &mut HeaderMap::new())?;
        let hash = key::hash(secret.trim());
        let id = known.get(&hash).map(|known| known.id.to_string()).unwrap_or_default();
        Ok(self.sessions.cookie(&Session::begin(id, &hash, session::now())))
    }

    /// What ends a session in the browser.
    pub(super) fn sign_out(&self) -> HeaderValue {
        self.sessions.farewell()
    }

    /// What a browser says a page of this server's comes from.
    fn own_origins(&self, parts: &Parts) -> Vec<String> {
        let host = host(&parts.headers);
        let mut own = vec![format!("http://{host}")];
        if peer(&parts.extensions).is_some_and(|peer| self.is_proxy(peer)) {
            own.push(format!("https://{host}"));
        }
        own.extend(self.doors.public.as_ref().map(|public| public.origin().ascii_serialization()));
        own
    }

    /// The address whose wrong keys are counted together with a call's.
    fn comes_from(&self, parts: &Parts) -> Option<IpAddr> {
        let peer = peer(&parts.extensions)?;
        Some(head::counted(peer, &parts.headers, &self.doors.proxies))
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

/// The name by which the server was called.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

pub(super) fn bearer(text: &str) -> Option<&str> {
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
    let let_in = judged.and_then(|caller| {
        caller.must_be(if parts.method.is_safe() { Role::Read } else { Role::Submit })?;
        Ok((api.crowds.enter(kind, &caller.tenant)?, caller))
    });
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
