//! Leaves an origin alone that fails again and again, so that it holds up no other.

use std::time::Duration;

use crate::fault::Fault;
use crate::port::clock::Instant;

/// Transient faults in a row that open a breaker.
const FAULTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long an origin is waited for before its images are given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// What an origin's images may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start.
    Start,
    /// One may start, to see whether the origin is back.
    Probe,
    /// Wait until then.
    Wait(Instant),
    /// End with this fault.
    GiveUp(Fault),
}

/// A breaker for one scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Breaker {
    /// All is well; so many transient faults came in a row.
    Closed(u32),
    /// The origin is left alone but for probes.
    Open(Open),
}

/// What an open breaker knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    since: Instant,
    next_probe: Instant,
    wait: Duration,
    probing: bool,
    last: Fault,
}

impl Breaker {
    /// What may be done now. Where images have one attempt, `patient` is false: nobody asked to wait for an origin to
    /// come back, so probes follow one another and the origin is only asked one at a time.
    pub(super) fn verdict(&self, now: Instant, patient: bool) -> Verdict {
        match self {
            Breaker::Closed(_) => Verdict::Start,
            Breaker::Open(open) if !open.probing && (!patient || now >= open.next_probe) => Verdict::Probe,
            Breaker::Open(open) if now >= open.since + PATIENCE => Verdict::GiveUp(open.last.clone()),
            Breaker::Open(open) if open.probing => Verdict::Wait(open.since + PATIENCE),
            Breaker::Open(open) => Verdict::Wait(open.next_probe.min(open.since + PATIENCE)),
        }
    }

    /// A probe starts.
    pub(super) fn probe(&mut self) {
        if let Breaker::Open(open) = self {
            open.probing = true;
        }
    }

    /// A probe ended without an answer that says anything: its image was handed back, or the probe never started.
    pub(super) fn probe_lost(&mut self) {
        if let Breaker::Open(open) = self {
            open.probing = false;
        }
    }

    /// The origin answered (404s are answers).
    pub(super) fn answered(&mut self) {
        *self = Breaker::Closed(0);
    }

    /// A transient fault.
    pub(super) fn faulted(&mut self, fault: &Fault, now: Instant) {
        match self {
            Breaker::Closed(faults) if *faults + 1 < FAULTS => *faults += 1,
            Breaker::Closed(_) => {
                *self = Breaker::Open(Open {
                    since: now,
                    next_probe: now + FIRST_WAIT,
                    wait: FIRST_WAIT,
                    probing: false,
                    last: fault.clone(),
                });
            }
            Breaker::Open(open) => {
                open.last = fault.clone();
                if open.probing {
                    open.probing = false;
                    open.wait = (open.wait * 2).min(LONGEST_WAIT);
                    open.next_probe = now + open.wait;
                }
            }
        }
    }

    /// Whether the origin is being left alone.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Breaker::Open(_))
    }

    /// Whether there is nothing worth remembering.
    pub(super) fn is_fresh(&self) -> bool {
        *self == Breaker::Closed(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    fn fault() -> Fault {
        Fault::transient(Code::FetchTimeout, "no answer")
    }

    fn at(seconds: u64) -> Instant {
        Instant(Duration::from_secs(seconds))
    }

    fn open_at(seconds: u64) -> Breaker {
        let mut breaker = Breaker::Closed(0);
        for _ in 0..FAULTS {
            assert!(!breaker.is_open());
            breaker.faulted(&fault(), at(seconds));
        }
        breaker
    }

    #[test]
    fn ten_faults_in_a_row_open_it_and_an_answer_between_them_does_not() {
        assert!(open_at(0).is_open());
        let mut breaker = Breaker::Closed(0);
        for _ in 0..5 {
            (0..9).for_each(|_| breaker.faulted(&fault(), at(0)));
            breaker.answered();
        }
        assert_eq!(breaker.verdict(at(0), true), Verdict::Start);
    }

    #[test]
    fn probes_come_after_one_second_doubling_to_sixty() {
        let mut breaker = open_at(0);
        let mut now = at(0);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            let due = now + Duration::from_secs(wait);
            assert_eq!(breaker.verdict(Instant(due.0 - Duration::from_millis(1)), true), Verdict::Wait(due));
            assert_eq!(breaker.verdict(due, true), Verdict::Probe);
            breaker.probe();
            assert!(matches!(breaker.verdict(due, true), Verdict::Wait(_)), "one probe at a time");
            breaker.faulted(&fault(), due);
            now = due;
        }
    }

    #[test]
    fn a_probe_that_is_answered_closes_it() {
        let mut breaker = open_at(0);
        breaker.probe();
        breaker.answered();
        assert_eq!(breaker.verdict(at(2), true), Verdict::Start);
    }

    #[test]
    fn after_ten_minutes_images_are_given_up_with_the_last_fault_but_probes_go_on() {
        let mut breaker = open_at(0);
        breaker.probe();
        assert_eq!(breaker.verdict(at(600), true), Verdict::GiveUp(fault()));
        breaker.faulted(&fault(), at(601));
        assert_eq!(breaker.verdict(at(602), true), Verdict::GiveUp(fault()));
        assert_eq!(breaker.verdict(at(603), true), Verdict::Probe);
    }

    #[test]
    fn with_one_attempt_nobody_waits_for_an_origin_to_come_back() {
        let mut breaker = open_at(0);
        assert_eq!(breaker.verdict(at(0), false), Verdict::Probe);
        breaker.probe();
        assert!(matches!(breaker.verdict(at(0), false), Verdict::Wait(_)));
    }
}
