//! Every request there is and will be, worked off until stopped: the stages from dispatch to settle, upkeep beside them.
//!
//! A backend that is away ends nothing. What was under way is handed back or its lease lapses, the outage is told once,
//! and the stages begin anew once records and queue answer again. Only what no waiting mends ends the process.

use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::Fault;
use crate::model::time::Timestamp;
use crate::pipeline::webhook::Webhook;
use crate::pipeline::{Pipeline, Ports, Scope, Settings, Watcher};
use crate::upkeep::Upkeep;

/// How long a stop waits for what is under way. Service managers lose patience after 30 seconds or more.
pub const GRACE: Duration = Duration::from_secs(25);

/// How long is waited between two looks at a backend that is away, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses after which they grow no more.
const PAUSES: usize = 8;

/// A server to be.
pub struct Serve {
    /// What it stands on.
    pub ports: Ports,
    /// How much of everything.
    pub settings: Settings,
    /// Watches images end.
    pub watcher: Arc<dyn Watcher>,
    /// Tells who wants to know.
    pub webhook: Webhook,
}

impl Serve {
    /// Works until stopped, then finishes or hands back what is under way, for [`GRACE`] at most.
    ///
    /// # Errors
    /// What waiting does not mend: records that are damaged or were written by a newer pixmill.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Fault> {
        let over = CancellationToken::new();
        let work = async {
            let worked = tokio::select! {
                worked = self.work(stop.clone()) => worked,
                () = self.lose_patience(&stop) => {
                    tracing::warn!("not all that was under way could be handed back in time: its leases will lapse");
                    Ok(())
                }
            };
            over.cancel();
            worked
        };
        let upkeep = Upkeep {
            records: self.ports.records.clone(),
            clock: self.ports.clock.clone(),
            attempts: self.settings.attempts,
            lease: self.settings.lease,
        };
        let telling = self.webhook.tend(stop.clone());
        let (worked, (), ()) = tokio::join!(work, upkeep.tend(over.clone()), telling);
        worked
    }

    async fn lose_patience(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.ports.clock.sleep(GRACE).await;
    }

    /// Passes through the stages, one after the other where a backend was away in between.
    async fn work(&self, stop: CancellationToken) -> Result<(), Fault> {
        let pipeline = Pipeline::new(self.ports.clone(), self.settings.clone(), self.watcher.clone());
        let mut outage = Outage::default();
        loop {
            let began = self.ports.clock.now();
            let Err(fault) = pipeline.work(Scope::All, stop.clone()).await else { return Ok(()) };
            if self.ports.clock.now().since(began) > LONGEST_PAUSE {
                outage = Outage::default();
            }
            self.wait_out(&mut outage, fault, &stop).await?;
        }
    }

    /// Returns once the backends answer again, or when stopped.
    async fn wait_out(
        &self,
        outage: &mut Outage,
        fault: Fault,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut fault = fault;
        loop {
            if !may_pass(&fault) {
                return Err(fault);
            }
            outage.tell(&fault, self.ports.clock.now());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.ports.clock.sleep(outage.next_pause()) => {}
            }
            match self.look().await {
                Ok(()) => {
                    outage.tell_end(self.ports.clock.now());
                    return Ok(());
                }
                Err(again) => fault = again,
            }
        }
    }

    /// Asks both that every image needs.
    async fn look(&self) -> Result<(), Fault> {
        self.ports.records.open_requests().await?;
        self.ports.queue.room().await.map(drop)
    }
}

/// Whether waiting may mend it: a backend that is away, or a disk for which somebody makes room.
fn may_pass(fault: &Fault) -> bool {
    fault.transient || matches!(fault.code, Code::DiskFull | Code::DiskReadOnly)
}

/// A time in which a backend was away, or is away again and again.
#[derive(Default)]
struct Outage {
    since: Option<Timestamp>,
    told: Option<Code>,
    pauses: usize,
}

impl Outage {
    /// Says what is the matter, once.
    fn tell(&mut self, fault: &Fault, now: Timestamp) {
        self.since.get_or_insert(now);
        if self.told.replace(fault.code) != Some(fault.code) {
            tracing::warn!(%fault, "a backend is away, waiting for it");
        }
    }

    fn tell_end(&mut self, now: Timestamp) {
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
