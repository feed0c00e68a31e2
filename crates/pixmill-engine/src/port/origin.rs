//! Where pictures come from: one hop of one request, with the network policy's guard inside, or a local file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use crate::fault::Fault;

/// One request of a fetch.
#[derive(Debug, Clone)]
pub struct Hop {
    /// What is asked for.
    pub url: Url,
    /// The address that the fetch began with. Headers that the operator set for all are meant for its origin; where a
    /// redirect leads elsewhere, what may be secret stays behind.
    pub first: Url,
    /// Cookies that hops before this one set for it, as `Cookie` has them.
    pub cookies: Option<String>,
}

impl Hop {
    /// The first of a fetch.
    pub fn first(url: Url) -> Self {
        Hop { first: url.clone(), url, cookies: None }
    }

    /// Whether a redirect has led to another scheme, host or port.
    pub fn is_elsewhere(&self) -> bool {
        self.url.origin() != self.first.origin()
    }
}

/// Answers for pictures. Redirects, limits, retries and politeness are the fetch stage's business;
/// whether an address may be called at all is the adapter's, on every hop.
#[async_trait]
pub trait Origin: Send + Sync {
    /// Looks the name of a host up ahead of asking it. What is wrong with it, asking tells.
    async fn look_up(&self, _url: &Url) {}

    /// Asks for a URL once and follows no redirect.
    ///
    /// # Errors
    /// `url.scheme`, `url.invalid`, `fetch.dns`, `fetch.blocked_address`, `fetch.connect`, `fetch.tls`, `fetch.truncated`.
    async fn get(&self, hop: &Hop) -> Result<Answer, Fault>;
}

/// Local pictures, named by paths from one base folder that they may not leave.
#[async_trait]
pub trait Files: Send + Sync {
    /// Opens the file at `path`, in which nothing is encoded: percent signs are themselves. The answer's
    /// status is 200 and its length is told.
    ///
    /// # Errors
    /// `file.missing`, also for what is no regular file or may not be read; `file.outside`.
    async fn open(&self, path: &str) -> Result<Answer, Fault>;
}

/// The head of an answer, and its body still to come.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Location`, as sent, of a redirect.
    pub location: Option<String>,
    /// How long the origin asks to be left alone: `Retry-After`, or when a spent allowance is renewed.
    pub retry_after: Option<Duration>,
    /// Its headers say that what a client is allowed is spent.
    pub spent: bool,
    /// `Set-Cookie`, each as sent.
    pub cookies: Vec<String>,
    /// Bytes of the body, when told. One whose encoding is undone has more, or none is told.
    pub content_length: Option<u64>,
    /// Memory that undoing the body's encodings may take, bytes.
    pub unpacking_bytes: u64,
    /// The body.
    pub body: Box<dyn Body>,
}

impl Answer {
    /// A body alone, of so many bytes, as files have it.
    pub fn of_file(content_length: u64, body: Box<dyn Body>) -> Self {
        Answer {
            status: 200,
            location: None,
            retry_after: None,
            spent: false,
            cookies: Vec::new(),
            content_length: Some(content_length),
            unpacking_bytes: 0,
            body,
        }
    }
}

/// A body that arrives in pieces, with no encoding left to undo. Dropping it early closes the connection.
#[async_trait]
pub trait Body: Send {
    /// The next piece, `None` at the honest end.
    ///
    /// # Errors
    /// `fetch.truncated` when the connection ended before the body did.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault>;
}
