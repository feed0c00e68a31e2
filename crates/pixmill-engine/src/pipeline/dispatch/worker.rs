//! Takes one claimed image through the stages that follow: fetch, recompress, save, settle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pixmill_codec::Recipe;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::budget::Budget;
use super::super::fetch::{Fetch, Fetched};
use super::super::recompress::Recompress;
use super::super::save::Save;
use super::super::settle::{Settler, after_fault};
use super::super::{Ended, Ports, Scope, Settings, Watcher};
use super::Signal;
use super::lanes::{Asked, Started};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::image::{Claim, Failure, ImageStatus, Outcome, Output, Settlement};
use crate::model::source::Source;
use crate::port::queue::Delivered;

/// Requests whose recipes are remembered.
const RECIPES: usize = 1_000;

/// The stages after dispatch, shared by all images under way.
pub(in super::super) struct Worker {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    pub(super) stop: CancellationToken,
    fetch: Fetch,
    recompress: Recompress,
    save: Save,
    settler: Settler,
    watcher: Arc<dyn Watcher>,
    recipes: Mutex<HashMap<RequestId, Recipe>>,
    fatal: Mutex<Option<Fault>>,
}

/// How work on an image came to its end here.
enum End {
    Outcome(Outcome),
    /// Not the image's fault: hand it back and stop.
    Fatal(Fault),
}

impl Worker {
    pub(in super::super) fn new(
        ports: Ports,
        settings: Settings,
        settler: Settler,
        watcher: Arc<dyn Watcher>,
        scope: &Scope,
        stop: CancellationToken,
    ) -> Self {
        let budget = Arc::new(Budget::new(settings.memory_bytes));
        Worker {
            fetch: Fetch::new(&ports, &settings, budget.clone()),
            recompress: Recompress::new(ports.sandbox.clone(), budget, settings.limits),
            save: Save::new(ports.storage.clone(), scope),
            settler,
            watcher,
            stop,
            recipes: Mutex::default(),
            fatal: Mutex::default(),
            ports,
            settings,
        }
    }

    /// What stopped the worker, when something did.
    pub(super) fn fatal(&self) -> Option<Fault> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Works on one image until it is settled.
    pub(super) async fn work(&self, claim: Claim, started: Started, signals: mpsc::UnboundedSender<Signal>) {
        let before = self.ports.clock.now();
        let asked = started.given_up.is_none();
        let fetched = match (&started.given_up, &started.parked.source) {
            (Some(fault), _) => Err(End::Outcome(Outcome::Failed(Failure::from(fault.clone())))),
            (None, Err(fault)) => Err(End::Outcome(Outcome::Failed(Failure::from(fault.clone())))),
            (None, Ok(source)) => self.fetched(source, &claim, &started, &signals).await,
        };
        let fetching = self.ports.clock.now().since(before);
        if asked && started.parked.source.is_err() {
            let _ = signals.send(Signal::Asked { lane: started.lane.clone(), asked: Asked::Skipped });
        }
        let end = match (fetched, &started.parked.source) {
            (Ok(fetched), Ok(source)) => self.finished(&claim, source, fetched).await,
            (Err(end), _) => end,
            (Ok(_), Err(fault)) => End::Outcome(Outcome::Failed(Failure::from(fault.clone()))),
        };
        let outcome = match end {
            End::Outcome(outcome) => outcome,
            End::Fatal(fault) => self.stop_for(fault),
        };
        let delivered = self.settled(&claim, outcome, &started, fetching).await;
        let _ = signals.send(Signal::Left { job: started.parked.candidate, delivered, asked });
    }

    /// Fetches, and frees the connection.
    async fn fetched(
        &self,
        source: &Source,
        claim: &Claim,
        started: &Started,
        signals: &mpsc::UnboundedSender<Signal>,
    ) -> Result<Fetched, End> {
        let fetched = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            fetched = self.fetch.fetch(source) => Some(fetched),
        };
        fail::fail_point!("after_fetch");
        let asked = match &fetched {
            None => Asked::Skipped,
            Some(Err(fault)) if fault.transient => Asked::Faulted(fault.clone()),
            Some(_) => Asked::Answered,
        };
        let _ = signals.send(Signal::Asked { lane: started.lane.clone(), asked });
        match fetched {
            None => Err(End::Outcome(Outcome::GivenBack)),
            Some(fetched) => fetched.map_err(|fault| self.after(fault, claim)),
        }
    }

    /// Recompresses and saves what was fetched.
    async fn finished(&self, claim: &Claim, source: &Source, fetched: Fetched) -> End {
        let done = tokio::select! {
            biased;
            () = self.stop.cancelled() => return End::Outcome(Outcome::GivenBack),
            recompressed = self.recompressed(claim, &fetched) => recompressed,
        };
        let saved = match done {
            Ok(output) => self.save.save(claim, source, fetched.bytes.len() as u64, output).await,
            Err(fault) => Err(fault),
        };
        fail::fail_point!("after_save");
        match saved {
            Ok(output) => End::Outcome(Outcome::Completed(output)),
            Err(fault) => self.after(fault, claim),
        }
    }

    async fn recompressed(
        &self,
        claim: &Claim,
        fetched: &Fetched,
    ) -> Result<pixmill_codec::Recompressed, Fault> {
        let recipe = self.recipe(&claim.request).await?;
        self.recompress.recompress(fetched, recipe).await
    }

    async fn recipe(&self, request: &RequestId) -> Result<Recipe, Fault> {
        let known = self.recipes.lock().unwrap_or_else(PoisonError::into_inner).get(request).copied();
        if let Some(recipe) = known {
            return Ok(recipe);
        }
        let found = self.ports.records.request(request).await?;
        let recipe = found.map(|request| request.recipe).unwrap_or_default();
        let mut recipes = self.recipes.lock().unwrap_or_else(PoisonError::into_inner);
        if recipes.len() >= RECIPES {
            recipes.clear();
        }
        recipes.insert(request.clone(), recipe);
        Ok(recipe)
    }

    /// What a fault makes of the image, or of the whole pipeline.
    fn after(&self, fault: Fault, claim: &Claim) -> End {
        match fault.code {
            Code::DiskFull | Code::DiskReadOnly | Code::BackendUnavailable => End::Fatal(fault),
            _ => End::Outcome(after_fault(
                fault,
                claim.attempt,
                self.settings.attempts,
                self.settings.longest_retry_after,
                self.ports.clock.now(),
            )),
        }
    }

    fn stop_for(&self, fault: Fault) -> Outcome {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.stop.cancel();
        Outcome::GivenBack
    }

    /// Has the end written, shows it if it won, and says what the queue need know.
    async fn settled(
        &self,
        claim: &Claim,
        outcome: Outcome,
        started: &Started,
        fetching: Duration,
    ) -> Delivered {
        fail::fail_point!("before_settle");
        let settlement =
            Settlement { image: claim.image.clone(), token: claim.token, outcome: outcome.clone() };
        let won = self.settler.settle(settlement).await;
        fail::fail_point!("after_settle");
        let (delivered, status, output, code) = match outcome {
            Outcome::Retry(at) => return Delivered::Later(at),
            Outcome::GivenBack => return Delivered::Returned,
            Outcome::Completed(output) => (Delivered::Ended, ImageStatus::Completed, Some(output), None),
            Outcome::Failed(failure) => (Delivered::Ended, ImageStatus::Failed, None, Some(failure.code)),
        };
        if won != Some(true) {
            // Its lease was taken away meanwhile, so records may have put it back.
            return Delivered::Returned;
        }
        self.watcher.ended(Ended {
            row: claim.row,
            position: claim.position,
            origin: started.parked.source.as_ref().map_or_else(|_| String::new(), Source::origin),
            status,
            code,
            bytes_before: output.as_ref().map_or(0, |output: &Output| output.bytes_before),
            bytes_after: output.as_ref().map_or(0, |output| output.bytes_after),
            attempt: claim.attempt,
            fetching,
        });
        delivered
    }
}
