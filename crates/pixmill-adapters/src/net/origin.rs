//! Pictures over HTTP: one request, one hop, under the guard.
//!
//! hyper's own client under a connector of ours rather than a ready-made one: each connection, whatever
//! asks for it, then passes the one place that resolves, judges and connects, and no redirect, proxy,
//! cookie or decoder of a larger client has to be switched off.

mod answer;
pub(super) mod connect;
pub(super) mod failure;
mod link;
mod mend;
pub mod proxy;
#[cfg(any(test, feature = "rehearsal"))]
pub mod rehearsal;
mod resolve;
mod unpack;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Hop, Origin};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use self::connect::GuardedConnector;
use self::proxy::Proxy;
use self::resolve::Resolver;
use super::guard::Guard;
use super::headers::Headers;
use super::trust::Trust;

pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of an answer, bytes and lines.
const HEAD_MAX: usize = 256 << 10;
const HEADERS_MAX: usize = 1_000;
/// Bytes that a connection may read ahead of whoever takes the body; a head must fit, and some of what follows it.
const READ_AHEAD: usize = HEAD_MAX + (16 << 10);

/// How origins are asked.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Which addresses may be called.
    pub guard: Guard,
    /// What is said of whoever asks.
    pub headers: Headers,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What requests go through.
    pub proxy: Option<Proxy>,
}

impl From<Guard> for Manner {
    fn from(guard: Guard) -> Self {
        Manner { guard, ..Manner::default() }
    }
}

/// Answers over http and https (HTTP/1.1 and HTTP/2), from permitted addresses alone.
///
/// No encoding is asked for, but what servers apply all the same is undone. The environment's proxies are not used.
pub struct HttpOrigin {
    guard: Arc<Guard>,
    headers: Headers,
    proxy: Option<Proxy>,
    connector: GuardedConnector,
    client: Client<GuardedConnector, Empty<Bytes>>,
    /// Makes a connection for each request.
    afresh: Client<GuardedConnector, Empty<Bytes>>,
}

impl HttpOrigin {
    /// An origin for up to `requests` requests at once, which bounds how many connections are kept.
    pub fn new(manner: impl Into<Manner>, requests: usize) -> Self {
        Self::over(manner.into(), requests, Resolver::of_the_system())
    }

    fn over(manner: Manner, requests: usize, resolver: Resolver) -> Self {
        let Manner { guard, headers, trust, proxy } = manner;
        let guard = Arc::new(guard);
        let tls = connector(&trust);
        let connector = GuardedConnector::through(proxy.clone(), Arc::clone(&guard), resolver, tls, requests);
        let client = builder().build(connector.clone());
        let afresh = builder().pool_max_idle_per_host(0).build(connector.clone());
        HttpOrigin { guard, headers, proxy, connector, client, afresh }
    }

    fn request(&self, hop: &Hop) -> Result<Request<Empty<Bytes>>, Fault> {
        let url = &hop.url;
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("'{}' addresses are not fetched, only http and https.", url.scheme());
            return Err(Fault::permanent(Code::UrlScheme, message));
        }
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri(url)?;
        let headers = request.headers_mut();
        self.headers.add_to(headers, hop);
        if let Some(credentials) = proxy::basic(url) {
            headers.insert(AUTHORIZATION, credentials);
        }
        // What is encrypted goes through a tunnel, whose making said it.
        let of_proxy = self.proxy.as_ref().filter(|_| url.scheme() == "http");
        if let Some(credentials) = of_proxy.and_then(|proxy| proxy.credentials.clone()) {
            headers.insert(PROXY_AUTHORIZATION, credentials);
        }
        Ok(request)
    }

    /// Asks once; where a connection that was kept turns out to be dead, at once again over a new one.
    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        let again = request.clone();
        match self.client.request(request).await {
            Err(error) if link::died_unanswered(&error) => self.afresh.request(again).await,
            outcome => outcome,
        }
    }
}

fn builder() -> legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_buf_size(READ_AHEAD)
        .http1_max_headers(HEADERS_MAX)
        .http2_max_header_list_size(HEAD_MAX as u32)
        // Headers that are none, or written as they were long ago, spoil no picture.
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true);
    builder
}

#[async_trait]
impl Origin for HttpOrigin {
    async fn look_up(&self, url: &Url) {
        // A proxy looks names up itself.
        if self.proxy.is_some() {
            return;
        }
        if let (Some(Host::Domain(_)), Ok(uri)) = (url.host(), uri(url)) {
            let _ = self.connector.judge(&uri).await;
        }
    }

    async fn get(&self, hop: &Hop) -> Result<Answer, Fault> {
        let request = self.request(hop)?;
        judge_literal(&self.guard, &hop.url)?;
        let place = hop.url.origin().ascii_serialization();
        match (self.exchange(request).await, &self.proxy) {
            (Ok(response), Some(proxy)) if response.status() == 407 => Err(proxy.wants_credentials()),
            (Ok(response), _) => Ok(answer::from_response(response, place)),
            (Err(error), _) => Err(failure::before_an_answer(&error, &place)),
        }
    }
}

/// Judges a host that is an address as the URL's parser reads it, rather than trust that whoever reads the text after
/// it sees the same.
pub(super) fn judge_literal(guard: &Guard, url: &Url) -> Result<(), Fault> {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(v4)) => v4.into(),
        Some(Host::Ipv6(v6)) => v6.into(),
        _ => return Ok(()),
    };
    let port = url.port_or_known_default().unwrap_or_default();
    connect::permitted(guard, &[address], &address.to_string(), port).map(drop)
}

/// Connects by the system's resolver, for so many requests at once.
pub(super) fn guarded_connector(guard: &Arc<Guard>, trust: &Trust, requests: usize) -> GuardedConnector {
    GuardedConnector::new(Arc::clone(guard), Resolver::of_the_system(), connector(trust), requests)
}

fn connector(trust: &Trust) -> TlsConnector {
    TlsConnector::from(Arc::new(trust.client(&["h2", "http/1.1"])))
}

/// The URL without user, password and fragment.
pub(super) fn uri(url: &Url) -> Result<Uri, Fault> {
    Uri::builder()
        .scheme(url.scheme())
        .authority(&url[Position::BeforeHost..Position::AfterPort])
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build()
        .map_err(|_| {
            let place = url.origin().ascii_serialization();
            let message = format!("The address at {place} is too long to be asked for.");
            Fault::permanent(Code::UrlInvalid, message)
        })
}

#[cfg(test)]
mod tests;
