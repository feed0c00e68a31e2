//! Who is told of events: one call at one webhook, with the network policy's guard inside.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use crate::fault::Fault;
use crate::model::event::Answer;

/// Who set a webhook's address: one from outside is guarded, for it might lead into a private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// Whoever handed in a request.
    Client,
    /// The server's own configuration.
    Server,
}

/// What is said to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Headers beside those of every JSON body, in lower case; they take the place of others of that name.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// JSON.
    pub body: String,
}

/// What a receiver replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What is written down of it.
    pub answer: Answer,
    /// `Retry-After`, from seconds or a date, from now.
    pub retry_after: Option<Duration>,
}

/// Hears events.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Judges an address that a client sets before anything is said there: what it is, or resolves to now. One that
    /// does not resolve just now passes, for every post is judged again.
    ///
    /// # Errors
    /// `webhook.address` when it may not be called.
    async fn judge(&self, url: &Url) -> Result<(), Fault>;

    /// Posts a message once and follows no redirect. How long it may take is the caller's business.
    ///
    /// # Errors
    /// `webhook.address` when it may not be called; `fetch.dns`, `fetch.connect`, `fetch.tls`.
    async fn post(&self, url: &Url, set_by: SetBy, message: Message) -> Result<Reply, Fault>;
}
