//! Dispatch: keeps the queue topped up from records, fairly, and claims what can start now.

mod breaker;
mod claim;
mod feed;
mod hosts;
mod lanes;
mod outage;
mod pace;
mod places;
mod put_off;
mod refusals;
mod seat;
mod verdict;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Scope, Supply};
use crate::code::Code;
use crate::fault::{Blame, Fault};
use crate::model::id::{ImageId, JobId};
use crate::model::image::Claim;
use crate::model::lease::Token;
use crate::port::clock::Instant;
use crate::port::queue::{Delivered, Job};
use feed::Feed;
pub use hosts::{HostRule, HostRules, Look, OriginAsked, OriginNow, Rules, host_of};
use lanes::{Asked, Lanes, Started, Turn};
use outage::Outage;
use put_off::PutOff;
use verdict::{Verdict, verdict};
pub(super) use worker::{Seen, Worker};

/// Jobs of a tenant that are taken though others have all that this process may hold.
const SPARE: usize = 64;

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

/// How often is told how all stands.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How long nothing can happen at most.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long records may be out of reach before the work is given up.
const LONGEST_OUTAGE: Duration = Duration::from_secs(600);

/// What a worker's task tells while it works on an image.
enum Signal {
    /// What of a claim was won.
    Claimed { started: Vec<Started>, claims: Result<Vec<Claim>, Fault> },
    /// Its origin has been asked; the connection is free.
    Asked { turn: Turn, asked: Asked },
    /// Its picture is gone from memory; its end is yet to be written.
    Worked { asked: bool },
    /// It is over with.
    Left { job: Job, delivered: Delivered },
}

/// Works until the scope has ended or the worker is stopped, then waits for what is under way.
///
/// # Errors
/// Faults of records and queue that no image can be blamed for.
pub(super) async fn run(worker: Arc<Worker>, scope: Scope) -> Result<(), Fault> {
    let mut dispatch = Dispatch::new(worker, scope);
    dispatch.worker.watcher.origins_open(0);
    let worked = dispatch.work().await;
    dispatch.worker.stop.cancel();
    let queue = dispatch.worker.ports.queue.clone();
    let (drained, ()) = tokio::join!(dispatch.drain(), queue.close());
    match dispatch.worker.fatal() {
        Some(fault) => Err(fault),
        None => worked.and(drained),
    }
}

/// How often a window is looked at that others work off.
const FEED_EVERY: Duration = Duration::from_millis(250);

/// Keeps a shared queue topped up from records until told to stop, and works on nothing: whoever takes from the queue
/// does. Of several that feed, one does so at a time, under a lease of this length.
///
/// # Errors
/// Faults of records and queue that waiting does not mend.
pub async fn feed(supply: Supply, lease: Duration, stop: CancellationToken) -> Result<(), Fault> {
    let mut feed = Feed::new(supply.clone(), Scope::All, lease);
    let mut outage = Outage::none(None);
    while !stop.is_cancelled() {
        let now = supply.clock.instant();
        if outage.may_try(now) {
            let fed = feed.top_up(now).await;
            outage.tried(fed, now)?;
        }
        tokio::select! {
            biased;
            () = supply.clock.sleep(FEED_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    feed.close().await
}

/// A task that panicked took its image's place with it: its lease lapses, and it is tried again.
fn broken_off(broken: &tokio::task::JoinError) -> Fault {
    Fault::transient(Code::BackendUnavailable, format!("work on an image broke off: {broken}"))
        .of(Blame::Backend)
}

struct Dispatch {
    worker: Arc<Worker>,
    feed: Feed,
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
    /// Images whose origin is being asked, or will be once they are claimed.
    fetching: usize,
    /// Images that have been fetched and not been worked on to their end.
    beyond: usize,
    held: HashMap<ImageId, Token>,
    renew_at: Instant,
    tell_at: Instant,
    /// Until then a claim waits for more images.
    claim_at: Option<Instant>,
    /// When a decoder was idle last for want of places, and when more are opened unless none is idle by then.
    idle_at: Instant,
    more_places_at: Option<Instant>,
    /// Of the queue, or of records while it is topped up from them.
    feed_outage: Outage,
    records_outage: Outage,
    tasks: JoinSet<()>,
    signals: mpsc::UnboundedSender<Signal>,
    signalled: mpsc::UnboundedReceiver<Signal>,
}

impl Dispatch {
    fn new(worker: Arc<Worker>, scope: Scope) -> Self {
        let settings = &worker.settings;
        let (signals, signalled) = mpsc::unbounded_channel();
        let now = worker.ports.clock.instant();
        Dispatch {
            feed: Feed::new(Supply::from(&worker.ports), scope, settings.lease),
            lanes: Lanes::new(settings.per_origin, settings.attempts > 1, settings.longest_retry_after),
            put_off: PutOff::default(),
            room_at: Instant::default(),
            unsure: Vec::new(),
            ask_at: None,
            asked_at: Instant::default(),
            fetching: 0,
            beyond: 0,
            held: HashMap::new(),
            renew_at: now + settings.lease / 3,
            tell_at: now,
            claim_at: None,
            idle_at: now,
            more_places_at: None,
            feed_outage: Outage::none(None),
            records_outage: Outage::none(Some(LONGEST_OUTAGE)),
            tasks: JoinSet::new(),
            signals,
            signalled,
            worker,
        }
    }

    async fn work(&mut self) -> Result<(), Fault> {
        let stop = self.worker.stop.clone();
        let queue = self.worker.ports.queue.clone();
        while !stop.is_cancelled() {
            while let Some(ended) = self.tasks.try_join_next() {
                ended.map_err(|broken| broken_off(&broken))?;
            }
            let now = self.worker.ports.clock.instant();
            self.tend(now).await?;
            self.lanes.obey(self.worker.rules.held(), now);
            self.make_room(now).await?;
            self.start(now);
            self.tend_places(now);
            self.tell(now);
            if self.is_idle() && self.feed.is_over().await? {
                return Ok(());
            }
            let pause = self.pause(now);
            let takes = self.room_to_park() > 0;
            tokio::select! {
                biased;
                // A task ends after its last signal, and the end of the last one may be the end of all.
                Some(ended) = self.tasks.join_next() => ended.map_err(|broken| broken_off(&broken))?,
                signal = self.signalled.recv() => self.hear(signal)?,
                () = queue.arrival(), if takes => {}
                () = self.worker.ports.clock.sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// What needs records and queue: renews, tops up, takes, asks. Where one can't be reached, the others go on. Renewing
    /// comes first, for topping up may take a while.
    async fn tend(&mut self, now: Instant) -> Result<(), Fault> {
        if now >= self.renew_at && self.records_outage.may_try(now) {
            let renewed = self.renew(now).await;
            self.records_outage.tried(renewed, now)?;
        }
        if self.feed_outage.may_try(now) {
            let fed = self.feed.top_up(now).await;
            self.feed_outage.tried(fed, now)?;
        }
        self.take();
        if self.records_outage.may_try(now) {
            let asked = self.ask(now).await;
            self.records_outage.tried(asked, now)?;
        }
        Ok(())
    }

    /// Waits for what is under way, which has been told to stop; what is parked or being claimed is handed back.
    async fn drain(&mut self) -> Result<(), Fault> {
        let queue = self.worker.ports.queue.clone();
        for job in self.lanes.take_all().into_iter().chain(self.unsure.drain(..)) {
            queue.finish(&job.id, Delivered::Returned);
        }
        let mut drained = Ok(());
        while self.tasks.join_next().await.is_some() {
            while let Ok(signal) = self.signalled.try_recv() {
                drained = drained.and(self.hear(Some(signal)));
            }
        }
        for job in self.lanes.take_all().into_iter().chain(self.unsure.drain(..)) {
            queue.finish(&job.id, Delivered::Returned);
        }
        drained.and(self.feed.close().await)
    }

    /// Tells whoever watches how all stands.
    fn tell(&mut self, now: Instant) {
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            self.worker.watcher.stands(&|| self.lanes.look(now));
        }
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.lanes.parked() == 0 && self.unsure.is_empty()
    }

    /// How long nothing can start unless a task signals.
    fn pause(&self, now: Instant) -> Duration {
        // What needs records wakes nobody while they are away.
        let reachable = self.records_outage.may_try(now);
        let changes = [
            self.lanes.next_change(now),
            self.feed.next_due(now),
            self.claim_at.filter(|_| reachable),
            self.ask_at.filter(|_| reachable),
            self.more_places_at,
            reachable.then_some(self.renew_at),
            self.feed_outage.next_try(),
            self.records_outage.next_try(),
        ];
        let next = changes.into_iter().flatten().min().map_or(HEARTBEAT, |at| at.since(now));
        next.clamp(Duration::from_millis(1), HEARTBEAT)
    }

    /// Handles a signal and all that came with it.
    fn hear(&mut self, first: Option<Signal>) -> Result<(), Fault> {
        let now = self.worker.ports.clock.instant();
        let mut next = first;
        while let Some(signal) = next {
            match signal {
                Signal::Claimed { started, claims } => self.claimed(started, claims, now)?,
                Signal::Asked { turn, asked } => {
                    self.fetching -= 1;
                    self.beyond += 1;
                    if let Some(learnt) = self.lanes.asked(&turn, &asked, now) {
                        self.worker.watcher.learnt(learnt);
                    }
                    self.worker.watcher.origins_open(self.lanes.origins_open());
                }
                Signal::Worked { asked } => {
                    *(if asked { &mut self.beyond } else { &mut self.fetching }) -= 1;
                }
                Signal::Left { job, delivered } => {
                    self.held.remove(&job.image);
                    self.lanes.left(&job.request);
                    self.finish(&job.id, delivered, now);
                }
            }
            next = self.signalled.try_recv().ok();
        }
        Ok(())
    }

    fn finish(&mut self, job: &JobId, delivered: Delivered, now: Instant) {
        self.feed.left(&delivered, now);
        self.worker.ports.queue.finish(job, delivered);
    }

    /// How many more jobs this process may hold.
    fn room_to_park(&self) -> usize {
        let held = self.lanes.parked() + self.lanes.under_way() + self.unsure.len();
        self.worker.ports.queue.hold().saturating_sub(held)
    }

    /// Moves jobs from the queue into their origins' lanes.
    fn take(&mut self) {
        let (queue, room) = (&self.worker.ports.queue, self.room_to_park());
        let jobs = if room > 0 { queue.take(room) } else { queue.take_of_others(SPARE) };
        for mut job in jobs {
            match job.candidate.take() {
                Some(candidate) => self.lanes.park(job, &candidate),
                None => self.unsure.push(job),
            }
        }
    }

    /// Whether to ask records now: many at a time, unless there is little else to do.
    fn may_ask(&mut self, now: Instant) -> bool {
        if self.unsure.is_empty() {
            self.ask_at = None;
            return false;
        }
        let wait = if self.lanes.parked() < FEW_PARKED { ASK_PAUSE } else { ASK_WAIT };
        let ask_at = self.asked_at + wait;
        self.ask_at = Some(ask_at);
        self.unsure.len() >= ASK_BATCH || now >= ask_at
    }

    /// Asks records about jobs that can't be parked as they are.
    async fn ask(&mut self, now: Instant) -> Result<(), Fault> {
        if !self.may_ask(now) {
            return Ok(());
        }
        self.ask_at = None;
        self.asked_at = now;
        let images: Vec<_> = self.unsure.iter().map(|job| job.image.clone()).collect();
        let standings = self.worker.ports.records.standings(&images, self.worker.ports.clock.wall()).await?;
        let wall = self.worker.ports.clock.wall();
        for (job, standing) in std::mem::take(&mut self.unsure).into_iter().zip(standings) {
            match verdict(&job, standing, self.worker.settings.lease, wall) {
                Verdict::Start(candidate) => self.lanes.park(job, &candidate),
                Verdict::Finish(delivered) => self.finish(&job.id, delivered, now),
            }
        }
        Ok(())
    }

    /// Puts images of stuck origins off when they leave no room for others.
    async fn make_room(&mut self, now: Instant) -> Result<(), Fault> {
        if self.room_to_park() > 0 || now < self.room_at || !self.records_outage.may_try(now) {
            return Ok(());
        }
        let stuck = self.lanes.take_stuck(now, STUCK_KEPT);
        if stuck.is_empty() {
            self.room_at = now + ROOM_EVERY;
            return Ok(());
        }
        let images: Vec<_> = stuck.iter().map(|job| job.image.clone()).collect();
        let wall = self.worker.ports.clock.wall();
        let wait = self.put_off.wait(images.len(), now);
        let deferred = self.worker.ports.records.defer(&images, wall + wait, wall).await;
        let delivered = if deferred.is_ok() { Delivered::PutOff(wait) } else { Delivered::Returned };
        for job in &stuck {
            self.finish(&job.id, delivered.clone(), now);
        }
        self.records_outage.tried(deferred, now)
    }

    async fn renew(&mut self, now: Instant) -> Result<(), Fault> {
        let held: Vec<_> = self.held.iter().map(|(image, token)| (image.clone(), *token)).collect();
        let lease = self.worker.settings.lease;
        let wall = self.worker.ports.clock.wall();
        self.worker.ports.records.renew(&held, wall + lease, wall).await?;
        self.renew_at = now + lease / 3;
        Ok(())
    }
}
