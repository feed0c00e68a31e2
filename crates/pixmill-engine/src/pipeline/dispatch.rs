//! Dispatch: keeps the queue topped up from records, fairly, and claims what can start now.

mod breaker;
mod feed;
mod lanes;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Scope;
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::ImageId;
use crate::model::image::{Candidate, Claim};
use crate::model::lease::{Lease, Token};
use crate::model::time::Timestamp;
use crate::port::queue::Delivered;
use feed::Feed;
use lanes::{Asked, LaneName, Lanes, Started};
pub(super) use worker::Worker;

/// Images that wait in lanes, out of the queue's window, for their origin's turn.
const PARKED: usize = 2_000;

/// Of an origin that is stuck, how many stay parked when others need the room, and when the rest come back.
const STUCK_KEPT: usize = 64;
const STUCK_BACK: Duration = Duration::from_secs(15);

/// While enough is under way, a claim waits for this many images, but no longer than this: it is a durable write,
/// whatever its size.
const CLAIM_BATCH: usize = 8;
const CLAIM_WAIT: Duration = Duration::from_millis(5);

/// How long nothing can happen at most.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a worker's task tells while it works on an image.
enum Signal {
    /// What of a claim was won.
    Claimed { started: Vec<Started>, claims: Result<Vec<Claim>, Fault> },
    /// Its origin has been asked; the connection is free.
    Asked { lane: LaneName, asked: Asked },
    /// It is over with.
    Left { job: Candidate, delivered: Delivered, asked: bool },
}

/// Works until the scope has ended or the worker is stopped, then waits for what is under way.
///
/// # Errors
/// Faults of records and queue that no image can be blamed for.
pub(super) async fn run(worker: Arc<Worker>, scope: Scope) -> Result<(), Fault> {
    let mut dispatch = Dispatch::new(worker, scope);
    let worked = dispatch.work().await;
    dispatch.worker.stop.cancel();
    let drained = dispatch.drain().await;
    match dispatch.worker.fatal() {
        Some(fault) => Err(fault),
        None => worked.and(drained),
    }
}

/// A task that panicked took its image's place with it; the image is a suspect next time.
fn broken_off(broken: &tokio::task::JoinError) -> Fault {
    Fault::transient(Code::BackendUnavailable, format!("work on an image broke off: {broken}"))
}

struct Dispatch {
    worker: Arc<Worker>,
    feed: Feed,
    lanes: Lanes,
    /// Images whose origin is being asked, or will be once they are claimed.
    fetching: usize,
    /// Images that have been fetched and not settled yet.
    beyond: usize,
    held: HashMap<ImageId, Token>,
    renew_at: Timestamp,
    /// Until then a claim waits for more images.
    claim_at: Option<Timestamp>,
    tasks: JoinSet<()>,
    signals: mpsc::UnboundedSender<Signal>,
    signalled: mpsc::UnboundedReceiver<Signal>,
}

impl Dispatch {
    fn new(worker: Arc<Worker>, scope: Scope) -> Self {
        let settings = &worker.settings;
        let (signals, signalled) = mpsc::unbounded_channel();
        let now = worker.ports.clock.now();
        Dispatch {
            feed: Feed::new(worker.ports.clone(), scope),
            lanes: Lanes::new(settings.per_origin, settings.attempts > 1, settings.longest_retry_after),
            fetching: 0,
            beyond: 0,
            held: HashMap::new(),
            renew_at: now + settings.lease / 3,
            claim_at: None,
            tasks: JoinSet::new(),
            signals,
            signalled,
            worker,
        }
    }

    async fn work(&mut self) -> Result<(), Fault> {
        let stop = self.worker.stop.clone();
        while !stop.is_cancelled() {
            while let Some(ended) = self.tasks.try_join_next() {
                ended.map_err(|broken| broken_off(&broken))?;
            }
            let now = self.worker.ports.clock.now();
            self.renew(now).await?;
            self.feed.top_up(now).await?;
            self.park(now).await?;
            self.start(now);
            if self.is_idle() && self.feed.is_over().await? {
                return Ok(());
            }
            let pause = self.pause(now);
            tokio::select! {
                // A task ends after its last signal, and the end of the last one may be the end of all.
                Some(ended) = self.tasks.join_next() => ended.map_err(|broken| broken_off(&broken))?,
                signal = self.signalled.recv() => self.hear(signal).await?,
                () = self.worker.ports.clock.sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Waits for what is under way, which has been told to stop; what is being claimed is handed back.
    async fn drain(&mut self) -> Result<(), Fault> {
        let mut drained = Ok(());
        while self.tasks.join_next().await.is_some() {
            while let Ok(signal) = self.signalled.try_recv() {
                drained = drained.and(self.hear(Some(signal)).await);
            }
        }
        drained
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.lanes.parked() == 0
    }

    /// How long nothing can start unless a task signals.
    fn pause(&self, now: Timestamp) -> Duration {
        let changes =
            [self.lanes.next_change(now), self.feed.next_due(now), self.claim_at, Some(self.renew_at)];
        let next = changes.into_iter().flatten().min().map_or(HEARTBEAT, |at| at.since(now));
        next.clamp(Duration::from_millis(1), HEARTBEAT)
    }

    /// Handles a signal and all that came with it.
    async fn hear(&mut self, first: Option<Signal>) -> Result<(), Fault> {
        let now = self.worker.ports.clock.now();
        let mut next = first;
        while let Some(signal) = next {
            match signal {
                Signal::Claimed { started, claims } => self.begin(started, claims?, now).await?,
                Signal::Asked { lane, asked } => {
                    self.fetching -= 1;
                    self.beyond += 1;
                    self.lanes.asked(&lane, &asked, now);
                }
                Signal::Left { job, delivered, asked } => {
                    *(if asked { &mut self.beyond } else { &mut self.fetching }) -= 1;
                    self.held.remove(&job.image);
                    self.lanes.left();
                    self.feed.left(&delivered, now);
                    self.worker.ports.queue.finish(&job, delivered).await?;
                }
            }
            next = self.signalled.try_recv().ok();
        }
        Ok(())
    }

    /// Moves images from the queue into their origins' lanes; makes room when stuck origins fill them.
    async fn park(&mut self, now: Timestamp) -> Result<(), Fault> {
        let room = PARKED.saturating_sub(self.lanes.parked());
        for job in self.worker.ports.queue.take(room).await? {
            self.lanes.park(job);
        }
        if self.lanes.parked() >= PARKED {
            let stuck = self.lanes.take_stuck(now, STUCK_KEPT);
            let images: Vec<_> = stuck.iter().map(|job| job.image.clone()).collect();
            if !images.is_empty() {
                self.worker.ports.records.defer(&images, now + STUCK_BACK).await?;
            }
            let later = Delivered::Later(now + STUCK_BACK);
            for job in &stuck {
                self.feed.left(&later, now);
                self.worker.ports.queue.finish(job, later.clone()).await?;
            }
        }
        Ok(())
    }

    /// How many images may start: a connection must be free, and those fetched before must not pile up.
    fn room(&mut self, now: Timestamp) -> usize {
        let settings = &self.worker.settings;
        let most_beyond = settings.connections.max(4 * self.worker.ports.sandbox.width());
        let room = (settings.connections - self.fetching.min(settings.connections))
            .min(most_beyond - self.beyond.min(most_beyond));
        let busy = self.fetching + self.beyond > settings.connections / 2;
        if room == 0 || !busy || room >= CLAIM_BATCH {
            self.claim_at = None;
            return room;
        }
        let claim_at = *self.claim_at.get_or_insert(now + CLAIM_WAIT);
        if now < claim_at { 0 } else { room }
    }

    /// Has what can start claimed. Claims are not waited for here: those that are made while one is being written are
    /// written together.
    fn start(&mut self, now: Timestamp) {
        let room = self.room(now);
        let started = self.lanes.start(now, room);
        if started.is_empty() {
            return;
        }
        self.claim_at = None;
        self.fetching += started.len();
        let lease = Lease::lasting(self.worker.settings.lease, now);
        let (records, signals) = (self.worker.ports.records.clone(), self.signals.clone());
        self.tasks.spawn(async move {
            let images: Vec<_> = started.iter().map(|one| one.parked.candidate.image.clone()).collect();
            let claims = records.claim(&images, lease, now).await;
            fail::fail_point!("after_claim");
            let _ = signals.send(Signal::Claimed { started, claims });
        });
    }

    /// Begins work on what was claimed.
    async fn begin(
        &mut self,
        started: Vec<Started>,
        claims: Vec<Claim>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut claims: HashMap<_, _> =
            claims.into_iter().map(|claim| (claim.image.clone(), claim)).collect();
        for one in started {
            match claims.remove(&one.parked.candidate.image) {
                Some(claim) => {
                    self.held.insert(claim.image.clone(), claim.token);
                    let (worker, signals) = (self.worker.clone(), self.signals.clone());
                    self.tasks.spawn(async move { worker.work(claim, one, signals).await });
                }
                None => {
                    self.fetching -= 1;
                    self.pass_over(one, now).await?;
                }
            }
        }
        Ok(())
    }

    /// An image that somebody else has claimed or ended in the meantime.
    async fn pass_over(&mut self, one: Started, now: Timestamp) -> Result<(), Fault> {
        if one.given_up.is_none() {
            self.lanes.asked(&one.lane, &Asked::Skipped, now);
        }
        self.lanes.left();
        self.worker.ports.queue.finish(&one.parked.candidate, Delivered::Ended).await
    }

    async fn renew(&mut self, now: Timestamp) -> Result<(), Fault> {
        if now < self.renew_at {
            return Ok(());
        }
        let lease = self.worker.settings.lease;
        self.renew_at = now + lease / 3;
        let held: Vec<_> = self.held.iter().map(|(image, token)| (image.clone(), *token)).collect();
        self.worker.ports.records.renew(&held, now + lease).await
    }
}
