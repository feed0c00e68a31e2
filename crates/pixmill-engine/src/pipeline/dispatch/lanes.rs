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
use crate::port::clock::Instant;
use crate::port::queue::Job;

/// How long, and how many of them at most, lanes are remembered in which nothing waits, for the faults of their origins.
const REMEMBERED: Duration = Duration::from_secs(600);
const MOST_REMEMBERED: usize = 4_096;

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
    not_before: Instant,
    breaker: Breaker,
    /// Since when nothing waits in it or is under way.
    idle: Option<Instant>,
}

/// All lanes of a process.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: HashMap<LaneName, Lane>,
    /// Lanes in which images wait, in turn.
    ring: VecDeque<LaneName>,
    /// Lanes that became idle, in order. One that is not idle any more, or is so anew, is found again further on.
    idle: VecDeque<(Instant, LaneName)>,
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
            idle: VecDeque::new(),
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
            not_before: Instant::default(),
            breaker: Breaker::Closed(0),
            idle: None,
        });
        lane.idle = None;
        if lane.waiting.is_empty() {
            self.ring.push_back(name.clone());
        }
        name
    }

    /// Takes up to `most` images that may start now, origins in turn.
    pub(super) fn start(&mut self, now: Instant, most: usize) -> Vec<Started> {
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

    /// Asking its origin is over; the image itself may go on. Not to be called for images that were given up.
    pub(super) fn asked(&mut self, lane: &LaneName, asked: &Asked, now: Instant) {
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
        self.rest(lane, now);
    }

    /// Forgets a lane in which nothing is left, or remembers for a while what its origin did.
    fn rest(&mut self, name: &LaneName, now: Instant) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if !lane.waiting.is_empty() || lane.under_way > 0 {
            return;
        }
        if lane.breaker.is_fresh() && lane.not_before <= now {
            self.lanes.remove(name);
        } else if lane.idle.is_none() {
            lane.idle = Some(now);
            self.idle.push_back((now, name.clone()));
        }
        self.forget(now);
    }

    /// Forgets lanes that have been idle for long, and the oldest where there are many: each has but a few faults to tell
    /// of, and a catalogue may name a million origins that are no more.
    fn forget(&mut self, now: Instant) {
        while let Some((since, name)) = self.idle.front() {
            let lane = self.lanes.get(name);
            let idle = lane.is_some_and(|lane| lane.idle == Some(*since));
            if idle && self.idle.len() <= MOST_REMEMBERED && now.since(*since) < REMEMBERED {
                return;
            }
            if idle {
                self.lanes.remove(name);
            }
            self.idle.pop_front();
        }
    }

    /// The image is over, or could not be claimed.
    pub(super) fn left(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// When something may start that may not start now.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        self.ring.iter().filter_map(|name| self.lanes[name].wakes(now, self.patient)).min()
    }

    /// Takes images out of lanes that are stuck (left alone, or asked to wait), all but `keep` of each, and fewer where
    /// there are many.
    pub(super) fn take_stuck(&mut self, now: Instant, keep: usize) -> Vec<Job> {
        let keep = keep.min(self.parked / (2 * self.ring.len().max(1))).max(1);
        let mut taken = Vec::new();
        for name in &self.ring {
            let lane = self.lanes.get_mut(name).expect("a lane in the ring exists");
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
        self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..)).collect()
    }
}

impl Lane {
    /// The next image that may start, if one may.
    fn next(&mut self, now: Instant, patient: bool) -> Option<(Job, Option<Fault>)> {
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
    fn wakes(&self, now: Instant, patient: bool) -> Option<Instant> {
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

    const NOW: Instant = Instant(Duration::from_secs(1_000));

    fn park(lanes: &mut Lanes, number: usize, host: &str) {
        let (image, request) = (ImageId::from(format!("image-{host}-{number}")), RequestId::from("request"));
        let job = Job {
            id: image.as_str().into(),
            image: image.clone(),
            request: request.clone(),
            candidate: None,
            retries: None,
        };
        let input = format!("http://{host}/{number}.jpg");
        lanes.park(job, &Candidate { image, request, input, round: 1, attempts: 0 });
    }

    fn lanes(hosts: &[(&str, usize)]) -> Lanes {
        let mut lanes = Lanes::new(8, true, Duration::from_secs(60));
        for (host, count) in hosts {
            (0..*count).for_each(|number| park(&mut lanes, number, host));
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

    /// One image of each of many origins that never answer.
    fn fail_once(lanes: &mut Lanes, hosts: std::ops::Range<usize>, now: Instant) {
        for host in hosts {
            park(lanes, 0, &format!("dead-{host}"));
            for started in lanes.start(now, 64) {
                lanes.asked(&started.lane, &timeout(), now);
                lanes.left();
            }
        }
    }

    #[test]
    fn however_many_origins_are_dead_few_are_remembered() {
        let mut lanes = lanes(&[]);
        fail_once(&mut lanes, 0..MOST_REMEMBERED + 100, NOW);
        assert_eq!((lanes.lanes.len(), lanes.idle.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
        let later = NOW + REMEMBERED;
        fail_once(&mut lanes, 0..1, later);
        assert_eq!((lanes.lanes.len(), lanes.idle.len()), (1, 1), "old ones are forgotten");
    }

    #[test]
    fn faults_are_remembered_between_an_origins_images() {
        let mut lanes = lanes(&[]);
        for second in 0..10 {
            let now = NOW + Duration::from_secs(second);
            fail_once(&mut lanes, 7..8, now);
        }
        park(&mut lanes, 1, "dead-7");
        let now = NOW + Duration::from_millis(9_500);
        assert!(lanes.start(now, 64).is_empty(), "ten faults opened its breaker, one after another");
        assert_eq!(lanes.next_change(now), Some(NOW + Duration::from_secs(10)));
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
        assert_eq!(lanes.take_all().len(), 11);
        assert!(lanes.parked() == 0 && lanes.start(NOW, 64).is_empty());
    }
}
