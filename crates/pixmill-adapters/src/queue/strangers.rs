//! Jobs that are left alone: each kind is told of once, and all are counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A job that does not fit is read again after so long: somebody may have edited it.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// So many of them are counted, and so many kinds told of.
const MOST_JOBS: usize = 20_000;
const MOST_KINDS: usize = 100;

/// Jobs of one name that were left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// What they are called.
    pub name: String,
    /// How many were seen.
    pub jobs: u64,
}

/// A kind of job that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Stranger {
    /// What it is called.
    pub(crate) name: String,
    /// What its data holds: names of keys, or what it is instead.
    pub(crate) keys: String,
    /// What is missing.
    pub(crate) lacks: String,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "jobs called '{}' with {}: {}", self.name, self.keys, self.lacks)
    }
}

/// The jobs of a queue that are left to other programs.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By id, when each was read, where that was lately.
    known: HashMap<String, Instant>,
    counted: HashSet<String>,
    told: HashSet<Stranger>,
    told_of_bull: bool,
    counts: BTreeMap<String, u64>,
}

impl Strangers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were read lately. Others are forgotten.
    pub(crate) fn lately(&self) -> usize {
        let mut state = self.state();
        state.known.retain(|_, read| read.elapsed() < READ_AGAIN);
        state.known.len()
    }

    /// Whether a job was read lately and does not fit.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.state().known.get(id).is_some_and(|read| read.elapsed() < READ_AGAIN)
    }

    /// Takes note of a job that is left alone, and tells of its kind where it is the first.
    pub(crate) fn note(&self, queue: &str, id: &str, stranger: Stranger) {
        let mut state = self.state();
        state.known.insert(id.to_owned(), Instant::now());
        if state.counted.len() < MOST_JOBS && state.counted.insert(id.to_owned()) {
            let named = state.counts.contains_key(&stranger.name) || state.counts.len() < MOST_KINDS;
            let name = if named { stranger.name.as_str() } else { "" };
            *state.counts.entry(name.to_owned()).or_default() += 1;
        }
        if state.told.len() < MOST_KINDS && state.told.insert(stranger.clone()) {
            tracing::warn!(
                queue,
                job = stranger.name,
                first = id,
                "left alone on queue '{queue}', for whoever knows them: {stranger}"
            );
        }
    }

    /// Tells once of a queue of Bull's.
    pub(crate) fn note_bull(&self, queue: &str) {
        if !std::mem::replace(&mut self.state().told_of_bull, true) {
            tracing::warn!(
                queue,
                "queue '{queue}' has jobs and nothing that BullMQ writes beside them, so Bull (3, 4) made it: its jobs \
                 are left alone, pixmill takes those of BullMQ"
            );
        }
    }

    /// How many were left alone, by name.
    pub fn counts(&self) -> Vec<LeftAlone> {
        let state = self.state();
        state.counts.iter().map(|(name, jobs)| LeftAlone { name: name.clone(), jobs: *jobs }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_counted_once_and_each_kind_is_told_once() {
        let strangers = Strangers::default();
        let kind = |name: &str| Stranger { name: name.into(), keys: "the keys to".into(), lacks: "x".into() };
        for id in ["1", "2", "1"] {
            strangers.note("q", id, kind("mail"));
        }
        strangers.note("q", "3", kind("pdf"));
        let left = |name: &str, jobs| LeftAlone { name: name.into(), jobs };
        assert_eq!(strangers.counts(), [left("mail", 2), left("pdf", 1)]);
        assert_eq!(strangers.state().told.len(), 2);
        assert!(strangers.knows("2") && !strangers.knows("4"));
        assert_eq!(strangers.lately(), 3);
    }
}
