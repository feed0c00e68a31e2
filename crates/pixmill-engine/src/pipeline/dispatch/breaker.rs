//! Leaves an origin alone that fails again and again, so that it holds up no other.
//!
//! Faults of single addresses among successes are no outage: an image that failed while its origin answered others tells
//! nothing of the origin any more, and where an origin has answered many, a few images that fail open nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::fault::{Fault, Pressure};
use crate::model::id::ImageId;
use crate::port::clock::Instant;

/// Transient faults in a row that open a breaker.
const FAULTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long an origin is waited for before its images are given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// What an origin's images may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// Start.
    Start,
    /// One may start, to see whether the origin is back.
    Probe,
    /// Wait until then.
    Wait(Instant),
    /// End with this fault.
    GiveUp(Fault),
}

/// So many images of an origin that answered must fail in a row for one that it answered, and at most so many.
const ANSWERED_FOR_ONE: usize = 8;
const MOST_FAULTY: usize = 50;

/// Images that are known to fail by themselves.
const MOST_KNOWN: usize = 10_000;

/// A breaker for one scheme, host and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    /// Images that it answered.
    answered: usize,
    /// Faults in a row.
    faults: u32,
    /// The images that failed in that row, and whether for themselves rather than for the origin's pace.
    faulty: HashMap<ImageId, bool>,
    /// Images that failed while others were answered.
    by_themselves: HashSet<ImageId>,
    /// Once it is open: the origin is left alone but for probes.
    open: Option<Open>,
}

/// What an open breaker knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    since: Instant,
    next_probe: Instant,
    wait: Duration,
    /// The image by which it is being asked.
    probing: Option<ImageId>,
    last: Fault,
}

impl Breaker {
    /// What may be done now. Where images have one attempt, `patient` is false: nobody asked to wait for an origin to
    /// come back, so probes follow one another and the origin is only asked one at a time.
    pub(super) fn admission(&self, now: Instant, patient: bool) -> Admission {
        let Some(open) = &self.open else { return Admission::Start };
        match open.since + PATIENCE {
            _ if open.probing.is_none() && (!patient || now >= open.next_probe) => Admission::Probe,
            end if now >= end => Admission::GiveUp(open.last.clone()),
            end if open.probing.is_some() => Admission::Wait(end),
            end => Admission::Wait(open.next_probe.min(end)),
        }
    }

    /// A probe starts, with this image.
    pub(super) fn probe(&mut self, image: &ImageId) {
        if let Some(open) = &mut self.open {
            open.probing = Some(image.clone());
        }
    }

    /// Nothing is to be heard of an image: it was handed back, or never started. Where it was the probe, another may start.
    pub(super) fn lost(&mut self, image: &ImageId) {
        if let Some(open) = &mut self.open {
            open.probing.take_if(|probe| probe == image);
        }
    }

    /// The origin answered (404s are answers).
    pub(super) fn answered(&mut self) {
        self.answered += 1;
        self.faults = 0;
        // Where it was away, those that failed meanwhile say nothing of themselves.
        let faulty = std::mem::take(&mut self.faulty);
        if self.open.take().is_none() && self.by_themselves.len() < MOST_KNOWN {
            self.by_themselves.extend(faulty.into_iter().filter(|(_, own)| *own).map(|(image, _)| image));
        }
    }

    /// A transient fault of an image.
    pub(super) fn faulted(&mut self, image: &ImageId, fault: &Fault, now: Instant) {
        if let Some(open) = &mut self.open {
            open.last = fault.clone();
            // Those that were under way when it opened say no more than it knows.
            if open.probing.take_if(|probe| probe == image).is_some() {
                open.wait = (open.wait * 2).min(LONGEST_WAIT);
                open.next_probe = now + open.wait;
            }
            return;
        }
        if self.by_themselves.contains(image) {
            return;
        }
        self.faults += 1;
        self.faulty.insert(image.clone(), fault.pressure == Pressure::None);
        if self.is_outage() {
            self.open = Some(Open {
                since: now,
                next_probe: now + FIRST_WAIT,
                wait: FIRST_WAIT,
                probing: None,
                last: fault.clone(),
            });
            self.faulty.clear();
        }
    }

    fn is_outage(&self) -> bool {
        self.faults >= FAULTS && self.faulty.len() > (self.answered / ANSWERED_FOR_ONE).min(MOST_FAULTY)
    }

    /// Whether the origin is being left alone.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The origin was paused, and is not any more: how long that was says nothing of it, and it may be asked now.
    pub(super) fn resumed(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            (open.since, open.next_probe, open.wait) = (now, now, FIRST_WAIT);
        }
    }

    /// Why the origin is left alone, and for how long unless it is being asked.
    pub(super) fn told(&self, now: Instant) -> Option<(&Fault, Duration)> {
        self.open.as_ref().map(|open| (&open.last, open.next_probe.since(now)))
    }

    /// Whether there is nothing worth remembering.
    pub(super) fn is_fresh(&self) -> bool {
        self.open.is_none() && self.faults == 0 && self.by_themselves.is_empty()
    }

    /// Whether the origin has ever answered.
    pub(super) fn has_answered(&self) -> bool {
        self.answered > 0
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
        let mut breaker = Breaker::default();
        for _ in 0..FAULTS {
            assert!(!breaker.is_open());
            breaker.faulted(&image(0), &fault(), at(seconds));
        }
        breaker
    }

    fn image(number: usize) -> ImageId {
        ImageId::from(format!("image-{number}"))
    }

    #[test]
    fn ten_faults_in_a_row_open_it_and_an_answer_between_them_does_not() {
        assert!(open_at(0).is_open());
        let mut breaker = Breaker::default();
        for row in 0..5 {
            (0..9).for_each(|_| breaker.faulted(&image(row), &fault(), at(0)));
            breaker.answered();
        }
        assert_eq!(breaker.admission(at(0), true), Admission::Start);
    }

    #[test]
    fn probes_come_after_one_second_doubling_to_sixty() {
        let mut breaker = open_at(0);
        let mut now = at(0);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            let due = now + Duration::from_secs(wait);
            assert_eq!(
                breaker.admission(Instant(due.0 - Duration::from_millis(1)), true),
                Admission::Wait(due)
            );
            assert_eq!(breaker.admission(due, true), Admission::Probe);
            breaker.probe(&image(0));
            assert!(matches!(breaker.admission(due, true), Admission::Wait(_)), "one probe at a time");
            breaker.faulted(&image(0), &fault(), due);
            now = due;
        }
    }

    #[test]
    fn what_was_under_way_when_it_opened_is_no_probe() {
        let mut breaker = open_at(0);
        breaker.probe(&image(0));
        breaker.lost(&image(7));
        breaker.faulted(&image(8), &fault(), at(1));
        assert!(matches!(breaker.admission(at(1), true), Admission::Wait(_)), "the probe is still under way");
        breaker.lost(&image(0));
        assert_eq!(breaker.admission(at(1), true), Admission::Probe, "and nothing has made it wait longer");
    }

    #[test]
    fn a_probe_that_is_answered_closes_it() {
        let mut breaker = open_at(0);
        breaker.probe(&image(0));
        breaker.answered();
        assert_eq!(breaker.admission(at(2), true), Admission::Start);
    }

    #[test]
    fn after_ten_minutes_images_are_given_up_with_the_last_fault_but_probes_go_on() {
        let mut breaker = open_at(0);
        breaker.probe(&image(0));
        assert_eq!(breaker.admission(at(600), true), Admission::GiveUp(fault()));
        breaker.faulted(&image(0), &fault(), at(601));
        assert_eq!(breaker.admission(at(602), true), Admission::GiveUp(fault()));
        assert_eq!(breaker.admission(at(603), true), Admission::Probe);
    }

    #[test]
    fn with_one_attempt_nobody_waits_for_an_origin_to_come_back() {
        let mut breaker = open_at(0);
        assert_eq!(breaker.admission(at(0), false), Admission::Probe);
        breaker.probe(&image(0));
        assert!(matches!(breaker.admission(at(0), false), Admission::Wait(_)));
    }

    #[test]
    fn single_addresses_that_fail_among_successes_are_no_outage() {
        for bad in [5, 10] {
            for (first, last) in [(0, 300), (150, 150), (300, 0)] {
                let mut breaker = Breaker::default();
                (0..first).for_each(|_| breaker.answered());
                for attempt in 0..5 {
                    for number in 0..bad {
                        breaker.faulted(&image(number), &fault(), at(attempt));
                        if first + last > 0 && attempt == 0 && number < last {
                            breaker.answered();
                        }
                    }
                }
                assert!(!breaker.is_open(), "{bad} bad after {first} good and before {last}");
            }
        }
    }

    #[test]
    fn an_origin_that_went_away_after_many_answers_is_left_alone() {
        let mut breaker = Breaker::default();
        (0..300).for_each(|_| breaker.answered());
        let faults = (0..100).take_while(|number| {
            breaker.faulted(&image(*number), &fault(), at(0));
            !breaker.is_open()
        });
        assert_eq!(faults.count(), 37);
        let mut small = Breaker::default();
        (0..8).for_each(|_| small.answered());
        (0..10).for_each(|number| small.faulted(&image(number % 3), &fault(), at(0)));
        assert!(small.is_open());
    }

    #[test]
    fn what_was_refused_for_its_pace_counts_again_when_the_origin_is_away() {
        let mut breaker = Breaker::default();
        let refused = fault().under(Pressure::Sure);
        (0..9).for_each(|number| breaker.faulted(&image(number), &refused, at(0)));
        breaker.answered();
        (0..10).for_each(|number| breaker.faulted(&image(number), &fault(), at(1)));
        assert!(breaker.is_open());
    }
}
