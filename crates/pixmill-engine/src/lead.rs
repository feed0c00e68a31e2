//! Rights that one process has at a time, by leases in records.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::fault::Fault;
use crate::model::lease::{Lease, Token};
use crate::port::clock::{Clock, Instant};
use crate::port::records::{Right, Rights};

/// How often is asked whether the right is free, as a part of a lease.
const ASK_EVERY: u32 = 12;

/// Whether this process has a right now, as its other parts are told by the one that asks for it.
#[derive(Debug, Clone, Default)]
pub struct Leading(Arc<Mutex<Option<Instant>>>);

impl Leading {
    /// Whether it does.
    pub fn holds(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }

    fn tell(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

/// This process's claim to a right.
#[derive(Debug)]
pub(crate) struct Lead {
    /// None where nobody else could want it.
    right: Option<Right>,
    lease: Duration,
    token: Token,
    until: Instant,
    ask_at: Instant,
    leading: Leading,
}

impl Lead {
    /// None so far; once it is had, it is held for `lease` unless it is renewed.
    pub(crate) fn new(right: Option<Right>, lease: Duration, now: Instant) -> Self {
        Lead { right, lease, token: Token::new(), until: now, ask_at: now, leading: Leading::default() }
    }

    /// The same, telling others of this process of it.
    pub(crate) fn telling(self, leading: Leading) -> Self {
        Lead { leading, ..self }
    }

    /// Whether this process has it now.
    ///
    /// # Errors
    /// Those of records, which may be asked.
    pub(crate) async fn is_ours(
        &mut self,
        records: &(impl Rights + ?Sized),
        clock: &dyn Clock,
    ) -> Result<bool, Fault> {
        let Some(right) = self.right else { return Ok(true) };
        let now = clock.instant();
        if now >= self.ask_at {
            let wall = clock.wall();
            let lease = Lease { token: self.token, until: wall + self.lease };
            let ours = records.lead(right, lease, wall).await?;
            (self.until, self.ask_at) = if ours {
                (now + self.lease, now + self.lease / 3)
            } else {
                (now, now + self.lease / ASK_EVERY)
            };
            self.leading.tell(self.until);
        }
        Ok(now < self.until)
    }

    /// Lets another process take over at once.
    ///
    /// # Errors
    /// Those of records.
    pub(crate) async fn give_back(
        &mut self,
        records: &(impl Rights + ?Sized),
        clock: &dyn Clock,
    ) -> Result<(), Fault> {
        let (now, wall) = (clock.instant(), clock.wall());
        if let Some(right) = self.right.filter(|_| now < self.until) {
            self.until = now;
            self.leading.tell(now);
            records.lead(right, Lease { token: self.token, until: wall }, wall).await?;
        }
        Ok(())
    }
}
