//! Pictures over HTTP: one request, one hop, under the guard.
//!
//! hyper's own client under a connector of ours rather than a ready-made one: each connection, whatever
//! asks for it, then passes the one place that resolves, judges and connects, and no redirect, proxy,
//! cookie or decoder of a larger client has to be switched off.

mod answer;
pub(super) mod connect;
pub(super) mod failure;
mod resolve;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Origin};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use self::connect::GuardedConnector;
use self::resolve::Resolver;
use super::guard::Guard;

/// What is asked for, most wanted first.
const PICTURES: &str = "image/jpeg,image/png,image/webp,image/avif,image/*;q=0.9,*/*;q=0.5";
pub(super) const NAME: &str = concat!("pixmill/", env!("CARGO_PKG_VERSION"));
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that a connection may read ahead of whoever takes the body.
const READ_AHEAD: usize = 128 * 1024;

/// Answers over http and https (HTTP/1.1 and HTTP/2), from permitted addresses alone.
///
/// Bodies come as they are sent: no encoding is asked for and none is undone. The environment's proxies
/// are not used. Certificates are judged by Mozilla's roots, which are built in, so that a machine
/// without any of its own will do.
pub struct HttpOrigin {
    guard: Arc<Guard>,
    client: Client<GuardedConnector, Empty<Bytes>>,
}

impl HttpOrigin {
    /// An origin for up to `requests` requests at once, which bounds how many connections are kept.
    pub fn new(guard: Guard, requests: usize) -> Self {
        Self::over(guard, requests, Resolver::of_the_system(), mozilla())
    }

    fn over(guard: Guard, requests: usize, resolver: Resolver, roots: RootCertStore) -> Self {
        let guard = Arc::new(guard);
        let tls = TlsConnector::from(Arc::new(tls(roots)));
        let connector = GuardedConnector::new(Arc::clone(&guard), resolver, tls, requests);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_buf_size(READ_AHEAD)
            // A header that is none spoils no picture.
            .http1_ignore_invalid_headers_in_responses(true)
            .build(connector);
        HttpOrigin { guard, client }
    }
}

#[async_trait]
impl Origin for HttpOrigin {
    async fn get(&self, url: &Url) -> Result<Answer, Fault> {
        let request = request(url)?;
        judge_literal(&self.guard, url)?;
        let place = url.origin().ascii_serialization();
        match self.client.request(request).await {
            Ok(response) => Ok(answer::from_response(response, place)),
            Err(error) => Err(failure::before_an_answer(&error, &place)),
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

/// Connects by the system's resolver and Mozilla's roots, for so many requests at once.
pub(super) fn guarded_connector(guard: &Arc<Guard>, requests: usize) -> GuardedConnector {
    let tls = TlsConnector::from(Arc::new(tls(mozilla())));
    GuardedConnector::new(Arc::clone(guard), Resolver::of_the_system(), tls, requests)
}

fn mozilla() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn tls(roots: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn request(url: &Url) -> Result<Request<Empty<Bytes>>, Fault> {
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("'{}' addresses are not fetched, only http and https.", url.scheme());
        return Err(Fault::permanent(Code::UrlScheme, message));
    }
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri(url)?;
    headers(request.headers_mut(), url);
    Ok(request)
}

/// The URL without user, password and fragment.
pub(super) fn uri(url: &Url) -> Result<Uri, Fault> {
    Uri::builder()
        .scheme(url.scheme())
        .authority(&url[Position::BeforeHost..Position::AfterPort])
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build()
        .map_err(|error| {
            let message =
                format!("The address at {} can't be asked for: {error}.", url.origin().ascii_serialization());
            Fault::permanent(Code::UrlInvalid, message)
        })
}

fn headers(headers: &mut HeaderMap, url: &Url) {
    headers.insert(ACCEPT, HeaderValue::from_static(PICTURES));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
    if let Some(credentials) = credentials(url) {
        headers.insert(AUTHORIZATION, credentials);
    }
}

/// Basic credentials (RFC 7617) from the user and password of the URL.
pub(super) fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
