//! The way to records: cut, slow, or with answers that never come. Each change is checked on it.

use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::event::Telling;
use pixmill_engine::model::image::Settlement;
use pixmill_engine::model::time::Timestamp;

use super::world::Here;
use crate::clock::BEGINNING;
use crate::memory::{Link, Store};

pub(super) struct Wire(pub(super) Here);

fn away() -> Fault {
    Fault::transient(Code::BackendUnavailable, "records do not answer").of(Blame::Backend)
}

/// Calls that change nothing, and so need no check.
const READING: [&str; 14] = [
    "open_requests",
    "fresh",
    "due",
    "standings",
    "request",
    "progress",
    "rows",
    "images",
    "view",
    "completions",
    "deliveries",
    "census",
    "oldest",
    "kept",
];

#[async_trait]
impl Link for Wire {
    fn time(&self) -> Option<Timestamp> {
        Some(BEGINNING + self.0.clock.real())
    }

    async fn there(&self, call: &'static str) -> Result<(), Fault> {
        let (wait, cut) = self.0.chance(|state, now| {
            let chaos = state.chaos;
            if chaos && now < state.away.records {
                let wait =
                    if state.chance.comes(300) { state.chance.millis(1, 2_000) } else { Duration::ZERO };
                return (wait, true);
            }
            let slow = if chaos { 250 } else { 100 };
            let wait = if state.chance.comes(slow) { state.chance.millis(1, 30) } else { Duration::ZERO };
            let wait = if chaos && state.chance.comes(5) { state.chance.millis(100, 3_000) } else { wait };
            (wait, false)
        });
        if !wait.is_zero() {
            self.0.sleep(wait).await;
        }
        self.0.say(|| if cut { format!("{call}: records are away") } else { call.to_owned() });
        if cut { Err(away()) } else { Ok(()) }
    }

    fn settling(&self, batch: &[Settlement], store: &Store) {
        self.0.chance(|state, now| {
            state.say(now, &self.0.name, || format!("settling {batch:?}"));
            state.checker.settling(batch, store);
        });
    }

    fn settled(&self, batch: &[Settlement], won: &[bool]) {
        self.0.chance(|state, _| {
            if let Err(broken) = state.checker.settled(batch, won) {
                state.break_off(broken);
            }
        });
    }

    fn telling(&self, telling: &Telling, store: &Store) {
        self.0.chance(|state, _| state.checker.telling(telling, store));
    }

    fn done(&self, call: &'static str, store: &Store) {
        if READING.contains(&call) {
            return;
        }
        self.0.chance(|state, now| {
            let outputs = std::mem::take(&mut state.outputs);
            let looked = state.checker.look(call, store, now, &outputs);
            state.outputs = outputs;
            match looked {
                Ok(changes) => {
                    for change in changes {
                        state.say(now, &self.0.name, || format!("  {change}"));
                    }
                }
                Err(broken) => state.break_off(format!("{broken} (after {call} by {})", self.0.name)),
            }
        });
    }

    async fn back(&self, call: &'static str) -> Result<(), Fault> {
        let (wait, lost) = self.0.chance(|state, _| {
            let lost = state.chaos && state.chance.comes(4);
            let wait = if state.chance.comes(100) { state.chance.millis(1, 20) } else { Duration::ZERO };
            (wait, lost)
        });
        if !wait.is_zero() {
            self.0.sleep(wait).await;
        }
        if lost {
            self.0.say(|| format!("{call}: its answer is lost"));
            return Err(away());
        }
        Ok(())
    }
}
