//! A backend that can't be reached for a while: told once, waited out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fault::Fault;
use crate::port::clock::Instant;

/// How long is waited between tries.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Whether a backend can't be reached, since when, and when it is tried again: one for all that ask it.
#[derive(Debug)]
pub(super) struct Outage {
    longest: Option<Duration>,
    state: Mutex<Option<Away>>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    again: Instant,
}

impl Outage {
    /// None so far. One that lasts longer than `longest` is not waited out.
    pub(super) fn none(longest: Option<Duration>) -> Self {
        Outage { longest, state: Mutex::new(None) }
    }

    fn state(&self) -> MutexGuard<'_, Option<Away>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the backend may be tried.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.state().is_none_or(|away| now >= away.again)
    }

    /// When it may be tried again, while it can't be reached.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.state().map(|away| away.again)
    }

    /// Takes note of a try. A transient fault is waited out.
    ///
    /// # Errors
    /// The fault, when waiting does not help or has not helped for too long.
    pub(super) fn tried(&self, tried: Result<(), Fault>, now: Instant) -> Result<(), Fault> {
        let mut state = self.state();
        let fault = match tried {
            Ok(()) => {
                if let Some(away) = state.take() {
                    tracing::info!(seconds = now.since(away.since).as_secs(), "reached again");
                }
                return Ok(());
            }
            Err(fault) if fault.transient => fault,
            Err(fault) => return Err(fault),
        };
        if state.is_none() {
            tracing::warn!(%fault, "waiting until it can be reached again");
        }
        let since = state.map_or(now, |away| away.since);
        *state = Some(Away { since, again: now + PAUSE });
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
        let outage = Outage::none(None);
        assert_eq!(outage.tried(gone(), NOW), Ok(()));
        assert!(!outage.may_try(NOW));
        assert_eq!(outage.next_try(), Some(NOW + PAUSE));
        assert_eq!(outage.tried(gone(), NOW + Duration::from_secs(86_400)), Ok(()));
        assert_eq!(outage.tried(Ok(()), NOW + Duration::from_secs(86_401)), Ok(()));
        assert!(outage.may_try(NOW) && outage.next_try().is_none());
    }

    #[test]
    fn waiting_may_be_bounded() {
        let outage = Outage::none(Some(Duration::from_secs(60)));
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
