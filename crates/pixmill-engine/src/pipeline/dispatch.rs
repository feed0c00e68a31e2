//! Dispatch: brings images from records to workers. What it decides is in `state`, a machine without clock or port; here
//! that machine is driven. Feeding and keeping leases are tasks of their own, so that neither waits for the other.

mod breaker;
mod decision;
mod feed;
mod feeder;
mod hosts;
mod lanes;
mod leases;
mod outage;
mod pace;
mod places;
mod put_off;
mod refusals;
mod seat;
mod state;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Scope, Supply};
use crate::code::Code;
use crate::fault::{Blame, Fault};
use crate::model::id::JobId;
use crate::model::image::Claim;
use crate::model::lease::Lease;
use crate::port::clock::Instant;
use crate::port::queue::{Delivered, Job};
use feed::Feed;
use feeder::Feeding;
pub use hosts::{HostRule, HostRules, Look, OriginAsked, OriginNow, Rules, host_of};
use lanes::Started;
use leases::Leases;
use outage::Outage;
use places::Opening;
use state::{Around, Bounds, Dispatch, Effect, Event};
pub(super) use worker::{Seen, Worker};

/// Jobs of a tenant that are taken though others have all that this process may hold.
const SPARE: usize = 64;

/// How often is told how all stands.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How long nothing can happen at most.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long records may be out of reach before the work is given up.
const LONGEST_OUTAGE: Duration = Duration::from_secs(600);

/// How often a window is looked at that others work off.
const FEED_EVERY: Duration = Duration::from_millis(250);

/// Works until the scope has ended or the worker is stopped, then waits for what is under way.
///
/// # Errors
/// Faults of records and queue that no image can be blamed for.
pub(super) async fn run(worker: Arc<Worker>, scope: Scope) -> Result<(), Fault> {
    worker.watcher.origins_open(0);
    let (mut beside, over) = (JoinSet::new(), CancellationToken::new());
    let mut driver = Driver::new(worker.clone(), scope, &mut beside, &over);
    let worked = driver.work().await;
    worker.stop.cancel();
    let queue = worker.ports.queue.clone();
    let (drained, ()) = tokio::join!(driver.drain(), queue.close());
    over.cancel();
    let mut ended = worked.and(drained);
    while let Some(other) = beside.join_next().await {
        ended = ended.and(other.unwrap_or_else(|broken| Err(broken_off(&broken))));
    }
    worker.fatal().map_or(ended, Err)
}

/// Keeps a shared queue topped up from records until told to stop, and works on nothing: whoever takes from the queue
/// does. Of several that feed, one does so at a time, under a lease of this length.
///
/// # Errors
/// Faults of records and queue that waiting does not mend.
pub async fn feed(supply: Supply, lease: Duration, stop: CancellationToken) -> Result<(), Fault> {
    let feed = Feed::new(supply.clone(), Scope::All, lease);
    feeder::tend(feed, Arc::default(), supply.clock, FEED_EVERY, stop).await
}

/// A task that panicked took its image's place with it: its lease lapses, and it is tried again.
fn broken_off(broken: &tokio::task::JoinError) -> Fault {
    Fault::transient(Code::BackendUnavailable, format!("work on an image broke off: {broken}"))
        .of(Blame::Backend)
}

/// Does what the state says, and tells it what came of that.
struct Driver {
    worker: Arc<Worker>,
    scope: Scope,
    state: Dispatch,
    feeding: Arc<Feeding>,
    leases: Arc<Leases>,
    opening: Opening,
    tell_at: Instant,
    tasks: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    happened: mpsc::UnboundedReceiver<Event>,
}

impl Driver {
    /// Starts what goes on beside: feeding until the worker stops, renewing leases until all is over.
    fn new(
        worker: Arc<Worker>,
        scope: Scope,
        beside: &mut JoinSet<Result<(), Fault>>,
        over: &CancellationToken,
    ) -> Self {
        let (ports, settings) = (&worker.ports, &worker.settings);
        let (feeding, leases) = (Arc::new(Feeding::default()), Arc::new(Leases::default()));
        let records = Arc::new(Outage::none(Some(LONGEST_OUTAGE)));
        let feed = Feed::new(Supply::from(ports), scope.clone(), settings.lease);
        let (fed, stop) = (feeding.clone(), worker.stop.clone());
        let clock = ports.clock.clone();
        beside.spawn(async move {
            let tended = feeder::tend(feed, fed, clock, HEARTBEAT, stop.clone()).await;
            tended.inspect_err(|_| stop.cancel())
        });
        let (kept, outage, over) = (leases.clone(), records.clone(), over.clone());
        let of = worker.clone();
        beside.spawn(async move {
            let (records, clock) = (&*of.ports.records, &*of.ports.clock);
            let kept = kept.renew_until(over, records, clock, of.settings.lease, &outage).await;
            kept.inspect_err(|_| of.stop.cancel())
        });
        let bounds = Bounds {
            connections: settings.connections,
            per_origin: settings.per_origin,
            patient: settings.attempts > 1,
            longest_retry_after: settings.longest_retry_after,
            lease: settings.lease,
        };
        let (events, happened) = mpsc::unbounded_channel();
        let now = ports.clock.instant();
        Driver {
            state: Dispatch::new(bounds, records),
            scope,
            feeding,
            leases,
            opening: Opening::new(now),
            tell_at: now,
            tasks: JoinSet::new(),
            events,
            happened,
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
            self.take(now)?;
            let around = self.around();
            let effects = self.state.step(&around, now);
            self.carry_out(effects, now);
            let (under_way, waiting) = (self.state.under_way(), self.worker.waiting());
            self.opening.tend(&self.worker.seats.places, under_way, waiting, now);
            self.tell(now);
            if self.tasks.is_empty() && self.state.is_idle() && self.is_over().await? {
                return Ok(());
            }
            let next = self.state.wakes(now).into_iter().chain(self.opening.wakes()).min();
            let pause = next.map_or(HEARTBEAT, |at| at.since(now));
            let pause = pause.clamp(Duration::from_millis(1), HEARTBEAT);
            let takes = self.state.room_to_park(around.hold) > 0;
            tokio::select! {
                biased;
                // A task ends after its last event, and the end of the last one may be the end of all.
                Some(ended) = self.tasks.join_next() => ended.map_err(|broken| broken_off(&broken))?,
                event = self.happened.recv() => self.hear(event)?,
                () = self.feeding.fed(), if takes => {}
                () = queue.arrival(), if takes => {}
                () = self.worker.ports.clock.sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Waits for what is under way, which has been told to stop; what is parked or being claimed is handed back.
    async fn drain(&mut self) -> Result<(), Fault> {
        self.hand_back();
        let mut drained = Ok(());
        while self.tasks.join_next().await.is_some() {
            while let Ok(event) = self.happened.try_recv() {
                drained = drained.and(self.hear(Some(event)));
            }
        }
        self.hand_back();
        drained
    }

    fn hand_back(&mut self) {
        for job in self.state.hand_back() {
            self.worker.ports.queue.finish(&job.id, Delivered::Returned);
        }
    }

    /// Tells whoever watches how all stands.
    fn tell(&mut self, now: Instant) {
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            self.worker.watcher.stands(&|| self.state.look(now));
        }
    }

    fn around(&self) -> Around {
        let seats = &self.worker.seats;
        Around {
            hold: self.worker.ports.queue.hold(),
            places: seats.places.open(),
            aside: seats.aside(),
            rules: self.worker.rules.held(),
        }
    }

    /// Whether the scope has ended. Asked only while nothing is under way here.
    async fn is_over(&self) -> Result<bool, Fault> {
        let Scope::Request(request) = &self.scope else { return Ok(false) };
        if !self.feeding.is_exhausted() {
            return Ok(false);
        }
        let found = self.worker.ports.records.request(request).await?;
        Ok(found.is_none_or(|request| !request.status.is_open()))
    }

    /// Takes jobs from the queue.
    fn take(&mut self, now: Instant) -> Result<(), Fault> {
        let queue = &self.worker.ports.queue;
        let room = self.state.room_to_park(queue.hold());
        let jobs = if room > 0 { queue.take(room) } else { queue.take_of_others(SPARE) };
        if jobs.is_empty() {
            return Ok(());
        }
        self.feeding.taken();
        self.note(Event::Delivered(jobs), now)
    }

    /// Takes note of what happened and of all that happened with it.
    fn hear(&mut self, first: Option<Event>) -> Result<(), Fault> {
        let now = self.worker.ports.clock.instant();
        let mut next = first;
        while let Some(event) = next {
            if let Event::Left { job, .. } = &event {
                self.leases.let_go(&job.image);
            }
            self.note(event, now)?;
            next = self.happened.try_recv().ok();
        }
        Ok(())
    }

    fn note(&mut self, event: Event, now: Instant) -> Result<(), Fault> {
        let (effects, goes_on) = self.state.hear(event, now);
        self.carry_out(effects, now);
        goes_on
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Instant) {
        for effect in effects {
            match effect {
                Effect::Ask(jobs) => self.ask(jobs),
                Effect::PutOff(jobs, wait) => self.put_off(jobs, wait),
                Effect::Claim(started) => self.claim(started),
                Effect::Work(claim, started) => self.begin(claim, *started),
                Effect::Finish(job, delivered) => self.finish(&job, delivered, now),
                Effect::Learnt(learnt) => self.worker.watcher.learnt(learnt),
                Effect::OriginsOpen(origins) => self.worker.watcher.origins_open(origins),
            }
        }
    }

    /// Asks records how the images of jobs stand.
    fn ask(&mut self, jobs: Vec<Job>) {
        let (worker, events) = (self.worker.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let ports = &worker.ports;
            let images: Vec<_> = jobs.iter().map(|job| job.image.clone()).collect();
            let standings = ports.records.standings(&images, ports.clock.wall()).await;
            let _ = events.send(Event::Stood { jobs, standings, wall: ports.clock.wall() });
        });
    }

    fn put_off(&mut self, jobs: Vec<Job>, wait: Duration) {
        let (worker, events) = (self.worker.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let images: Vec<_> = jobs.iter().map(|job| job.image.clone()).collect();
            let wall = worker.ports.clock.wall();
            let written = worker.ports.records.defer(&images, wall + wait, wall).await;
            let _ = events.send(Event::PutOff { jobs, wait, written });
        });
    }

    fn claim(&mut self, started: Vec<Started>) {
        let (worker, events) = (self.worker.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let images: Vec<_> = started.iter().map(|one| one.job.image.clone()).collect();
            let wall = worker.ports.clock.wall();
            let lease = Lease::lasting(worker.settings.lease, wall);
            let claims = worker.ports.records.claim(&images, lease, wall).await;
            crate::fail_point!("after_claim");
            let _ = events.send(Event::Claimed { started, claims });
        });
    }

    fn begin(&mut self, claim: Claim, started: Started) {
        self.leases.keep(&claim);
        let (worker, events) = (self.worker.clone(), self.events.clone());
        self.tasks.spawn(async move { worker.work(claim, started, events).await });
    }

    /// The queue is told first: what is due again is fed anew only once its job is finished.
    fn finish(&self, job: &JobId, delivered: Delivered, now: Instant) {
        self.worker.ports.queue.finish(job, delivered.clone());
        self.feeding.finished(&delivered, now);
    }
}
