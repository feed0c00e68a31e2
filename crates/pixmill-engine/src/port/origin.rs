//! Where pictures come from: one hop of one request, with the network policy's guard inside, or a local file.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use crate::fault::Fault;

/// Answers for pictures. Redirects, limits, retries and politeness are the fetch stage's business;
/// whether an address may be called at all is the adapter's, on every hop.
#[async_trait]
pub trait Origin: Send + Sync {
    /// Asks for a URL once and follows no redirect.
    ///
    /// # Errors
    /// `url.scheme`, `url.invalid`, `fetch.dns`, `fetch.blocked_address`, `fetch.connect`, `fetch.tls`, `fetch.truncated`.
    async fn get(&self, url: &Url) -> Result<Answer, Fault>;
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
    /// `Retry-After`, from seconds or a date, from now.
    pub retry_after: Option<Duration>,
    /// `Content-Length`, bytes, when told.
    pub content_length: Option<u64>,
    /// The body.
    pub body: Box<dyn Body>,
}

/// A body that arrives in pieces. Dropping it early closes the connection.
#[async_trait]
pub trait Body: Send {
    /// The next piece, `None` at the honest end.
    ///
    /// # Errors
    /// `fetch.truncated` when the connection ended before the body did.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault>;
}
