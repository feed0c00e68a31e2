//! Images that wait to start, one lane an origin, so that a slow origin holds up no other.
//!
//! A state machine without a clock or a port: told what happened, it says what may start.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::breaker::{Breaker, Verdict};
use crate::fault::Fault;
use crate::model::image::Candidate;
use crate::model::source::Source;
use crate::model::time::Timestamp;
use crate::port::queue::Job;

/// Names a lane: scheme, host and port.
pub(super) type LaneName = Arc<str>;

/// An image that may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) job: Job,
    pub(super) lane: LaneName,
    /// Its origin has been given up: end it with this, ask nobody.
    pub(super) given_up: Option<Fault>,
}

/// What came of asking an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// It answered, with a picture or with a refusal.
    Answered,
    /// A transient fault.
    Faulted(Fault),
    /// Nothing can be said: it was not asked.
    Skipped,
}

#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Job>,
    under_way: usize,
    /// Narrowed by 429 and 503, widened again by answers.
    width: usize,
    /// Asked to be left alone until then.
    not_before: Timestamp,
    breaker: Breaker,
}

/// All lanes of a process.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: HashMap<LaneName, Lane>,
    /// Lanes in which images wait, in turn.
    ring: VecDeque<LaneName>,
    /// Images whose last attempt ended in a crash: each is tried alone.
    suspects: VecDeque<Job>,
    /// A suspect is under way.
    alone: bool,
    parked: usize,
    under_way: usize,
    per_origin: usize,
    patient: bool,
    longest_retry_after: Duration,
}

impl Lanes {
    pub(super) fn new(per_origin: usize, patient: bool, longest_retry_after: Duration) -> Self {
        Lanes {
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            suspects: VecDeque::new(),
            alone: false,
            parked: 0,
            under_way: 0,
            per_origin,
            patient,
            longest_retry_after,
        }
    }

    /// Images that wait.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// Images that were started and have not left.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Adds a job's image at the end of its lane.
    pub(super) fn park(&mut self, job: Job, candidate: &Candidate) {
        self.parked += 1;
        if candidate.suspect {
            self.suspects.push_back(job);
            return;
        }
        let source = Source::parse(&candidate.input);
        let name = source.map_or_else(|_| "invalid:".to_owned(), |source| source.origin());
        let lane = self.lane(name.into());
        self.lanes.get_mut(&lane).expect("just made").waiting.push_back(job);
    }

    /// The lane of that name, made and put into the ring when nothing waited in it.
    fn lane(&mut self, name: LaneName) -> LaneName {
        let width = self.per_origin;
        let lane = self.lanes.entry(name.clone()).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            under_way: 0,
            width,
            not_before: Timestamp::default(),
            breaker: Breaker::Closed(0),
        });
        if lane.waiting.is_empty() {
            self.ring.push_back(name.clone());
        }
        name
    }

    /// Takes up to `most` images that may start now, origins in turn. While a suspect is under way nothing else starts,
    /// and it starts only when nothing else is: if the process dies again, it was the one.
    pub(super) fn start(&mut self, now: Timestamp, most: usize) -> Vec<Started> {
        if self.alone || !self.suspects.is_empty() {
            return self.start_suspect();
        }
        let mut started = Vec::new();
        let mut idle = 0;
        while started.len() < most && idle < self.ring.len() {
            let name = self.ring.pop_front().expect("the ring is longer than the lanes passed over");
            let lane = self.lanes.get_mut(&name).expect("a lane in the ring exists");
            match lane.next(now, self.patient) {
                Some((job, given_up)) => {
                    idle = 0;
                    self.parked -= 1;
                    self.under_way += 1;
                    if !lane.waiting.is_empty() {
                        self.ring.push_back(name.clone());
                    }
                    started.push(Started { job, lane: name, given_up });
                }
                None => {
                    idle += 1;
                    self.ring.push_back(name);
                }
            }
        }
        started
    }

    fn start_suspect(&mut self) -> Vec<Started> {
        if self.under_way > 0 {
            return Vec::new();
        }
        let Some(job) = self.suspects.pop_front() else { return Vec::new() };
        self.parked -= 1;
        self.under_way += 1;
        self.alone = true;
        vec![Started { job, lane: "suspect:".into(), given_up: None }]
    }

    /// Asking its origin is over; the image itself may go on. Not to be called for images that were given up.
    pub(super) fn asked(&mut self, lane: &LaneName, asked: &Asked, now: Timestamp) {
        let (per_origin, longest) = (self.per_origin, self.longest_retry_after);
        let Some(found) = self.lanes.get_mut(lane) else { return };
        found.under_way = found.under_way.saturating_sub(1);
        match asked {
            Asked::Answered => {
                found.breaker.answered();
                found.width = (found.width + 1).min(per_origin);
            }
            Asked::Faulted(fault) => {
                found.breaker.faulted(fault, now);
                if let Some(wait) = fault.retry_after {
                    found.width = (found.width / 2).max(1);
                    found.not_before = found.not_before.max(now + wait.min(longest));
                }
            }
            Asked::Skipped => found.breaker.probe_lost(),
        }
        if found.waiting.is_empty()
            && found.under_way == 0
            && found.breaker.is_fresh()
            && found.not_before <= now
        {
            self.lanes.remove(lane);
        }
    }

    /// The image is over, or could not be claimed.
    pub(super) fn left(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.alone &= self.under_way > 0;
    }

    /// When something may start that may not start now.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.ring.iter().filter_map(|name| self.lanes[name].wakes(now, self.patient)).min()
    }

    /// Takes images out of lanes that are stuck (left alone, or asked to wait), all but `keep` of each, and fewer where
    /// there are many.
    pub(super) fn take_stuck(&mut self, now: Timestamp, keep: usize) -> Vec<Job> {
        let keep = keep.min(self.parked / (2 * self.lanes.len().max(1))).max(1);
        let mut taken = Vec::new();
        for lane in self.lanes.values_mut() {
            let waits = lane.breaker.is_open() || lane.not_before > now;
            if waits && lane.waiting.len() > keep {
                taken.extend(lane.waiting.drain(keep..));
            }
        }
        self.parked -= taken.len();
        taken
    }

    /// Takes all that wait.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.parked = 0;
        self.ring.clear();
        let waiting = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..));
        waiting.chain(self.suspects.drain(..)).collect()
    }
}

impl Lane {
    /// The next image that may start, if one may.
    fn next(&mut self, now: Timestamp, patient: bool) -> Option<(Job, Option<Fault>)> {
        let verdict = self.breaker.verdict(now, patient);
        let given_up = match verdict {
            Verdict::GiveUp(fault) => Some(fault),
            Verdict::Wait(_) => return None,
            Verdict::Start | Verdict::Probe if now < self.not_before || self.under_way >= self.width => {
                return None;
            }
            Verdict::Start => None,
            Verdict::Probe => {
                self.breaker.probe();
                None
            }
        };
        let job = self.waiting.pop_front()?;
        self.under_way += usize::from(given_up.is_none());
        Some((job, given_up))
    }

    /// When it wakes by itself: not when it waits for its own images.
    fn wakes(&self, now: Timestamp, patient: bool) -> Option<Timestamp> {
        match self.breaker.verdict(now, patient) {
            Verdict::Wait(until) => Some(until),
            Verdict::Start | Verdict::Probe if now < self.not_before => Some(self.not_before),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::model::id::{ImageId, RequestId};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn park(lanes: &mut Lanes, number: usize, host: &str, suspect: bool) {
        let (image, request) = (ImageId::from(format!("image-{host}-{number}")), RequestId::from("request"));
        let job = Job {
            id: image.as_str().into(),
            image: image.clone(),
            request: request.clone(),
            candidate: None,
            retries: None,
        };
        let input = format!("http://{host}/{number}.jpg");
        lanes.park(job, &Candidate { image, request, input, suspect, round: 1, attempts: 0 });
    }

    fn lanes(hosts: &[(&str, usize)]) -> Lanes {
        let mut lanes = Lanes::new(8, true, Duration::from_secs(60));
        for (host, count) in hosts {
            (0..*count).for_each(|number| park(&mut lanes, number, host, false));
        }
        lanes
    }

    fn timeout() -> Asked {
        Asked::Faulted(Fault::transient(Code::FetchTimeout, "no answer"))
    }

    #[test]
    fn an_origin_is_asked_for_at_most_eight_at_once() {
        let mut lanes = lanes(&[("a", 40)]);
        assert_eq!(lanes.start(NOW, 64).len(), 8);
        assert!(lanes.start(NOW, 64).is_empty());
        lanes.asked(&"http://a".into(), &Asked::Answered, NOW);
        assert_eq!(lanes.start(NOW, 64).len(), 1);
    }

    #[test]
    fn a_slow_origin_leaves_room_for_the_others() {
        let mut lanes = lanes(&[("slow", 100), ("b", 4), ("c", 4)]);
        let started = lanes.start(NOW, 16);
        assert_eq!(started.iter().filter(|s| &*s.lane == "http://slow").count(), 8);
        assert_eq!(started.len(), 16);
    }

    #[test]
    fn origins_take_turns() {
        let mut lanes = lanes(&[("a", 3), ("b", 3)]);
        let order: Vec<_> = lanes.start(NOW, 4).iter().map(|s| s.lane.to_string()).collect();
        assert_eq!(order, ["http://a", "http://b", "http://a", "http://b"]);
    }

    #[test]
    fn retry_after_holds_the_lane_and_narrows_it() {
        let mut lanes = lanes(&[("a", 40)]);
        lanes.start(NOW, 64);
        let busy = Fault::transient(Code::FetchStatus, "503").after(Some(Duration::from_secs(5)));
        (0..8).for_each(|_| lanes.asked(&"http://a".into(), &Asked::Faulted(busy.clone()), NOW));
        assert!(lanes.start(NOW, 64).is_empty());
        assert_eq!(lanes.next_change(NOW), Some(NOW + Duration::from_secs(5)));
        assert_eq!(lanes.start(NOW + Duration::from_secs(5), 64).len(), 1);
    }

    #[test]
    fn a_dead_origin_is_probed_by_one_image_at_a_time() {
        let mut lanes = lanes(&[("dead", 40)]);
        lanes.start(NOW, 64);
        (0..8).for_each(|_| lanes.asked(&"http://dead".into(), &timeout(), NOW));
        assert_eq!(lanes.start(NOW, 2).len(), 2);
        (0..2).for_each(|_| lanes.asked(&"http://dead".into(), &timeout(), NOW));
        assert!(lanes.start(NOW, 64).is_empty());
        assert_eq!(lanes.start(NOW + Duration::from_secs(1), 64).len(), 1);
        let given_up = lanes.start(NOW + Duration::from_secs(601), 64);
        assert_eq!(given_up.len(), 29);
        assert!(given_up.iter().all(|started| started.given_up.is_some()));
    }

    #[test]
    fn a_suspect_is_tried_alone() {
        let mut lanes = lanes(&[("a", 2)]);
        park(&mut lanes, 9, "b", true);
        assert_eq!(lanes.start(NOW, 64).len(), 1);
        assert!(lanes.start(NOW, 64).is_empty(), "nothing starts beside a suspect");
        lanes.left();
        assert_eq!(lanes.start(NOW, 64).len(), 2);
        park(&mut lanes, 9, "b", true);
        assert!(lanes.start(NOW, 64).is_empty(), "a suspect waits until nothing is under way");
    }

    #[test]
    fn lanes_without_a_past_are_forgotten() {
        let mut lanes = lanes(&[("a", 1), ("b", 1)]);
        for started in lanes.start(NOW, 64) {
            lanes.asked(&started.lane, &Asked::Answered, NOW);
        }
        assert!(lanes.lanes.is_empty());
    }

    #[test]
    fn stuck_images_can_be_taken_out() {
        let mut lanes = lanes(&[("dead", 40), ("b", 40)]);
        lanes.start(NOW, 20);
        (0..10).for_each(|_| lanes.asked(&"http://dead".into(), &timeout(), NOW));
        let taken = lanes.take_stuck(NOW, 10);
        assert_eq!(taken.len(), 22);
        assert_eq!(lanes.parked(), 10 + 32);
    }

    #[test]
    fn all_that_waits_can_be_taken_out() {
        let mut lanes = lanes(&[("a", 9), ("b", 2)]);
        park(&mut lanes, 9, "b", true);
        assert_eq!(lanes.take_all().len(), 12);
        assert!(lanes.parked() == 0 && lanes.start(NOW, 64).is_empty());
    }
}
