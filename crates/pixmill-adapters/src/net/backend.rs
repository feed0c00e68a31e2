//! HTTP to storages, whose addresses come from the server's own configuration: they are not guarded, for a bucket may
//! well stand in a private network.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{DATE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::headers::NAME;
use super::origin::failure;
use super::trust::Trust;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an exchange may take, apart from what its bytes need.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line that is slower is taken for broken, bytes a second.
const SLOWEST: u64 = 32 * 1024;

/// The longest answer that is read, bytes. Storages answer with a few lines.
const ANSWER_MAX: usize = 1024 * 1024;

/// A client that keeps its connections. HTTP/1.1 alone: uploads that share one connection would be slowed and cut
/// together.
#[derive(Clone)]
pub(crate) struct Backend {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

impl Backend {
    pub(crate) fn new(trust: &Trust) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust.client(&[]))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Backend { client, patience: PATIENCE }
    }

    /// The whole answer, whatever its status.
    ///
    /// # Errors
    /// `store.unavailable`, which names the host alone: paths and queries may hold secrets.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Fault> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(NAME));
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let bytes = hyper::body::Body::size_hint(request.body()).lower();
        let allowed = self.patience + Duration::from_secs(bytes / SLOWEST);
        let told = |reason: &str| Fault::transient(Code::StoreUnavailable, format!("{host} {reason}"));
        match tokio::time::timeout(allowed, self.exchange(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(told(&format!("gave no whole answer: {}", in_words(error.as_ref())))),
            Err(_) => Err(told(&format!("did not answer within {} s", allowed.as_secs()))),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Box<dyn Error + Send + Sync>> {
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// The time that the other side says it is.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_millis()).ok()?))
}

/// What went wrong, in words where there are some for it.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(rustls) = cause.downcast_ref::<rustls::Error>() {
            return failure::of_encryption(rustls);
        }
        // A failed handshake is inside of one of these, not behind it.
        let io = cause.downcast_ref::<io::Error>();
        match io.and_then(|io| io.get_ref()).and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls) => return failure::of_encryption(rustls),
            None if io.is_some_and(|io| io.raw_os_error().is_some()) => {
                return failure::in_words(io.expect("just seen"));
            }
            None => {}
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return cause.to_string(),
        }
    }
}
