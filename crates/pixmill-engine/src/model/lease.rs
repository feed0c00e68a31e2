//! A worker's right to end an image.

use std::time::Duration;

use crate::model::time::Timestamp;

/// How long a lease holds unless it is renewed. It is renewed at a third of it, so that two renewals may be lost.
pub const LEASE: Duration = Duration::from_secs(60);

/// Distinguishes one claim from every other; a writer whose token is old loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub i64);

impl Token {
    /// One that was never used before (62 random bits).
    #[expect(clippy::new_without_default, reason = "two of them are never equal")]
    pub fn new() -> Self {
        let random = uuid::Uuid::new_v4().as_u64_pair().1 & (i64::MAX as u64);
        Token(random as i64)
    }
}

/// A token and the time until which it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The token.
    pub token: Token,
    /// Nobody else claims before this.
    pub until: Timestamp,
}

impl Lease {
    /// A lease of the usual length that begins now.
    pub fn from(now: Timestamp) -> Self {
        Lease::lasting(LEASE, now)
    }

    /// A lease that begins now, under a token that was never used before.
    pub fn lasting(length: Duration, now: Timestamp) -> Self {
        Lease { token: Token::new(), until: now + length }
    }

    /// Whether somebody else's lease takes the place of this one, or this one is renewed.
    pub fn yields_to(&self, token: Token, now: Timestamp) -> bool {
        self.token == token || self.until <= now
    }
}

/// Which leases are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Those that ran out.
    Expired,
    /// All: nobody else can be at work.
    All,
}
