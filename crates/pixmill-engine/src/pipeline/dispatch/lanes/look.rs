//! How lanes stand, and what operators want of them.

use std::sync::Arc;

use super::super::hosts::{HostRule, Look, OriginNow, Rules, host_of};
use super::{Lane, Lanes};
use crate::port::clock::Instant;

/// Origins that are told of.
const MOST_TOLD: usize = 100;

impl Lanes {
    /// From now on these rules hold.
    pub(in super::super) fn obey(&mut self, rules: Arc<Rules>, now: Instant) {
        if Arc::ptr_eq(&self.rules, &rules) {
            return;
        }
        self.rules = rules;
        for (name, lane) in &mut self.lanes {
            let before = std::mem::replace(&mut lane.rule, rule(&self.rules, name));
            if before.paused && !lane.rule.paused {
                lane.breaker.resumed(now);
            }
        }
    }

    /// How they stand.
    pub(in super::super) fn look(&self, now: Instant) -> Look {
        let mut lanes: Vec<_> = self.lanes.iter().collect();
        lanes.sort_by_cached_key(|(_, lane)| lane.rank(now));
        lanes.truncate(MOST_TOLD);
        let origins = lanes.into_iter().map(|(name, lane)| lane.told(name.to_string(), now)).collect();
        Look { under_way: self.under_way, waiting: self.parked, origins }
    }
}

/// What an operator wants of an origin.
pub(super) fn rule(rules: &Rules, origin: &str) -> HostRule {
    rules.get(host_of(origin)).copied().unwrap_or_default()
}

impl Lane {
    /// What is worth knowing first: those that stand still, then those that are slowed, then the busiest.
    fn rank(&self, now: Instant) -> (bool, bool, usize) {
        (!self.is_held_up(now), self.pace.is_fresh(), usize::MAX - self.waits() - self.under_way)
    }

    fn told(&self, origin: String, now: Instant) -> OriginNow {
        let (per_second, refusals) = self.pace.learnt();
        let (fault, probe) = self.breaker.told(now).unzip();
        let asked = (self.not_before > now).then(|| self.not_before.since(now));
        OriginNow {
            origin,
            under_way: self.under_way,
            allowed: self.rule.width(self.width),
            waiting: self.waits(),
            per_second,
            refusals,
            quiet: probe.max(asked),
            fault: fault.map(|fault| (fault.code, fault.message.clone())),
        }
    }
}
