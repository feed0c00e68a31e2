//! A backend that can't be reached for a while: told once, waited out.

use std::time::Duration;

use crate::fault::Fault;
use crate::port::clock::Instant;

/// How long is waited between tries.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Whether a backend can't be reached, since when, and when it is tried again.
#[derive(Debug)]
pub(super) struct Outage {
    longest: Option<Duration>,
    since: Option<Instant>,
    again: Instant,
}

impl Outage {
    /// None so far. One that lasts longer than `longest` is not waited out.
    pub(super) fn none(longest: Option<Duration>) -> Self {
        Outage { longest, since: None, again: Instant::default() }
    }

    /// Whether the backend may be tried.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.since.is_none() || now >= self.again
    }

    /// When it may be tried again, while it can't be reached.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.since.map(|_| self.again)
    }

    /// Takes note of a try. A transient fault is waited out.
    ///
    /// # Errors
    /// The fault, when waiting does not help or has not helped for too long.
    pub(super) fn tried(&mut self, tried: Result<(), Fault>, now: Instant) -> Result<(), Fault> {
        let fault = match tried {
            Ok(()) => {
                if let Some(since) = self.since.take() {
                    tracing::info!(seconds = now.since(since).as_secs(), "reached again");
                }
                return Ok(());
            }
            Err(fault) if fault.transient => fault,
            Err(fault) => return Err(fault),
        };
        if self.since.is_none() {
            tracing::warn!(%fault, "waiting until it can be reached again");
        }
        let since = *self.since.get_or_insert(now);
        self.again = now + PAUSE;
        match self.longest {
            Some(longest) if now.since(since) > longest => Err(fault),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    const NOW: Instant = Instant(Duration::from_secs(1_000));

    fn gone() -> Result<(), Fault> {
        Err(Fault::transient(Code::BackendUnavailable, "nobody listens"))
    }

    #[test]
    fn a_transient_fault_is_waited_out() {
        let mut outage = Outage::none(None);
        assert_eq!(outage.tried(gone(), NOW), Ok(()));
        assert!(!outage.may_try(NOW));
        assert_eq!(outage.next_try(), Some(NOW + PAUSE));
        assert_eq!(outage.tried(gone(), NOW + Duration::from_secs(86_400)), Ok(()));
        assert_eq!(outage.tried(Ok(()), NOW + Duration::from_secs(86_401)), Ok(()));
        assert!(outage.may_try(NOW) && outage.next_try().is_none());
    }

    #[test]
    fn waiting_may_be_bounded() {
        let mut outage = Outage::none(Some(Duration::from_secs(60)));
        assert_eq!(outage.tried(gone(), NOW), Ok(()));
        assert_eq!(outage.tried(gone(), NOW + Duration::from_secs(60)), Ok(()));
        assert!(outage.tried(gone(), NOW + Duration::from_secs(61)).is_err());
    }

    #[test]
    fn what_waiting_does_not_mend_is_not_waited_out() {
        let wrong = Fault::permanent(Code::BackendUnavailable, "the password is wrong");
        assert_eq!(Outage::none(None).tried(Err(wrong.clone()), NOW), Err(wrong));
    }
}
