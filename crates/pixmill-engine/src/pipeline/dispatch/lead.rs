//! The right to feed a shared queue: one process has it at a time, by a lease in records.

use std::time::Duration;

use crate::fault::Fault;
use crate::model::lease::{Lease, Token};
use crate::model::time::Timestamp;
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
    until: Timestamp,
    ask_at: Timestamp,
}

impl Lead {
    /// None so far; once it is had, it is held for `lease` unless it is renewed.
    pub(super) fn new(shared: bool, lease: Duration, now: Timestamp) -> Self {
        Lead { shared, lease, token: Lease::lasting(lease, now).token, until: now, ask_at: now }
    }

    /// Whether this process feeds now.
    ///
    /// # Errors
    /// Those of records, which may be asked.
    pub(super) async fn is_ours(&mut self, records: &dyn Records, now: Timestamp) -> Result<bool, Fault> {
        if !self.shared {
            return Ok(true);
        }
        if now >= self.ask_at {
            let lease = Lease { token: self.token, until: now + self.lease };
            let ours = records.lead(lease, now).await?;
            (self.until, self.ask_at) =
                if ours { (lease.until, now + self.lease / 3) } else { (now, now + self.lease / ASK_EVERY) };
        }
        Ok(now < self.until)
    }

    /// Lets another process take over at once.
    ///
    /// # Errors
    /// Those of records.
    pub(super) async fn give_back(&mut self, records: &dyn Records, now: Timestamp) -> Result<(), Fault> {
        if now < self.until {
            self.until = now;
            records.lead(Lease { token: self.token, until: now }, now).await?;
        }
        Ok(())
    }
}
