//! Takes one claimed image through the stages that follow: fetch, recompress, save, settle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pixmill_codec::{Recipe, Recompressed};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field, info_span};

use super::super::budget::Budget;
use super::super::fetch::{Fetch, Fetched};
use super::super::recompress::Recompress;
use super::super::save::Save;
use super::super::settle::{Patience, Settler, wait_after};
use super::super::{Ended, Ports, Scope, Settings, Stay, Watcher};
use super::LONGEST_OUTAGE;
use super::hosts::{HostRules, OriginAsked};
use super::lanes::{OriginReply, Started};
use super::outage::{Outage, PAUSE};
use super::refusals::Refusals;
use super::seat::{Seats, Taken};
use super::state::Event;
use crate::fault::{Blame, Fault};
use crate::model::id::RequestId;
use crate::model::image::{Claim, Failure, ImageStatus, Outcome, Settlement};
use crate::model::request::Request;
use crate::model::source::Source;
use crate::model::trace::Traceparent;
use crate::port::queue::Delivered;
use crate::port::traces::TARGET;

/// Requests that are remembered.
const REMEMBERED: usize = 1_000;

/// The stages after dispatch, shared by all images under way.
pub(in super::super) struct Worker {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    pub(super) stop: CancellationToken,
    pub(super) seats: Seats,
    fetch: Fetch,
    recompress: Recompress,
    save: Save,
    settler: Settler,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) rules: Arc<HostRules>,
    refusals: Refusals,
    requests: Mutex<HashMap<RequestId, Known>>,
    fatal: Mutex<Option<Fault>>,
}

/// Who looks at the work, and what is wanted of it.
pub(in super::super) struct Seen {
    pub(in super::super) watcher: Arc<dyn Watcher>,
    pub(in super::super) rules: Arc<HostRules>,
}

/// What images have of their request.
#[derive(Debug, Clone, Default)]
struct Known {
    recipe: Recipe,
    traceparent: Option<Traceparent>,
}

impl Worker {
    pub(in super::super) fn new(
        ports: Ports,
        settings: Settings,
        settler: Settler,
        seen: Seen,
        scope: &Scope,
        stop: CancellationToken,
    ) -> Self {
        let budget = Arc::new(Budget::new(settings.memory_bytes));
        Worker {
            seats: Seats::new(settings.connections, ports.sandbox.width(), *scope == Scope::All),
            fetch: Fetch::new(&ports, &settings, budget.clone()),
            recompress: Recompress::new(ports.sandbox.clone(), budget, settings.limits),
            save: Save::new(ports.storage.clone(), scope),
            settler,
            watcher: seen.watcher,
            rules: seen.rules,
            refusals: Refusals::new(settings.attempts > 1),
            stop,
            requests: Mutex::default(),
            fatal: Mutex::default(),
            ports,
            settings,
        }
    }

    fn stay(&self, stage: &'static str) -> Stay<'_> {
        Stay::begin(&*self.watcher, &*self.ports.clock, stage)
    }

    /// What stopped the worker, when something did.
    pub(super) fn fatal(&self) -> Option<Fault> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How many fetched pictures recompression has before it.
    pub(super) fn waiting(&self) -> usize {
        self.recompress.waiting()
    }

    /// Works on one image until it is settled, in a span of its request's trace.
    pub(super) async fn work(&self, claim: Claim, started: Started, signals: mpsc::UnboundedSender<Event>) {
        let span = info_span!(
            target: TARGET, parent: None, "image", request = %claim.request, image = %claim.image, row = claim.row,
            position = claim.position, attempt = claim.attempt, code = field::Empty, otel.status_code = field::Empty
        );
        // Records are asked for no more than the recipe, which is needed soon anyway. Where they can't be, it is told then.
        if !span.is_disabled()
            && let Ok(Known { traceparent: Some(parent), .. }) = self.known(&claim.request).await
        {
            self.ports.traces.join(&span, &parent);
        }
        self.work_on(claim, started, signals).instrument(span).await;
    }

    async fn work_on(&self, claim: Claim, started: Started, signals: mpsc::UnboundedSender<Event>) {
        // What records hold is worked on, whatever the job says.
        let source = Source::parse(&claim.input);
        let asks = started.given_up.is_none() && source.is_ok();
        let mut seat = Taken::none(&self.seats, &self.recompress, &claim.request);
        // Some are claimed ahead, so that no place waits for records. When told to stop they wait for none.
        let taken = async {
            let looked_up = match &source {
                Ok(source) => self.seats.look_up(&claim.request, self.fetch.look_up(source)).await,
                Err(_) => Ok(()),
            };
            seat.take().await;
            looked_up
        };
        let looked_up = tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(()),
            // Nobody is asked for it.
            () = std::future::ready(()), if !asks => Ok(()),
            looked_up = taken => looked_up,
        };
        let before = self.ports.clock.instant();
        let asked = started.given_up.is_none();
        let started = Arc::new(started);
        let fetched = match (&started.given_up, &source) {
            (Some(fault), _) | (None, Err(fault)) => Err(Delivered::Failed(Failure::from(fault.clone()))),
            (None, Ok(source)) => {
                self.fetched(source, looked_up, &mut seat, &claim, &started, &signals).await
            }
        };
        let fetching = self.ports.clock.instant().since(before);
        seat.is_fetched();
        if asked && source.is_err() {
            let _ = signals.send(Event::Asked { started: started.clone(), reply: OriginReply::Skipped });
        }
        let delivered = match (fetched, &source) {
            (Ok(fetched), Ok(source)) => self.finished(&claim, source, fetched, &started).await,
            (Err(delivered), _) => delivered,
            (Ok(_), Err(fault)) => Delivered::Failed(Failure::from(fault.clone())),
        };
        seat.give_back();
        let _ = signals.send(Event::Worked { asked });
        let origin = source.map_or_else(|_| String::new(), |source| source.origin());
        let delivered = self.settled(&claim, delivered, origin, fetching).await;
        let _ = signals.send(Event::Left { job: started.job.clone(), delivered });
    }

    /// Fetches, and frees the connection.
    async fn fetched(
        &self,
        source: &Source,
        looked_up: Result<(), Fault>,
        seat: &mut Taken<'_>,
        claim: &Claim,
        started: &Arc<Started>,
        signals: &mpsc::UnboundedSender<Event>,
    ) -> Result<Fetched, Delivered> {
        let fetch = async {
            let _stay = self.stay("fetch");
            looked_up?;
            self.fetch
                .fetch(source, &claim.request, seat)
                .instrument(info_span!(target: TARGET, "fetch"))
                .await
        };
        let began = self.ports.clock.instant();
        let fetched = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            fetched = fetch => Some(fetched),
        };
        if let Some(fetched) = &fetched {
            self.watcher.asked(OriginAsked {
                origin: &started.lane,
                fault: fetched.as_ref().err().map(|fault| fault.code),
                bytes: fetched.as_ref().map_or(0, |fetched| fetched.bytes.len() as u64),
                took: self.ports.clock.instant().since(began),
            });
        }
        crate::fail_point!("after_fetch");
        let reply = match &fetched {
            None => OriginReply::Skipped,
            Some(Err(fault)) if fault.transient => OriginReply::Faulted(fault.clone()),
            Some(_) => OriginReply::Answered,
        };
        let _ = signals.send(Event::Asked { started: started.clone(), reply });
        match fetched {
            None => Err(Delivered::Returned),
            Some(fetched) => fetched.map_err(|fault| self.after(fault, claim, started)),
        }
    }

    /// Recompresses and saves what was fetched.
    async fn finished(
        &self,
        claim: &Claim,
        source: &Source,
        fetched: Fetched,
        started: &Started,
    ) -> Delivered {
        let recipe = match self.known(&claim.request).await {
            Ok(known) => known.recipe,
            // Records are waited for where images are claimed; meanwhile this one is as if it had not been touched.
            Err(fault) if fault.blame == Blame::Backend && fault.transient => {
                return Delivered::Returned;
            }
            Err(fault) => return self.after(fault, claim, started),
        };
        let recompress = async {
            let _stay = self.stay("recompress");
            self.recompressed(&claim.request, &fetched, recipe).await
        };
        let done = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Delivered::Returned,
            recompressed = recompress.instrument(info_span!(target: TARGET, "recompress")) => recompressed,
        };
        let saved = match done {
            Ok(output) => {
                let _stay = self.stay("save");
                let save = self.save.save(claim, source, fetched.bytes.len() as u64, output);
                save.instrument(info_span!(target: TARGET, "save")).await
            }
            Err(fault) => Err(fault),
        };
        crate::fail_point!("after_save");
        match saved {
            Ok(output) => Delivered::Completed(output),
            Err(fault) => self.after(fault, claim, started),
        }
    }

    async fn known(&self, request: &RequestId) -> Result<Known, Fault> {
        let known = self.requests.lock().unwrap_or_else(PoisonError::into_inner).get(request).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.request(request).await?;
        let known = found.map(|found| Known { recipe: found.recipe, traceparent: found.traceparent });
        let known = known.unwrap_or_default();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= REMEMBERED {
            requests.clear();
        }
        requests.insert(request.clone(), known.clone());
        Ok(known)
    }

    /// Reads a request. Records that can't be reached are waited for.
    async fn request(&self, request: &RequestId) -> Result<Option<Request>, Fault> {
        let outage = Outage::none(Some(LONGEST_OUTAGE));
        loop {
            match self.ports.records.request(request).await {
                Err(fault) => self.wait_out(&outage, fault).await?,
                found => return found,
            }
        }
    }

    /// Recompresses. A sandbox that can't start anything is waited for.
    async fn recompressed(
        &self,
        request: &RequestId,
        fetched: &Fetched,
        recipe: Recipe,
    ) -> Result<Recompressed, Fault> {
        let outage = Outage::none(Some(LONGEST_OUTAGE));
        loop {
            match self.recompress.recompress(request, fetched, recipe).await {
                Err(fault) => self.wait_out(&outage, fault).await?,
                done => return done,
            }
        }
    }

    /// Waits before a backend is asked again that is away, as dispatch does: the picture is at hand.
    ///
    /// # Errors
    /// The fault, when waiting does not help or has not helped for too long.
    async fn wait_out(&self, outage: &Outage, fault: Fault) -> Result<(), Fault> {
        if fault.blame != Blame::Backend {
            return Err(fault);
        }
        outage.tried(Err(fault), self.ports.clock.instant())?;
        self.ports.clock.sleep(PAUSE).await;
        Ok(())
    }

    /// What a fault makes of the image, or of the whole pipeline.
    fn after(&self, fault: Fault, claim: &Claim, started: &Started) -> Delivered {
        match fault.blame {
            Blame::Image | Blame::Request => {}
            Blame::Backend => {
                self.stop_for(fault);
                return Delivered::Returned;
            }
        }
        if self.refusals.cost_nothing(started, &fault, self.ports.clock.instant()) {
            return Delivered::Returned;
        }
        let patience = Patience {
            attempts: started.job.retries.map_or(self.settings.attempts, |retries| retries.attempts),
            backoff: started.job.retries.and_then(|retries| retries.backoff),
            longest_retry_after: self.settings.longest_retry_after,
        };
        match wait_after(&fault, claim.attempt, patience) {
            Some(wait) => Delivered::Retried { wait, fault },
            None => Delivered::Failed(Failure::from(fault)),
        }
    }

    /// Stops all work, because of this.
    pub(super) fn stop_for(&self, fault: Fault) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.stop.cancel();
    }

    /// Has the outcome written, shows it if it won, and says what the queue need know.
    async fn settled(
        &self,
        claim: &Claim,
        delivered: Delivered,
        origin: String,
        fetching: Duration,
    ) -> Delivered {
        crate::fail_point!("before_settle");
        let outcome = match &delivered {
            Delivered::Completed(output) => Outcome::Completed(output.clone()),
            Delivered::Failed(failure) => Outcome::Failed(failure.clone()),
            Delivered::Retried { wait, .. } => Outcome::Retry(self.ports.clock.wall() + *wait),
            Delivered::PutOff(_) | Delivered::Returned => Outcome::GivenBack,
        };
        let settlement = Settlement { image: claim.image.clone(), token: claim.token, outcome };
        let stay = self.stay("settle");
        let settle = self.settler.settle(settlement);
        let won = settle.instrument(info_span!(target: TARGET, "settle")).await;
        drop(stay);
        crate::fail_point!("after_settle");
        if won != Some(true) {
            // Its lease was taken away meanwhile, so records may have put it back.
            self.drop_orphan(claim, &delivered).await;
            return Delivered::Returned;
        }
        self.show(claim, &delivered, origin, fetching);
        delivered
    }

    /// Removes an output that was stored after its request was deleted: nobody else knows of it.
    async fn drop_orphan(&self, claim: &Claim, delivered: &Delivered) {
        let Delivered::Completed(output) = delivered else { return };
        if let Ok(None) = self.ports.records.request(&claim.request).await
            && let Err(fault) = self.ports.storage.remove(std::slice::from_ref(&output.location)).await
        {
            tracing::warn!(%fault, "an output of a deleted request can't be removed");
        }
    }

    /// Shows an end to whoever watches.
    fn show(&self, claim: &Claim, delivered: &Delivered, origin: String, fetching: Duration) {
        let (status, output, code) = match delivered {
            Delivered::Completed(output) => (ImageStatus::Completed, Some(output), None),
            Delivered::Failed(failure) => {
                Span::current().record("code", failure.code.as_str()).record("otel.status_code", "ERROR");
                (ImageStatus::Failed, None, Some(failure.code))
            }
            _ => return,
        };
        self.watcher.ended(Ended {
            request: claim.request.clone(),
            image: claim.image.clone(),
            row: claim.row,
            position: claim.position,
            origin,
            status,
            code,
            bytes_before: output.map_or(0, |output| output.bytes_before),
            bytes_after: output.map_or(0, |output| output.bytes_after),
            attempt: claim.attempt,
            fetching,
        });
    }
}
