//! What processes share: time, chance, faults, and a record of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::checker::Checker;
pub(super) use super::checker::{ATTEMPTS, LEASE};
use super::time::{SimulatedClock, Sleep};
use super::window::Window;
use crate::memory::{Store, Wrong};

/// Numbers that a seed decides (SplitMix64).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of so many.
    pub(super) fn below(&mut self, many: u64) -> u64 {
        self.next() % many.max(1)
    }

    /// True so often of a thousand times.
    pub(super) fn comes(&mut self, of_a_thousand: u64) -> bool {
        self.below(1_000) < of_a_thousand
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Until when what is away.
#[derive(Debug, Default)]
pub(super) struct Away {
    pub(super) records: Duration,
    pub(super) storage: Duration,
    pub(super) receiver: Duration,
    pub(super) hosts: BTreeMap<String, Duration>,
}

/// What only one at a time touches.
pub(super) struct State {
    pub(super) chance: Chance,
    /// Faults may come.
    pub(super) chaos: bool,
    pub(super) away: Away,
    /// What happened, when that is wanted.
    trace: Option<Vec<String>>,
    /// What does not hold that must.
    pub(super) broken: Option<String>,
    /// Outputs by location.
    pub(super) outputs: BTreeMap<String, usize>,
    /// Events that a receiver took.
    pub(super) heard: BTreeSet<String>,
    pub(super) checker: Checker,
    /// How often a process did something with the world.
    pub(super) steps: u64,
}

/// The world.
pub(super) struct World {
    state: Mutex<State>,
    pub(super) store: Arc<Mutex<Store>>,
    pub(super) window: Mutex<Window>,
    pub(super) wrong: Option<Wrong>,
}

impl World {
    pub(super) fn new(seed: u64, wrong: Option<Wrong>, traced: bool) -> Self {
        World {
            state: Mutex::new(State {
                chance: Chance::new(seed),
                chaos: true,
                away: Away::default(),
                trace: traced.then(Vec::new),
                broken: None,
                outputs: BTreeMap::new(),
                heard: BTreeSet::new(),
                checker: Checker::default(),
                steps: 0,
            }),
            store: Arc::new(Mutex::new(Store::new(wrong))),
            window: Mutex::default(),
            wrong,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn break_off(&self, what: String) {
        self.state().break_off(what);
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }
}

impl State {
    /// The first thing that does not hold is what is told.
    pub(super) fn break_off(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(super) fn say(&mut self, at: Duration, who: &str, what: impl FnOnce() -> String) {
        self.steps += 1;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} {who} {}", at.as_secs_f64(), what()));
        }
    }
}

/// A process's place in the world.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) name: Arc<str>,
}

impl Here {
    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        self.world.state().say(self.clock.real(), &self.name, what);
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.timers.sleep(duration)
    }

    /// Lets a decision of chance be made.
    pub(super) fn chance<T>(&self, decide: impl FnOnce(&mut State, Duration) -> T) -> T {
        decide(&mut self.world.state(), self.clock.real())
    }
}
