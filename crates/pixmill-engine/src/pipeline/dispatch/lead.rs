//! The right to feed a shared queue: one process has it at a time, by a lease in records.

use std::time::Duration;

use crate::fault::Fault;
use crate::model::lease::{LEASE, Lease, Token};
use crate::model::time::Timestamp;
use crate::port::records::Records;

/// How often is asked whether the right is free.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// This process's claim to the right.
#[derive(Debug)]
pub(super) struct Lead {
    /// A window of one's own needs no right.
    shared: bool,
    token: Token,
    until: Timestamp,
    ask_at: Timestamp,
}

impl Lead {
    pub(super) fn new(shared: bool, now: Timestamp) -> Self {
        Lead { shared, token: Lease::from(now).token, until: now, ask_at: now }
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
            let lease = Lease { token: self.token, ..Lease::from(now) };
            let ours = records.lead(lease, now).await?;
            (self.until, self.ask_at) =
                if ours { (lease.until, now + LEASE / 3) } else { (now, now + ASK_EVERY) };
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
