//! Every request there is and will be, worked off until stopped: the stages, and upkeep beside them.
//!
//! A backend that is away ends nothing. Most outages the stages sit out by themselves; where one lasts, or a disk is full,
//! what was under way is handed back or its lease lapses, and everything is opened anew once it answers. Only what no
//! waiting mends ends the process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::BackoffBuilder;
use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::Fault;
use crate::lead::Leading;
use crate::pipeline::webhook::Webhook;
use crate::pipeline::{HostRules, Pipeline, Ports, Scope, Settings, Supply, Watcher, dispatch};
use crate::port::clock::{Clock, Instant};
use crate::port::records::Records;
use crate::upkeep::Upkeep;
use crate::upkeep::retain::Retain;

/// How long a stop waits for what is under way. Service managers lose patience after 30 seconds or more.
pub const GRACE: Duration = Duration::from_secs(25);

/// How long is waited before backends are opened anew, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses after which they grow no more.
const PAUSES: usize = 8;

/// What a process does for the requests there are, and what it does that with.
pub enum Part {
    /// All of it: the stages, upkeep and webhooks.
    Work(Ports, Box<Webhook>),
    /// Keeps a shared queue topped up for workers elsewhere, and upkeep beside it. Webhooks are left to workers of ours.
    Feed(Supply),
}

/// What a server stands on, opened.
pub struct Ground {
    /// What it does there.
    pub part: Part,
    /// Forgets what is old.
    pub retain: Retain,
}

/// Opens what a server stands on.
#[async_trait]
pub trait Footing: Send + Sync {
    /// Opens it all, at the start and again after a fault.
    ///
    /// # Errors
    /// Transient ones are waited out.
    async fn open(&self) -> Result<Ground, Fault>;
}

/// A server to be.
pub struct Serve {
    /// What it stands on.
    pub footing: Arc<dyn Footing>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// How much of everything.
    pub settings: Settings,
    /// Watches images end.
    pub watcher: Arc<dyn Watcher>,
    /// What operators want of hosts.
    pub rules: Arc<HostRules>,
}

impl Serve {
    /// Works until stopped, then finishes or hands back what is under way, for [`GRACE`] at most.
    ///
    /// # Errors
    /// What waiting does not mend: records that are damaged or were written by a newer pixmill, a wrong password.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Fault> {
        tokio::select! {
            biased;
            worked = self.work(&stop) => worked,
            () = self.lose_patience(&stop) => {
                tracing::warn!("not all that was under way could be handed back in time: its leases will lapse");
                Ok(())
            }
        }
    }

    async fn lose_patience(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.clock.sleep(GRACE).await;
    }

    async fn work(&self, stop: &CancellationToken) -> Result<(), Fault> {
        let mut outage = Outage::default();
        while !stop.is_cancelled() {
            let began = self.clock.instant();
            let worked = match self.footing.open().await {
                Ok(ground) => {
                    outage.tell_end(began);
                    self.stand(ground, stop).await
                }
                Err(fault) => Err(fault),
            };
            let now = self.clock.instant();
            if now.since(began) > LONGEST_PAUSE {
                outage = Outage::default();
            }
            match worked {
                Ok(()) => return Ok(()),
                Err(fault) if may_pass(&fault) => outage.tell(&fault, now),
                Err(fault) => return Err(fault),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(outage.next_pause()) => {}
            }
        }
        Ok(())
    }

    async fn stand(&self, ground: Ground, stop: &CancellationToken) -> Result<(), Fault> {
        let (over, leading) = (stop.child_token(), Leading::default());
        let retaining = ground.retain.tend(&leading, over.clone());
        tokio::join!(self.play(ground.part, leading.clone(), stop, &over), retaining).0
    }

    /// Plays a part until stopped or at fault; then what stands beside it is over too.
    async fn play(
        &self,
        part: Part,
        leading: Leading,
        stop: &CancellationToken,
        over: &CancellationToken,
    ) -> Result<(), Fault> {
        match part {
            Part::Work(ports, webhook) => {
                let upkeep = self.upkeep(ports.records.clone(), leading);
                let pipeline = Pipeline::new(ports, self.settings.clone(), self.watcher.clone());
                let pipeline = pipeline.under(self.rules.clone());
                let completed = pipeline.completed();
                let work = async {
                    self.watcher.works(true);
                    let worked = pipeline.work(Scope::All, stop.clone()).await;
                    self.watcher.works(false);
                    over.cancel();
                    worked
                };
                let (worked, (), ()) =
                    tokio::join!(work, upkeep.tend(over.clone()), webhook.tend(&completed, over.clone()));
                worked
            }
            Part::Feed(supply) => {
                let upkeep = self.upkeep(supply.records.clone(), leading);
                let feed = async {
                    let fed = dispatch::feed(supply, self.settings.lease, stop.clone()).await;
                    over.cancel();
                    fed
                };
                let (fed, ()) = tokio::join!(feed, upkeep.tend(over.clone()));
                fed
            }
        }
    }

    fn upkeep(&self, records: Arc<dyn Records>, leading: Leading) -> Upkeep {
        Upkeep {
            records,
            leading,
            clock: self.clock.clone(),
            attempts: self.settings.attempts,
            lease: self.settings.lease,
        }
    }
}

/// Whether waiting may mend it: a backend that is away, or a disk for which somebody makes room.
pub fn may_pass(fault: &Fault) -> bool {
    fault.transient || matches!(fault.code, Code::DiskFull | Code::DiskReadOnly)
}

/// A time in which a backend is away, or is away again and again.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    told: Option<Code>,
    pauses: usize,
}

impl Outage {
    /// Says what is the matter, once.
    fn tell(&mut self, fault: &Fault, now: Instant) {
        self.since.get_or_insert(now);
        if self.told.replace(fault.code) != Some(fault.code) {
            tracing::warn!(%fault, "a backend is away, waiting for it");
        }
    }

    fn tell_end(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            tracing::info!(seconds = now.since(since).as_secs(), "the backends answer, going on");
        }
    }

    /// Longer from time to time, with jitter, so that workers which lost a backend together do not return together.
    fn next_pause(&mut self) -> Duration {
        let pauses = backon::ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE / 2)
            .without_max_times()
            .with_jitter()
            .build();
        self.pauses = (self.pauses + 1).min(PAUSES);
        pauses.take(self.pauses).last().unwrap_or(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut outage = Outage::default();
        let pauses: Vec<_> = (0..40).map(|_| outage.next_pause()).collect();
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= 2 * FIRST_PAUSE, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
        assert!(pauses[39] >= LONGEST_PAUSE / 2, "{pauses:?}");
    }

    #[test]
    fn only_what_waiting_mends_is_waited_for() {
        for (fault, passes) in [
            (Fault::transient(Code::BackendUnavailable, "no connection"), true),
            (Fault::permanent(Code::DiskFull, "no room"), true),
            (Fault::permanent(Code::BackendUnavailable, "damaged"), false),
        ] {
            assert_eq!(may_pass(&fault), passes, "{fault}");
        }
    }
}
