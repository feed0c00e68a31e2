//! Facts to be told, each written once in the same write as what they tell of.

use std::time::Duration;

use crate::model::id::RequestId;
use crate::model::image::Failure;
use crate::model::lease::Token;
use crate::model::request::Progress;
use crate::model::time::Timestamp;
use crate::model::trace::Traceparent;

/// A request was completed. One a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// `webhook-id` of every delivery.
    pub id: String,
    /// Which request.
    pub request: RequestId,
    /// Which round of it, from 1.
    pub round: u32,
    /// When.
    pub at: Timestamp,
}

/// An event that somebody has leased in order to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The event.
    pub event: Completion,
    /// How its request stood in the write that completed it.
    pub progress: Progress,
    /// Its request's own webhook.
    pub url: Option<String>,
    /// Where its request's trace goes on.
    pub traceparent: Option<Traceparent>,
    /// How often it has been told in vain.
    pub tries: u32,
    /// The right to say what comes next.
    pub token: Token,
}

/// One try at telling an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its own id: a UUIDv7, so that later ones sort later.
    pub id: String,
    /// Which event.
    pub event: String,
    /// Of which request.
    pub request: RequestId,
    /// Who was told.
    pub url: String,
    /// When.
    pub at: Timestamp,
    /// How long it took.
    pub took: Option<Duration>,
    /// The body as it was posted, its beginning; `None` for tries of a time when it was not kept.
    pub body: Option<String>,
    /// What the receiver answered, or why it did not.
    pub answer: Result<Answer, Failure>,
}

/// Bytes of a try's body that are kept.
pub const KEPT_BODY_BYTES: usize = 4096;

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The first KiB of the body.
    pub beginning: String,
}

/// What comes after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the event has been told, or given up, or there is nobody to tell.
    Nothing,
    /// Another try then.
    Again(Timestamp),
}

/// How long is waited after each try in vain, so that a receiver may be away for more than a day.
pub const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];

impl Answer {
    /// Whether the receiver has taken the event.
    pub fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// Whether it asks never to be told again: 410 Gone.
    pub fn is_farewell(&self) -> bool {
        self.status == 410
    }
}
