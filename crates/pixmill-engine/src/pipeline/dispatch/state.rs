//! What dispatch knows and decides: a state machine without a clock or a port. Told what happened and what time it is, it
//! says what is to be done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::Learnt;
use super::decision::{Decision, LATEST_DOCUMENT, decide};
use super::hosts::{Look, Rules};
use super::lanes::{Lanes, OriginReply, Room, Started};
use super::outage::Outage;
use super::put_off::PutOff;
use crate::fault::Fault;
use crate::model::id::JobId;
use crate::model::image::{Claim, Standing};
use crate::model::time::Timestamp;
use crate::port::clock::Instant;
use crate::port::queue::{Delivered, Job};

/// How often is looked for images that can make room, where there were none.
const ROOM_EVERY: Duration = Duration::from_millis(100);

/// Of an origin that is stuck, how many stay parked when others need the room.
const STUCK_KEPT: usize = 32;

/// Records are asked about so many jobs at once, or as many as there are when so long has passed since they were asked
/// before: jobs come in company, and while others are parked those that come can wait.
const ASK_BATCH: usize = 64;
const ASK_PAUSE: Duration = Duration::from_millis(20);
const FEW_PARKED: usize = 16;
const ASK_WAIT: Duration = Duration::from_secs(1);

/// So many images at least are claimed beyond those for which there are places, so that no place waits for records; while
/// a quarter of them is left, a claim waits for the other three quarters, or so long: it is a durable write, whatever its
/// size.
const AHEAD: usize = 32;
const CLAIM_WAIT: Duration = Duration::from_millis(500);

/// So many images that wait for something that takes nothing from others (their host's name to be looked up, those before
/// them at the target of a redirect) hold up no other.
const MOST_ASIDE: usize = 512;

/// So many images of a request are claimed whatever is under way of others.
const FEW: usize = 8;

/// Of more jobs than this whose images are unknown, those are forgotten that are known for long.
const MOST_UNKNOWN: usize = 10_000;

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The queue delivered jobs.
    Delivered(Vec<Job>),
    /// Records were asked how the images of jobs stand.
    Stood { jobs: Vec<Job>, standings: Result<Vec<Standing>, Fault>, wall: Timestamp },
    /// What of a claim was won.
    Claimed { started: Vec<Started>, claims: Result<Vec<Claim>, Fault> },
    /// Images were put off, or were not.
    PutOff { jobs: Vec<Job>, wait: Duration, written: Result<(), Fault> },
    /// The origin of an image has been asked; the connection is free.
    Asked { started: Arc<Started>, reply: OriginReply },
    /// The picture of an image is gone from memory; its outcome is yet to be written.
    Worked { asked: bool },
    /// An image is over with.
    Left { job: Job, delivered: Delivered },
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect {
    /// Ask records how the images of jobs stand.
    Ask(Vec<Job>),
    /// Put images off for so long.
    PutOff(Vec<Job>, Duration),
    /// Claim images, in one write.
    Claim(Vec<Started>),
    /// Begin work on an image.
    Work(Claim, Box<Started>),
    /// Tell the queue what became of a job.
    Finish(JobId, Delivered),
    /// Tell whoever watches what was learnt of an origin.
    Learnt(Learnt),
    /// Tell whoever watches how many origins are left alone.
    OriginsOpen(usize),
}

/// What dispatch stands among and does not decide.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// Jobs that this process may hold.
    pub(super) hold: usize,
    /// Places that are open.
    pub(super) places: usize,
    /// Images under way that hold neither place nor connection.
    pub(super) aside: usize,
    /// What operators want of hosts.
    pub(super) rules: Arc<Rules>,
}

/// How much of everything.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) per_origin: usize,
    /// An origin that is away is waited for.
    pub(super) patient: bool,
    pub(super) longest_retry_after: Duration,
    pub(super) lease: Duration,
}

/// The state.
#[derive(Debug)]
pub(super) struct Dispatch {
    bounds: Bounds,
    lanes: Lanes,
    put_off: PutOff,
    /// When images that can make room are looked for again.
    room_at: Instant,
    /// Jobs whose images records must be asked about.
    unsure: Vec<Job>,
    /// Until then asking waits for more of them.
    ask_at: Option<Instant>,
    /// When records were asked last.
    asked_at: Instant,
    /// Since when jobs are known here whose images records do not know.
    unknown: HashMap<JobId, Instant>,
    /// Jobs about which records are being asked, and those whose images are being put off.
    asking: usize,
    putting_off: usize,
    /// Images whose origin is being asked, or will be once they are claimed.
    fetching: usize,
    /// Images that have been fetched and not been worked on to their end.
    beyond: usize,
    /// Until then a claim waits for more images.
    claim_at: Option<Instant>,
    records: Arc<Outage>,
}

impl Dispatch {
    /// Nothing so far. `records` is what is known of records by all that ask them.
    pub(super) fn new(bounds: Bounds, records: Arc<Outage>) -> Self {
        Dispatch {
            lanes: Lanes::new(bounds.per_origin, bounds.patient, bounds.longest_retry_after),
            bounds,
            put_off: PutOff::default(),
            room_at: Instant::default(),
            unsure: Vec::new(),
            ask_at: None,
            asked_at: Instant::default(),
            unknown: HashMap::new(),
            asking: 0,
            putting_off: 0,
            fetching: 0,
            beyond: 0,
            claim_at: None,
            records,
        }
    }

    /// Takes note of what happened. What is to be done therefore, and whether to go on: not where records can't be reached
    /// and waiting does not help or has not helped for too long.
    pub(super) fn hear(&mut self, event: Event, now: Instant) -> (Vec<Effect>, Result<(), Fault>) {
        match event {
            Event::Delivered(jobs) => {
                self.park(jobs);
                (Vec::new(), Ok(()))
            }
            Event::Stood { jobs, standings, wall } => self.stood(jobs, standings, wall, now),
            Event::Claimed { started, claims } => self.claimed(started, claims, now),
            Event::PutOff { jobs, wait, written } => {
                self.putting_off -= jobs.len();
                let delivered = if written.is_ok() { Delivered::PutOff(wait) } else { Delivered::Returned };
                let finished = jobs.into_iter().map(|job| Effect::Finish(job.id, delivered.clone()));
                (finished.collect(), self.records.tried(written, now))
            }
            Event::Asked { started, reply } => {
                self.fetching -= 1;
                self.beyond += 1;
                let learnt = self.lanes.asked(&started, &reply, now).map(Effect::Learnt);
                let open = Effect::OriginsOpen(self.lanes.origins_open());
                (learnt.into_iter().chain([open]).collect(), Ok(()))
            }
            Event::Worked { asked } => {
                *(if asked { &mut self.beyond } else { &mut self.fetching }) -= 1;
                (Vec::new(), Ok(()))
            }
            Event::Left { job, delivered } => {
                self.lanes.left(&job.request);
                (vec![Effect::Finish(job.id, delivered)], Ok(()))
            }
        }
    }

    /// What is to be done now.
    pub(super) fn step(&mut self, around: &Around, now: Instant) -> Vec<Effect> {
        self.lanes.obey(around.rules.clone(), now);
        let reachable = self.records.may_try(now);
        let mut effects = Vec::new();
        effects.extend(self.ask(now));
        if reachable {
            effects.extend(self.make_room(around, now));
            effects.extend(self.start(around, now));
        }
        effects
    }

    /// When there is something to do though nothing happens before.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        // What needs records wakes nobody while they are away.
        let reachable = self.records.may_try(now);
        let changes = [
            self.lanes.next_change(now),
            self.claim_at.filter(|_| reachable),
            self.ask_at.filter(|_| reachable && self.asking == 0),
            self.records.next_try(),
        ];
        changes.into_iter().flatten().min()
    }

    /// How many more jobs this process may hold.
    pub(super) fn room_to_park(&self, hold: usize) -> usize {
        let waiting = self.unsure.len() + self.asking + self.putting_off;
        hold.saturating_sub(self.lanes.parked() + self.lanes.under_way() + waiting)
    }

    /// Nothing waits here.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.parked() == 0 && self.unsure.is_empty()
    }

    /// How many images are claimed or being claimed and not worked on to their end.
    pub(super) fn under_way(&self) -> usize {
        self.fetching + self.beyond
    }

    /// How lanes stand.
    pub(super) fn look(&self, now: Instant) -> Look {
        self.lanes.look(now)
    }

    /// Gives up all jobs that wait here.
    pub(super) fn hand_back(&mut self) -> Vec<Job> {
        let mut jobs = self.lanes.take_all();
        jobs.append(&mut self.unsure);
        jobs
    }

    /// Puts jobs into their origins' lanes, or among those that records must be asked about.
    fn park(&mut self, jobs: Vec<Job>) {
        for mut job in jobs {
            match job.candidate.take() {
                Some(candidate) => self.lanes.park(job, &candidate),
                None => self.unsure.push(job),
            }
        }
    }

    /// Asks about jobs that can't be parked as they are: many at a time, unless there is little else to do.
    fn ask(&mut self, now: Instant) -> Option<Effect> {
        if self.unsure.is_empty() || self.asking > 0 || !self.records.may_try(now) {
            self.ask_at = self.ask_at.filter(|_| !self.unsure.is_empty());
            return None;
        }
        let wait = if self.lanes.parked() < FEW_PARKED { ASK_PAUSE } else { ASK_WAIT };
        let ask_at = self.asked_at + wait;
        if self.unsure.len() < ASK_BATCH && now < ask_at {
            self.ask_at = Some(ask_at);
            return None;
        }
        (self.ask_at, self.asked_at, self.asking) = (None, now, self.unsure.len());
        Some(Effect::Ask(std::mem::take(&mut self.unsure)))
    }

    fn stood(
        &mut self,
        mut jobs: Vec<Job>,
        standings: Result<Vec<Standing>, Fault>,
        wall: Timestamp,
        now: Instant,
    ) -> (Vec<Effect>, Result<(), Fault>) {
        self.asking -= jobs.len();
        let standings = match standings {
            Ok(standings) => standings,
            Err(fault) => {
                self.unsure.append(&mut jobs);
                return (Vec::new(), self.records.tried(Err(fault), now));
            }
        };
        let mut finished = Vec::new();
        for (job, standing) in jobs.into_iter().zip(standings) {
            let known_for = self.known_for(&job, &standing, now);
            match decide(&job, standing, self.bounds.lease, wall, known_for) {
                Decision::Start(candidate) => self.lanes.park(job, &candidate),
                Decision::Finish(delivered) => finished.push(Effect::Finish(job.id, delivered)),
            }
        }
        (finished, self.records.tried(Ok(()), now))
    }

    /// For how long a job has been known here whose image is unknown.
    fn known_for(&mut self, job: &Job, standing: &Standing, now: Instant) -> Duration {
        if *standing != Standing::Unknown {
            self.unknown.remove(&job.id);
            return Duration::ZERO;
        }
        if self.unknown.len() >= MOST_UNKNOWN {
            self.unknown.retain(|_, since| now.since(*since) < 2 * LATEST_DOCUMENT);
        }
        now.since(*self.unknown.entry(job.id.clone()).or_insert(now))
    }

    /// Puts images of stuck origins off when they leave no room for others.
    fn make_room(&mut self, around: &Around, now: Instant) -> Option<Effect> {
        if self.room_to_park(around.hold) > 0 || now < self.room_at {
            return None;
        }
        let stuck = self.lanes.take_stuck(now, STUCK_KEPT);
        if stuck.is_empty() {
            self.room_at = now + ROOM_EVERY;
            return None;
        }
        self.putting_off += stuck.len();
        let wait = self.put_off.wait(stuck.len(), now);
        Some(Effect::PutOff(stuck, wait))
    }

    /// Has what can start claimed. Claims are not waited for: those that are made while one is being written are written
    /// together.
    fn start(&mut self, around: &Around, now: Instant) -> Option<Effect> {
        let room = self.room(around, now);
        if room == Room::NONE {
            return None;
        }
        let started = self.lanes.start(now, room);
        if started.is_empty() {
            return None;
        }
        self.claim_at = None;
        self.fetching += started.len();
        Some(Effect::Claim(started))
    }

    /// How many images may be claimed now.
    fn room(&mut self, around: &Around, now: Instant) -> Room {
        let connections = self.bounds.connections;
        let most_ahead = AHEAD.max(connections);
        let under_way = self.under_way() - around.aside.min(MOST_ASIDE).min(self.fetching);
        let ahead = under_way.saturating_sub(around.places);
        let room = (around.places + most_ahead).saturating_sub(under_way);
        let busy = under_way > connections / 2;
        if room == 0 || !busy || ahead < most_ahead / 4 {
            self.claim_at = None;
            return Room { most: room, of_each: FEW };
        }
        let claim_at = *self.claim_at.get_or_insert(now + CLAIM_WAIT);
        if now < claim_at { Room::NONE } else { Room { most: room, of_each: FEW } }
    }

    /// Begins work on what was claimed. The rest somebody else has claimed or ended in the meantime, or records can't be
    /// reached.
    fn claimed(
        &mut self,
        started: Vec<Started>,
        claims: Result<Vec<Claim>, Fault>,
        now: Instant,
    ) -> (Vec<Effect>, Result<(), Fault>) {
        let (claims, tried) = match claims {
            Ok(claims) => (claims, Ok(())),
            Err(fault) => (Vec::new(), Err(fault)),
        };
        let mut claims: HashMap<_, _> =
            claims.into_iter().map(|claim| (claim.image.clone(), claim)).collect();
        let mut begun = Vec::new();
        for one in started {
            match claims.remove(&one.job.image) {
                Some(claim) => begun.push(Effect::Work(claim, Box::new(one))),
                None => {
                    self.fetching -= 1;
                    if one.given_up.is_none() {
                        self.lanes.asked(&one, &OriginReply::Skipped, now);
                    }
                    self.lanes.left(&one.job.request);
                    self.unsure.push(one.job);
                }
            }
        }
        (begun, self.records.tried(tried, now))
    }
}

#[cfg(test)]
mod tests;
