//! What operators want of hosts, which dispatch obeys, and how origins stand here, which it tells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::code::Code;

/// What an operator wants of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostRule {
    /// Nothing of it is begun. What is under way goes on to its end; no attempt is counted.
    pub paused: bool,
    /// Most requests under way to each of its origins; what is configured where none is set, or where that is less.
    pub limit: Option<usize>,
}

impl HostRule {
    /// How many may be under way where so many otherwise may.
    pub(super) fn width(&self, width: usize) -> usize {
        self.limit.map_or(width, |limit| width.min(limit.max(1)))
    }
}

/// Rules by host, with its port where that is not the scheme's own.
pub type Rules = BTreeMap<String, HostRule>;

/// The rules that hold now, told by whoever knows them.
#[derive(Debug, Default)]
pub struct HostRules(Mutex<Arc<Rules>>);

impl HostRules {
    /// From now on these hold.
    pub fn set(&self, rules: Rules) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if **held != rules {
            *held = Arc::new(rules);
        }
    }

    /// Those that hold: the same `Arc` while nothing changes.
    pub(super) fn held(&self) -> Arc<Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The host of an origin, with its port where that is not the scheme's own.
pub fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// How an origin stands in a process.
#[derive(Debug, Clone, PartialEq)]
pub struct OriginNow {
    /// Scheme, host and port.
    pub origin: String,
    /// Requests under way, and how many may be.
    pub under_way: usize,
    /// See [`under_way`](Self::under_way).
    pub allowed: usize,
    /// Images that wait for it here.
    pub waiting: usize,
    /// Requests a second that it is asked for at most; none where it is not limited.
    pub per_second: Option<f64>,
    /// Requests that it refused as too many.
    pub refusals: u64,
    /// It is left alone for so long, unless it is asked again sooner.
    pub quiet: Option<Duration>,
    /// Why it is left alone after faults in a row.
    pub fault: Option<(Code, String)>,
}

/// How a process stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    /// Images that were begun and are not over.
    pub under_way: usize,
    /// Images that wait here to be begun.
    pub waiting: usize,
    /// The origins of these, the most noteworthy first, so many at most.
    pub origins: Vec<OriginNow>,
}

/// One request to an origin that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginAsked<'o> {
    /// Scheme, host and port.
    pub origin: &'o str,
    /// Why no picture came of it.
    pub fault: Option<Code>,
    /// Bytes that came.
    pub bytes: u64,
    /// How long it took, with its redirects.
    pub took: Duration,
}
