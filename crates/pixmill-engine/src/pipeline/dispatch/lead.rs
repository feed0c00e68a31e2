//! The right to feed a shared queue: one process has it at a time, by a lease in records.

use std::time::Duration;

use crate::fault::Fault;
use crate::model::lease::{Lease, Token};
use crate::port::clock::{Clock, Instant};
use crate::port::records::Records;

/// How often is asked whether the right is free, as a part of a lease.
const ASK_EVERY: u32 = 12;

/// This process's claim to the right.
#[derive(Debug)]
pub(super) struct Lead {
    /// A window of one's own needs no right.
    shared: bool,
    lease: Duration,
    token: Token,
    until: Instant,
    ask_at: Instant,
}

impl Lead {
    /// None so far; once it is had, it is held for `lease` unless it is renewed.
    pub(super) fn new(shared: bool, lease: Duration, now: Instant) -> Self {
        Lead { shared, lease, token: Token::new(), until: now, ask_at: now }
    }

    /// Whether this process feeds now.
    ///
    /// # Errors
    /// Those of records, which may be asked.
    pub(super) async fn is_ours(&mut self, records: &dyn Records, clock: &dyn Clock) -> Result<bool, Fault> {
        if !self.shared {
            return Ok(true);
        }
        let now = clock.instant();
        if now >= self.ask_at {
            let wall = clock.wall();
            let lease = Lease { token: self.token, until: wall + self.lease };
            let ours = records.lead(lease, wall).await?;
            (self.until, self.ask_at) = if ours {
                (now + self.lease, now + self.lease / 3)
            } else {
                (now, now + self.lease / ASK_EVERY)
            };
        }
        Ok(now < self.until)
    }

    /// Lets another process take over at once.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn give_back(&mut self, records: &dyn Records, clock: &dyn Clock) -> Result<(), Fault> {
        let (now, wall) = (clock.instant(), clock.wall());
        if now < self.until {
            self.until = now;
            records.lead(Lease { token: self.token, until: wall }, wall).await?;
        }
        Ok(())
    }
}
