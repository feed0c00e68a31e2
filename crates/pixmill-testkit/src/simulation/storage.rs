//! Outputs in memory, and a sandbox that makes them of nothing.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::{Limits, OutputFormat, Recipe, Recompressed};
use pixmill_engine::port::diagnose::Diagnose;
use pixmill_engine::port::sandbox::{Memory, Sandbox};
use pixmill_engine::port::storage::Storage;

use super::world::Here;
use crate::memory::Wrong;

pub(super) struct SimulatedStorage(pub(super) Here);

fn away() -> Fault {
    Fault::transient(Code::StoreUnavailable, "the storage does not answer")
}

impl Diagnose for SimulatedStorage {}

#[async_trait]
impl Storage for SimulatedStorage {
    async fn put(&self, key: &str, _media_type: &'static str, bytes: Vec<u8>) -> Result<String, Fault> {
        let wait = self.0.chance(|state, now| {
            let wait = if state.chance.comes(100) { 2_000 } else { 60 };
            (state.chance.millis(1, wait), state.chaos && now < state.away.storage)
        });
        self.0.sleep(wait.0).await;
        if wait.1 {
            return Err(away());
        }
        self.0.say(|| format!("stores {key}"));
        let lost = self.0.chance(|state, _| {
            if self.0.world.wrong != Some(Wrong::OutputNotDurable) || state.chance.comes(900) {
                state.outputs.insert(key.to_owned(), bytes.len());
            }
            state.chaos && state.chance.comes(20)
        });
        if lost {
            return Err(away());
        }
        Ok(key.to_owned())
    }

    async fn remove(&self, locations: &[String]) -> Result<(), Fault> {
        self.0.sleep(Duration::from_millis(5)).await;
        self.0.say(|| format!("removes {locations:?}"));
        self.0.chance(|state, _| state.outputs.retain(|location, _| !locations.contains(location)));
        Ok(())
    }

    async fn clear(&self, folder: &str) -> Result<(), Fault> {
        let inside = format!("{folder}/");
        self.0.chance(|state, _| state.outputs.retain(|location, _| !location.starts_with(&inside)));
        Ok(())
    }
}

pub(super) struct SimulatedSandbox(pub(super) Here);

#[async_trait]
impl Sandbox for SimulatedSandbox {
    fn width(&self) -> usize {
        2
    }

    async fn recompress(
        &self,
        source: Bytes,
        _recipe: Recipe,
        _limits: Limits,
        memory: &dyn Memory,
    ) -> Result<Recompressed, Fault> {
        let _charge = memory.charge(1 << 20).await;
        let (wait, crashes) =
            self.0.chance(|state, _| (state.chance.millis(1, 200), state.chaos && state.chance.comes(20)));
        self.0.sleep(wait).await;
        if crashes {
            return Err(Fault::transient(Code::ImageCrashed, "its process was ended"));
        }
        if source.ends_with(b"large") {
            // Longer than a lease.
            self.0.sleep(Duration::from_secs(15)).await;
        }
        if source.starts_with(b"broken") {
            return Err(Fault::permanent(Code::ImageCorrupt, "it is none"));
        }
        Ok(Recompressed {
            bytes: source.to_vec(),
            format: OutputFormat::Jpeg,
            width: 1,
            height: 1,
            frames: 1,
            kept_source: false,
        })
    }

    async fn judge(&self, _: Bytes, _: Bytes, _: Recipe, _: Limits, _: &dyn Memory) -> Result<f64, Fault> {
        Ok(100.0)
    }
}
