//! Webhooks over HTTP: one post, no redirect, under the guard where a client set the address.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Answer;
use pixmill_engine::port::receiver::{Message, Receiver, Reply, SetBy};
use url::Url;

use super::guard::Guard;
use super::headers::NAME;
use super::origin::proxy::basic;
use super::origin::{IDLE_TIMEOUT, connect, failure, guarded_connector, judge_literal, uri};
use super::retry_after::retry_after;
use super::trust::Trust;

/// How much of an answer is kept.
const BEGINNING_BYTES: usize = 1024;

/// Connections that are kept for later posts.
const POSTS: usize = 32;

/// How long whoever hands a request in waits for a name to resolve.
const JUDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Posts to webhooks over http and https.
pub struct HttpReceiver {
    guarded: Way,
    /// For addresses in the server's own configuration, which may lead anywhere.
    open: Way,
}

/// A client, and the guard that its connections pass.
struct Way {
    guard: Arc<Guard>,
    connector: connect::GuardedConnector,
    client: Client<connect::GuardedConnector, Full<Bytes>>,
}

impl HttpReceiver {
    /// A receiver whose guard opens what `guard` opens to clients.
    pub fn new(guard: Guard, trust: &Trust) -> Self {
        let anywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        HttpReceiver { guarded: Way::new(guard, trust), open: Way::new(Guard::new(anywhere), trust) }
    }
}

impl Way {
    fn new(guard: Guard, trust: &Trust) -> Self {
        let guard = Arc::new(guard);
        let connector = guarded_connector(&guard, trust, POSTS);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector.clone());
        Way { guard, connector, client }
    }
}

#[async_trait]
impl Receiver for HttpReceiver {
    async fn judge(&self, url: &Url) -> Result<(), Fault> {
        judge_literal(&self.guarded.guard, url).map_err(of_a_webhook)?;
        let called = uri(url).map_err(of_a_webhook)?;
        let judged = self.guarded.connector.judge(&called);
        match tokio::time::timeout(JUDGE_TIMEOUT, judged).await {
            Ok(Err(fault)) if !fault.transient => Err(of_a_webhook(fault)),
            _ => Ok(()),
        }
    }

    async fn post(&self, url: &Url, set_by: SetBy, message: Message) -> Result<Reply, Fault> {
        let way = match set_by {
            SetBy::Client => &self.guarded,
            SetBy::Server => &self.open,
        };
        let place = url.origin().ascii_serialization();
        let posted = async {
            let request = request(url, message)?;
            judge_literal(&way.guard, url)?;
            way.client.request(request).await.map_err(|error| failure::before_an_answer(&error, &place))
        };
        let response = posted.await.map_err(of_a_webhook)?;
        let status = response.status().as_u16();
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|value| retry_after(value.trim(), SystemTime::now()));
        let answer = Answer { status, beginning: beginning(response.into_body()).await };
        Ok(Reply { answer, retry_after })
    }
}

fn request(url: &Url, message: Message) -> Result<Request<Full<Bytes>>, Fault> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::permanent(
            Code::UrlScheme,
            "the webhook's address begins with neither http:// nor https://",
        ));
    }
    let mut request = Request::new(Full::new(Bytes::from(message.body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(url)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(NAME));
    if let Some(credentials) = basic(url) {
        headers.insert(AUTHORIZATION, credentials);
    }
    for (name, value) in message.headers {
        let value = HeaderValue::try_from(value)
            .map_err(|_| Fault::permanent(Code::WebhookAddress, format!("{name} can't be sent")))?;
        let name = HeaderName::try_from(&*name)
            .map_err(|_| Fault::permanent(Code::WebhookAddress, format!("{name} is no header's name")))?;
        headers.insert(name, value);
    }
    Ok(request)
}

/// The first KiB of a body, as far as it comes and is text.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < BEGINNING_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            // The status has come, and that is what counts.
            Some(Err(_)) | None => break,
        }
    }
    bytes.truncate(BEGINNING_BYTES);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An address that may not be called or is none is the webhook's fault, not a picture's.
fn of_a_webhook(fault: Fault) -> Fault {
    match fault.code {
        Code::FetchBlockedAddress | Code::UrlInvalid | Code::UrlScheme => {
            Fault::permanent(Code::WebhookAddress, fault.message)
        }
        _ => fault,
    }
}
