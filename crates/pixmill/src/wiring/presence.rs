//! Tells again and again that this process is alive and what it does, and hears what operators want of hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::pipeline::{HostRules, OriginNow};
use pixmill_engine::port::boards::{Board, Boards};
use pixmill_engine::port::clock::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::beats::Beats;
use super::configured::Configured;
use crate::config::serve::Role;
use crate::figures::resident;
use crate::presence::{Presence, Standing};
use crate::{hosts, logs};

/// How often is heard what operators want, how often is told that the process lives, and what it counted.
const HEAR_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_secs(5);
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A process that tells of itself.
pub(super) struct Teller {
    configured: Arc<Configured>,
    beats: Arc<Beats>,
    rules: Arc<HostRules>,
    told: Presence,
    tell_at: Instant,
    count_at: Instant,
}

impl Teller {
    pub(super) fn new(configured: Arc<Configured>, beats: Arc<Beats>, rules: Arc<HostRules>) -> Self {
        let options = &configured.options;
        let told = Presence {
            id: Uuid::now_v7().to_string(),
            host: logs::machine().unwrap_or_default(),
            pid: std::process::id(),
            role: options.role.as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: SystemClock.wall().0,
            memory_budget: options.settings.memory_bytes,
            concurrency: options.concurrency,
            ..Presence::default()
        };
        let now = Instant::now();
        Teller { configured, beats, rules, told, tell_at: now, count_at: now }
    }

    /// Tells until it is over, then says goodbye. Where records are away, others learn of it by hearing nothing.
    pub(super) async fn tell(mut self, over: CancellationToken) {
        let mut failed = false;
        while !over.is_cancelled() {
            let round = tokio::select! {
                () = over.cancelled() => break,
                round = self.round() => round,
            };
            if let (Err(fault), false) = (&round, failed) {
                tracing::debug!(%fault, "this process can't tell that it is alive");
            }
            failed = round.is_err();
            tokio::select! {
                () = over.cancelled() => {}
                () = tokio::time::sleep(HEAR_EVERY) => {}
            }
        }
        let _ = tokio::time::timeout(GOODBYE, self.leave()).await;
    }

    async fn round(&mut self) -> Result<(), Fault> {
        let ledger = self.configured.open_records.ledger().await?;
        let (now, wall) = (Instant::now(), SystemClock.wall());
        if self.configured.options.role != Role::Api {
            self.rules.set(hosts::rules(&*ledger, wall).await?);
        }
        if now >= self.tell_at {
            ledger.put_up(Board::Workers, vec![self.seen().notice(wall)], wall).await?;
            self.tell_at = now + TELL_EVERY;
        }
        if now >= self.count_at {
            self.count_at = now + COUNT_EVERY;
            self.write_counts(&*ledger).await?;
        }
        Ok(())
    }

    async fn write_counts(&self, boards: &dyn Boards) -> Result<(), Fault> {
        let wall = SystemClock.wall();
        let Some(notice) = self.beats.day().notice(&self.told.id, wall) else { return Ok(()) };
        let written = boards.put_up(Board::Tallies, vec![notice], wall).await;
        written.inspect_err(|_| self.beats.day().is_unwritten())
    }

    async fn leave(&self) -> Result<(), Fault> {
        let ledger = self.configured.open_records.ledger().await?;
        ledger.take_off(Board::Workers, &self.told.id).await?;
        self.write_counts(&*ledger).await
    }

    /// As it is now.
    fn seen(&self) -> Presence {
        let (look, (completed, failed)) = (self.beats.look(), self.beats.counts());
        Presence {
            completed,
            failed,
            under_way: look.under_way,
            waiting: look.waiting,
            per_second: self.beats.per_second(),
            memory_bytes: resident(),
            origins: look.origins.into_iter().map(standing).collect(),
            ..self.told.clone()
        }
    }
}

fn standing(origin: OriginNow) -> Standing {
    let (code, message) = origin.fault.map(|(code, message)| (code.to_string(), message)).unzip();
    Standing {
        origin: origin.origin,
        under_way: origin.under_way,
        allowed: origin.allowed,
        waiting: origin.waiting,
        per_second: origin.per_second,
        refusals: origin.refusals,
        quiet: origin.quiet.map(|quiet| quiet.as_millis() as u64),
        code,
        message,
    }
}
