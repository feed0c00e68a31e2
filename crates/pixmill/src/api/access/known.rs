//! Keys that hold, each with what it allows and how much of that was used.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use pixmill_engine::code::Code;
use pixmill_engine::model::key::{Key, Role};

use super::super::problem::Problem;
use super::guesses::whose;

/// Addresses that a key is remembered to have come from.
const ADDRESSES: usize = 16;

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// A key that holds.
pub(super) struct Known {
    /// Its public id.
    pub(super) id: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) tenant: Arc<str>,
    pub(super) role: Role,
    per_minute: Option<NonZeroU32>,
    limiter: Option<Arc<Limiter>>,
    /// Where it came from before: it is looked at even where others guess there.
    came_from: Arc<Mutex<VecDeque<IpAddr>>>,
}

/// A key as it is judged, by its hash; its limit goes on counting from what was known before.
pub(super) fn known(key: Key, old: &HashMap<String, Known>) -> (String, Known) {
    let per_minute = key.per_minute.and_then(NonZeroU32::new);
    let before = old.get(&key.hash);
    let came_from = before.map(|before| before.came_from.clone()).unwrap_or_default();
    let before = before.filter(|before| before.per_minute == per_minute);
    let limiter = before.and_then(|before| before.limiter.clone()).or_else(|| {
        let quota = Quota::per_minute(per_minute?);
        Some(Arc::new(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>()))
    });
    let (tenant, name) = (key.tenant.into(), key.name.into());
    (key.hash, Known { id: key.id.into(), name, tenant, role: key.role, per_minute, limiter, came_from })
}

impl Known {
    pub(super) fn is_known_at(&self, address: Option<IpAddr>) -> bool {
        let came_from = self.came_from.lock().unwrap_or_else(PoisonError::into_inner);
        address.is_none_or(|address| came_from.contains(&whose(address)))
    }

    pub(super) fn remember(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(whose) else { return };
        let mut came_from = self.came_from.lock().unwrap_or_else(PoisonError::into_inner);
        if !came_from.contains(&address) {
            came_from.truncate(ADDRESSES - 1);
            came_from.push_front(address);
        }
    }

    /// Counts a call; what is left is told in headers.
    pub(super) fn limit(&self, told: &mut HeaderMap) -> Result<(), Problem> {
        let (Some(limiter), Some(per_minute)) = (&self.limiter, self.per_minute) else { return Ok(()) };
        match limiter.check() {
            Ok(state) => {
                told.extend(limits(per_minute, state.remaining_burst_capacity()));
                Ok(())
            }
            Err(early) => {
                told.extend(limits(per_minute, 0));
                let wait = early.wait_time_from(DefaultClock::default().now());
                let detail = format!("the key allows {per_minute} calls in a minute");
                Err(Problem::new(Code::RateLimited, detail).after(wait))
            }
        }
    }
}

fn limits(per_minute: NonZeroU32, remaining: u32) -> [(HeaderName, HeaderValue); 3] {
    let missing = u64::from(per_minute.get().saturating_sub(remaining));
    let reset = (missing * 60).div_ceil(u64::from(per_minute.get()));
    let told = [
        ("ratelimit-limit", u64::from(per_minute.get())),
        ("ratelimit-remaining", u64::from(remaining)),
        ("ratelimit-reset", reset),
    ];
    told.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value)))
}
