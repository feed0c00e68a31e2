//! What can start is claimed, many images in one write, and started once it is ours.

use std::collections::HashMap;
use std::time::Duration;

use super::lanes::{Asked, Started};
use super::{Dispatch, Signal};
use crate::fault::Fault;
use crate::model::image::Claim;
use crate::model::lease::Lease;
use crate::port::clock::Instant;

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

/// How many images may be claimed: so many in all, and so many of each request that has fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) most: usize,
    pub(super) of_each: usize,
}

impl Room {
    const NONE: Room = Room { most: 0, of_each: 0 };
}

impl Dispatch {
    /// How many images may be claimed now.
    fn room(&mut self, now: Instant) -> Room {
        let connections = self.worker.settings.connections;
        let (places, most_ahead) = (self.worker.seats.places.open(), AHEAD.max(connections));
        let under_way =
            self.fetching + self.beyond - self.worker.seats.aside().min(MOST_ASIDE).min(self.fetching);
        let ahead = under_way.saturating_sub(places);
        let room = (places + most_ahead).saturating_sub(under_way);
        let busy = under_way > connections / 2;
        if room == 0 || !busy || ahead < most_ahead / 4 {
            self.claim_at = None;
            return Room { most: room, of_each: FEW };
        }
        let claim_at = *self.claim_at.get_or_insert(now + CLAIM_WAIT);
        if now < claim_at { Room::NONE } else { Room { most: room, of_each: FEW } }
    }

    /// Has what can start claimed. Claims are not waited for here: those that are made while one is being written are
    /// written together.
    pub(super) fn start(&mut self, now: Instant) {
        if !self.records_outage.may_try(now) {
            return;
        }
        let room = self.room(now);
        if room == Room::NONE {
            return;
        }
        let started = self.lanes.start(now, room);
        if started.is_empty() {
            return;
        }
        self.claim_at = None;
        self.fetching += started.len();
        let wall = self.worker.ports.clock.wall();
        let lease = Lease::lasting(self.worker.settings.lease, wall);
        let (records, signals) = (self.worker.ports.records.clone(), self.signals.clone());
        self.tasks.spawn(async move {
            let images: Vec<_> = started.iter().map(|one| one.job.image.clone()).collect();
            let claims = records.claim(&images, lease, wall).await;
            crate::fail_point!("after_claim");
            let _ = signals.send(Signal::Claimed { started, claims });
        });
    }

    /// Begins work on what was claimed. The rest somebody else has claimed or ended in the meantime, or records can't be
    /// reached.
    pub(super) fn claimed(
        &mut self,
        started: Vec<Started>,
        claims: Result<Vec<Claim>, Fault>,
        now: Instant,
    ) -> Result<(), Fault> {
        let (claims, tried) = match claims {
            Ok(claims) => (claims, Ok(())),
            Err(fault) => (Vec::new(), Err(fault)),
        };
        let mut claims: HashMap<_, _> =
            claims.into_iter().map(|claim| (claim.image.clone(), claim)).collect();
        for one in started {
            match claims.remove(&one.job.image) {
                Some(claim) => {
                    self.held.insert(claim.image.clone(), claim.token);
                    let (worker, signals) = (self.worker.clone(), self.signals.clone());
                    self.tasks.spawn(async move { worker.work(claim, one, signals).await });
                }
                None => {
                    self.fetching -= 1;
                    if one.given_up.is_none() {
                        self.lanes.asked(&one.turn(), &Asked::Skipped, now);
                    }
                    self.lanes.left(&one.job.request);
                    self.unsure.push(one.job);
                }
            }
        }
        self.records_outage.tried(tried, now)
    }
}
