//! Leases of the images that this process works on. A task of its own renews them, whatever else takes long.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use crate::fault::Fault;
use crate::model::id::ImageId;
use crate::model::image::Claim;
use crate::model::lease::Token;
use crate::port::clock::Clock;
use crate::port::records::Records;

/// Leases are renewed at such a part of their length.
const RENEW_EVERY: u32 = 3;

/// Those that are held.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<BTreeMap<ImageId, Token>>);

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<ImageId, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the lease of a claim is renewed.
    pub(super) fn keep(&self, claim: &Claim) {
        self.held().insert(claim.image.clone(), claim.token);
    }

    /// That of an image is renewed no more.
    pub(super) fn let_go(&self, image: &ImageId) {
        self.held().remove(image);
    }

    /// Renews them until all is over.
    ///
    /// # Errors
    /// That records can't be reached, where waiting does not help or has not helped for too long.
    pub(super) async fn renew_until(
        &self,
        over: CancellationToken,
        records: &dyn Records,
        clock: &dyn Clock,
        lease: Duration,
        outage: &Outage,
    ) -> Result<(), Fault> {
        tokio::select! {
            biased;
            () = over.cancelled() => Ok(()),
            renewed = self.renew(records, clock, lease, outage) => renewed,
        }
    }

    async fn renew(
        &self,
        records: &dyn Records,
        clock: &dyn Clock,
        lease: Duration,
        outage: &Outage,
    ) -> Result<(), Fault> {
        let mut renew_at = clock.instant() + lease / RENEW_EVERY;
        loop {
            let now = clock.instant();
            // Whoever finds records away first says so for all.
            let at = outage.next_try().map_or(renew_at, |again| again.max(renew_at));
            if now < at {
                clock.sleep(at.since(now)).await;
                continue;
            }
            let held: Vec<_> = self.held().iter().map(|(image, token)| (image.clone(), *token)).collect();
            if !held.is_empty() {
                let wall = clock.wall();
                let renewed = records.renew(&held, wall + lease, wall).await;
                let failed = renewed.is_err();
                outage.tried(renewed, now)?;
                if failed {
                    continue;
                }
            }
            renew_at = now + lease / RENEW_EVERY;
        }
    }
}
