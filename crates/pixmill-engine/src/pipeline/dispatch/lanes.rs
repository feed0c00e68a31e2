//! Images that wait to start, one lane an origin, so that a slow origin holds up no other. Requests take turns, and so do
//! the origins of each.
//!
//! A state machine without a clock or a port: told what happened, it says what may start.

mod look;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::Learnt;
use super::breaker::{Admission, Breaker};
use super::hosts::{HostRule, Rules};
use super::pace::{May, Pace};
use crate::fault::{Fault, Pressure};
use crate::model::id::RequestId;
use crate::model::image::Candidate;
use crate::model::source::Source;
use crate::port::clock::Instant;
use crate::port::queue::Job;

/// How long, and how many of them at most, lanes are remembered in which nothing waits, for the faults of their origins.
const REMEMBERED: Duration = Duration::from_secs(600);
const MOST_REMEMBERED: usize = 4_096;

/// What can't start for so long because of its origin's pace leaves its room to others.
const SOON: Duration = Duration::from_secs(15);

/// Of a lane that is stuck, so many times as many images stay of all requests as of one.
const KEPT_OF_ALL: usize = 8;

/// Names a lane: scheme, host and port.
pub(super) type LaneName = Arc<str>;

/// How many images may be claimed: so many in all, and so many of each request that has fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) most: usize,
    pub(super) of_each: usize,
}

impl Room {
    pub(super) const NONE: Room = Room { most: 0, of_each: 0 };
}

/// An image that may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) job: Job,
    pub(super) lane: LaneName,
    /// Its origin has been given up: end it with this, ask nobody.
    pub(super) given_up: Option<Fault>,
    /// When it was started.
    pub(super) at: Instant,
    /// There were others of its origin, now or before, and whether one was answered.
    pub(super) company: bool,
    pub(super) answered: bool,
}

/// What came of asking an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OriginReply {
    /// It answered, with a picture or with a refusal.
    Answered,
    /// A transient fault.
    Faulted(Fault),
    /// Nothing can be said: it was not asked.
    Skipped,
}

#[derive(Debug)]
struct Lane {
    waiting: BTreeMap<RequestId, VecDeque<Job>>,
    under_way: usize,
    /// Narrowed by 429 and 503, widened again by answers.
    width: usize,
    /// Asked to be left alone until then.
    not_before: Instant,
    breaker: Breaker,
    pace: Pace,
    /// What an operator wants of its host.
    rule: HostRule,
    /// Since when nothing waits in it or is under way.
    idle: Option<Instant>,
}

/// A request, as far as lanes know it.
#[derive(Debug, Default)]
struct Party {
    /// Lanes in which images of it wait, in turn.
    ring: VecDeque<LaneName>,
    under_way: usize,
}

/// All lanes of a process.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: BTreeMap<LaneName, Lane>,
    parties: HashMap<RequestId, Party>,
    /// Requests of which images wait, in turn.
    turns: VecDeque<RequestId>,
    /// Lanes that became idle, in order. One that is not idle any more, or is so anew, is found again further on.
    idle: VecDeque<(Instant, LaneName)>,
    parked: usize,
    under_way: usize,
    /// Lanes whose origin is left alone.
    open: usize,
    per_origin: usize,
    patient: bool,
    longest_retry_after: Duration,
    rules: Arc<Rules>,
}

impl Lanes {
    pub(super) fn new(per_origin: usize, patient: bool, longest_retry_after: Duration) -> Self {
        Lanes {
            lanes: BTreeMap::new(),
            parties: HashMap::new(),
            turns: VecDeque::new(),
            idle: VecDeque::new(),
            parked: 0,
            under_way: 0,
            open: 0,
            per_origin,
            patient,
            longest_retry_after,
            rules: Arc::default(),
        }
    }

    /// Origins that are left alone.
    pub(super) fn origins_open(&self) -> usize {
        self.open
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
        let (name, width) = (LaneName::from(name), self.per_origin);
        let lane = self
            .lanes
            .entry(name.clone())
            .or_insert_with(|| Lane::new(width, look::rule(&self.rules, &name)));
        lane.idle = None;
        let party = self.parties.entry(job.request.clone()).or_default();
        let waiting = lane.waiting.entry(job.request.clone()).or_default();
        if waiting.is_empty() {
            if party.ring.is_empty() {
                self.turns.push_back(job.request.clone());
            }
            party.ring.push_back(name);
        }
        waiting.push_back(job);
    }

    /// Takes images that may start now while there is room, requests in turn and the origins of each.
    pub(super) fn start(&mut self, now: Instant, room: Room) -> Vec<Started> {
        let mut started = Vec::new();
        let mut idle = 0;
        while idle < self.turns.len() {
            let request = self.turns.pop_front().expect("there are more requests than were passed over");
            let party = self.parties.get_mut(&request).expect("whoever has a turn is known");
            let may = started.len() < room.most || party.under_way < room.of_each;
            match may.then(|| party.next(&request, &mut self.lanes, now, self.patient)).flatten() {
                Some(one) => {
                    idle = 0;
                    started.push(one);
                    self.parked -= 1;
                    self.under_way += 1;
                }
                None => idle += 1,
            }
            if !party.ring.is_empty() {
                self.turns.push_back(request);
            }
        }
        started
    }

    /// Asking its origin is over; the image itself may go on. Not to be called for images that were given up. Says what
    /// is known of the origin's pace, where that is limited.
    pub(super) fn asked(&mut self, started: &Started, reply: &OriginReply, now: Instant) -> Option<Learnt> {
        let (per_origin, longest) = (self.per_origin, self.longest_retry_after);
        let lane = self.lanes.get_mut(&started.lane)?;
        lane.under_way = lane.under_way.saturating_sub(1);
        let (was_limited, was_open) = (!lane.pace.is_fresh(), lane.breaker.is_open());
        match reply {
            OriginReply::Answered => {
                lane.breaker.answered();
                lane.pace.answered(started.at, now);
                lane.width = (lane.width + 1).min(per_origin);
            }
            OriginReply::Faulted(fault) => {
                lane.breaker.faulted(&started.job.image, fault, now);
                let wait = fault.retry_after.map(|wait| wait.min(longest));
                if fault.pressure != Pressure::None {
                    lane.pace.refused(started.at, wait, now);
                } else if let Some(wait) = wait {
                    lane.width = (lane.width / 2).max(1);
                    lane.not_before = lane.not_before.max(now + wait);
                }
            }
            OriginReply::Skipped => lane.breaker.lost(&started.job.image),
        }
        self.open = self.open + usize::from(lane.breaker.is_open()) - usize::from(was_open);
        let (per_second, refusals) = lane.pace.learnt();
        let told = was_limited || per_second.is_some();
        let learnt = told.then(|| Learnt { origin: started.lane.to_string(), per_second, refusals });
        self.rest(&started.lane, now);
        learnt
    }

    /// Forgets a lane in which nothing is left, or remembers for a while what its origin did.
    fn rest(&mut self, name: &LaneName, now: Instant) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if !lane.waiting.is_empty() || lane.under_way > 0 {
            return;
        }
        if lane.breaker.is_fresh() && lane.pace.is_fresh() && lane.not_before <= now {
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
            if idle && self.lanes.remove(name).is_some_and(|lane| lane.breaker.is_open()) {
                self.open -= 1;
            }
            self.idle.pop_front();
        }
    }

    /// An image of a request is over, or could not be claimed.
    pub(super) fn left(&mut self, request: &RequestId) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(party) = self.parties.get_mut(request) else { return };
        party.under_way = party.under_way.saturating_sub(1);
        if party.under_way == 0 && party.ring.is_empty() {
            self.parties.remove(request);
        }
    }

    /// When something may start that may not start now.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let waiting = self.parties.values().flat_map(|party| &party.ring);
        waiting.filter_map(|name| self.lanes[name].wakes(now, self.patient)).min()
    }

    /// Takes images out of lanes that are stuck (left alone, or asked to wait), all but `keep` of each request, fewer where
    /// there are many, and not many more of all requests of a lane.
    pub(super) fn take_stuck(&mut self, now: Instant, keep: usize) -> Vec<Job> {
        let lines: usize = self.parties.values().map(|party| party.ring.len()).sum();
        let most = keep * KEPT_OF_ALL;
        let keep = keep.min(self.parked / (2 * lines.max(1))).max(1);
        let mut taken = Vec::new();
        let mut emptied = Vec::new();
        for (name, lane) in &mut self.lanes {
            if !lane.is_stuck(now) {
                continue;
            }
            let mut left = most;
            lane.waiting.retain(|request, line| {
                let stays = line.len().min(keep).min(left);
                left -= stays;
                taken.extend(line.drain(stays..));
                if stays == 0 {
                    emptied.push((request.clone(), name.clone()));
                }
                stays > 0
            });
        }
        for (request, name) in emptied {
            let Some(party) = self.parties.get_mut(&request) else { continue };
            party.ring.retain(|other| *other != name);
            if party.ring.is_empty() && party.under_way == 0 {
                self.parties.remove(&request);
            }
        }
        let parties = &self.parties;
        self.turns.retain(|request| parties.get(request).is_some_and(|party| !party.ring.is_empty()));
        self.parked -= taken.len();
        taken
    }

    /// Takes all that wait.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        self.parked = 0;
        self.turns.clear();
        self.parties.retain(|_, party| party.under_way > 0);
        self.parties.values_mut().for_each(|party| party.ring.clear());
        let lines = self.lanes.values_mut().flat_map(|lane| std::mem::take(&mut lane.waiting));
        lines.flat_map(|(_, waiting)| waiting).collect()
    }
}

impl Party {
    /// The next image of it that may start, if one may: its origins take turns.
    fn next(
        &mut self,
        request: &RequestId,
        lanes: &mut BTreeMap<LaneName, Lane>,
        now: Instant,
        patient: bool,
    ) -> Option<Started> {
        for _ in 0..self.ring.len() {
            let name = self.ring.pop_front()?;
            let lane = lanes.get_mut(&name).expect("a lane in a ring exists");
            let next = lane.next(request, now, patient);
            if lane.waiting.contains_key(request) {
                self.ring.push_back(name.clone());
            }
            if let Some((job, given_up)) = next {
                self.under_way += 1;
                let (answered, beside) = (lane.breaker.has_answered(), lane.under_way > 1);
                let company = answered || beside || !lane.waiting.is_empty();
                return Some(Started { job, lane: name, given_up, at: now, company, answered });
            }
        }
        None
    }
}

impl Lane {
    fn new(width: usize, rule: HostRule) -> Self {
        Lane {
            waiting: BTreeMap::new(),
            under_way: 0,
            width,
            not_before: Instant::default(),
            breaker: Breaker::default(),
            pace: Pace::default(),
            rule,
            idle: None,
        }
    }

    /// Whether it stands still.
    fn is_held_up(&self, now: Instant) -> bool {
        self.rule.paused || self.breaker.is_open() || self.not_before > now
    }

    /// Whether what waits in it can't start soon.
    fn is_stuck(&self, now: Instant) -> bool {
        self.is_held_up(now) || self.pace.is_short_of(self.waits(), SOON)
    }

    /// How many images wait in it, of all requests.
    fn waits(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// The next image of a request that may start, if one may.
    fn next(&mut self, request: &RequestId, now: Instant, patient: bool) -> Option<(Job, Option<Fault>)> {
        // A host that is paused is neither asked nor given up.
        if self.rule.paused {
            return None;
        }
        let width = self.rule.width(self.width);
        let admission = self.breaker.admission(now, patient);
        let probes = admission == Admission::Probe;
        let given_up = match admission {
            Admission::GiveUp(fault) => Some(fault),
            Admission::Wait(_) => return None,
            Admission::Start | Admission::Probe if now < self.not_before || self.under_way >= width => {
                return None;
            }
            Admission::Start | Admission::Probe if self.pace.may_begin(now, self.under_way) != May::Begin => {
                return None;
            }
            Admission::Start | Admission::Probe => None,
        };
        let line = self.waiting.get_mut(request)?;
        let job = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(request);
        }
        if probes {
            self.breaker.probe(&job.image);
        }
        if given_up.is_none() {
            self.under_way += 1;
            self.pace.begun(now);
        }
        Some((job, given_up))
    }

    /// When it wakes by itself: not when it waits for its own images.
    fn wakes(&self, now: Instant, patient: bool) -> Option<Instant> {
        match self.breaker.admission(now, patient) {
            _ if self.rule.paused => None,
            Admission::Wait(until) => Some(until),
            Admission::Start | Admission::Probe if now < self.not_before => Some(self.not_before),
            Admission::Start | Admission::Probe => match self.pace.may_begin(now, self.under_way) {
                May::Wait(until) => Some(until),
                May::Begin | May::AfterTheOther => None,
            },
            Admission::GiveUp(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
