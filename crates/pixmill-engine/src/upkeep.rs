//! Runs beside the stages, so that everything finishes without an event from outside.

pub mod retain;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::lead::{Lead, Leading};
use crate::port::clock::Clock;
use crate::port::records::{Records, Right, Void};

/// How long an intake may stand still before it is deleted.
const STALLED_INTAKE: Duration = Duration::from_secs(600);

/// How long the right to do upkeep is held, as a part of a lease: who takes it over from a process that died is there
/// before the images of that process are due. And how often is looked whether there is something to do.
const RIGHT: u32 = 2;
const LOOK: u32 = 12;

/// What upkeep needs.
#[derive(Clone)]
pub struct Upkeep {
    /// The only truth.
    pub records: Arc<dyn Records>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// Most attempts at an image, crashes included.
    pub attempts: u32,
    /// How long a lease holds.
    pub lease: Duration,
    /// Tells other parts of this process when upkeep is its to do.
    pub leading: Leading,
}

impl Upkeep {
    /// Mends what an earlier process left, when nobody else can be at work: every lease is void, every intake broken off.
    ///
    /// # Errors
    /// Faults of records.
    pub async fn start_over(&self) -> Result<(), Fault> {
        let now = self.clock.wall();
        self.records.forget_intakes(now, now).await?;
        self.records.reap(Void::All, self.attempts, now).await?;
        self.records.reconcile(now).await?;
        Ok(())
    }

    /// Looks around again and again until stopped, four times a lease; of several processes one does so at a time. A round
    /// that fails is tried again, and told when the one before did not.
    pub async fn tend(&self, stop: CancellationToken) {
        let mut told = false;
        let lead = Lead::new(Some(Right::Upkeep), self.lease / RIGHT, self.clock.instant());
        let mut lead = lead.telling(self.leading.clone());
        let mut round_at = self.clock.instant() + self.lease / 4;
        while !stop.is_cancelled() {
            let now = self.clock.instant();
            let looked = match lead.is_ours(&*self.records, &*self.clock).await {
                Ok(true) if now >= round_at => {
                    round_at = now + self.lease / 4;
                    self.look_around().await
                }
                asked => asked.map(|_| ()),
            };
            if let (Err(fault), false) = (&looked, told) {
                tracing::warn!(%fault, "upkeep failed, trying again");
            }
            told = looked.is_err();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(self.lease / LOOK) => {}
            }
        }
        // Where that fails, the others wait until the right lapses.
        let _ = lead.give_back(&*self.records, &*self.clock).await;
    }

    /// One round: images whose lease ran out, requests whose last settle crashed before completion, stalled intakes.
    async fn look_around(&self) -> Result<(), Fault> {
        let now = self.clock.wall();
        let reaped = self.records.reap(Void::Expired, self.attempts, now).await?;
        let completed = self.records.reconcile(now).await?;
        let forgotten = self.records.forget_intakes(now - STALLED_INTAKE, now).await?;
        if reaped + completed + forgotten > 0 {
            tracing::info!(reaped, completed, forgotten, "upkeep");
        }
        Ok(())
    }
}
