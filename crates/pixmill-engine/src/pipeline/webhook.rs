//! Webhook: events are told, signed, again and again until they are heard or given up.
//!
//! At least once, always under the same `webhook-id`: a try whose outcome could not be written is made again.

pub mod body;
pub mod sign;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field, info_span};
use url::Url;
use uuid::Uuid;

use crate::code::Code;
use crate::fault::Fault;
use crate::model::event::{Answer, Delivery, Next, Telling, WAITS};
use crate::model::image::Failure;
use crate::model::lease::Lease;
use crate::model::time::Timestamp;
use crate::port::clock::{Clock, Instant};
use crate::port::receiver::{Message, Receiver, SetBy};
use crate::port::records::Outbox;
use crate::port::traces::{TARGET, Traces};
use sign::Signer;

/// Events that are told at the same time.
const AT_A_TIME: usize = 32;

/// How often records are asked for events that are due: those of other workers' requests, and those that come back.
const EVERY: Duration = Duration::from_secs(1);

/// How long tries are remembered, and how often old ones are forgotten.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How long a receiver may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The stage.
#[derive(Clone)]
pub struct Webhook {
    /// Where events are written.
    pub outbox: Arc<dyn Outbox>,
    /// Who hears them.
    pub receiver: Arc<dyn Receiver>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// Is told of spans.
    pub traces: Arc<dyn Traces>,
    /// Signs what is said.
    pub signer: Arc<Signer>,
    /// Told of requests that name no webhook of their own.
    pub url: Option<Url>,
    /// What links to results begin with, without a slash at its end.
    pub links: String,
    /// How long an event is held by whoever tells it: longer than a receiver may take.
    pub lease: Duration,
}

impl Webhook {
    /// Tells events as they fall due until stopped, then ends the tries under way; whoever wrote one may notify of it.
    /// Records that can't be reached are waited for.
    pub async fn tend(&self, written: &Notify, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut away = false;
        let mut forget_at = self.clock.instant();
        while !stop.is_cancelled() {
            while under_way.try_join_next().is_some() {}
            let leased = self.lease(AT_A_TIME - under_way.len(), &mut forget_at).await;
            if let (Err(fault), false) = (&leased, away) {
                tracing::warn!(%fault, "events can't be read, trying again");
            }
            away = leased.is_err();
            for telling in leased.unwrap_or_default() {
                let stage = self.clone();
                let span = stage.span(&telling);
                under_way.spawn(async move { stage.tell(telling).await }.instrument(span));
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = written.notified() => {}
                () = self.clock.sleep(EVERY) => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Takes what is due, and forgets now and then what is old.
    async fn lease(&self, room: usize, forget_at: &mut Instant) -> Result<Vec<Telling>, Fault> {
        let (now, wall) = (self.clock.instant(), self.clock.wall());
        if now >= *forget_at {
            self.outbox.forget_deliveries(wall - REMEMBERED).await?;
            *forget_at = now + FORGET_EVERY;
        }
        match room {
            0 => Ok(Vec::new()),
            room => self.outbox.lease_events(room, Lease::lasting(self.lease, wall), wall).await,
        }
    }

    /// One try, in its request's trace.
    fn span(&self, telling: &Telling) -> Span {
        let event = &telling.event;
        let span = info_span!(
            target: TARGET, parent: None, "webhook", otel.kind = "client", request = %event.request, event = event.id,
            round = event.round, attempt = telling.tries + 1, http.response.status_code = field::Empty,
            code = field::Empty, otel.status_code = field::Empty
        );
        if let Some(parent) = &telling.traceparent {
            self.traces.join(&span, parent);
        }
        span
    }

    /// Makes one try and writes down what came of it. What can't be written is tried anew once the lease has run out.
    async fn tell(&self, telling: Telling) {
        fail::fail_point!("before_tell");
        let delivery = self.delivery(&telling).await;
        fail::fail_point!("after_tell");
        let next = match &delivery {
            Some(delivery) => after(&delivery.answer, telling.tries, self.clock.wall()),
            None => Next::Nothing,
        };
        if let Some(delivery) = &delivery {
            record(&delivery.answer);
            log(delivery, next);
        }
        if let Err(fault) = self.outbox.settle_event(&telling, delivery, next).await {
            tracing::warn!(%fault, event = telling.event.id, "a delivery can't be written down: it will be made again");
        }
        fail::fail_point!("after_telling");
    }

    /// One try; `None` when there is nobody to tell.
    async fn delivery(&self, telling: &Telling) -> Option<Delivery> {
        let (url, set_by) = match (&telling.url, &self.url) {
            (Some(own), _) => (Url::parse(own).map_err(|_| own), SetBy::Client),
            (None, Some(url)) => (Ok(url.clone()), SetBy::Server),
            (None, None) => return None,
        };
        let at = self.clock.wall();
        let answer = match &url {
            Ok(url) => self.post(url, set_by, telling, at).await,
            Err(_) => Err(Fault::permanent(Code::WebhookAddress, "the webhook's address can't be parsed")),
        };
        Some(Delivery {
            id: Uuid::now_v7().to_string(),
            event: telling.event.id.clone(),
            request: telling.event.request.clone(),
            url: url.map_or_else(Clone::clone, |url| url.to_string()),
            at,
            answer: answer.map_err(Failure::from),
        })
    }

    async fn post(
        &self,
        url: &Url,
        set_by: SetBy,
        telling: &Telling,
        at: Timestamp,
    ) -> Result<Answer, Fault> {
        let body = body::of(telling, &self.links);
        let mut headers = self.signer.headers(&telling.event.id, at, &body);
        // Where no span is made, a client's trace is passed on as it came.
        let traceparent = self.traces.traceparent(&Span::current()).or_else(|| telling.traceparent.clone());
        headers.extend(traceparent.map(|parent| ("traceparent", parent.to_string())));
        post(&*self.receiver, &*self.clock, url, set_by, Message { headers, body }).await
    }
}

/// Posts a message, for as long as a receiver may take.
///
/// # Errors
/// Those of the receiver, and `fetch.timeout`.
pub async fn post(
    receiver: &dyn Receiver,
    clock: &dyn Clock,
    url: &Url,
    set_by: SetBy,
    message: Message,
) -> Result<Answer, Fault> {
    tokio::select! {
        answer = receiver.post(url, set_by, message) => answer,
        () = clock.sleep(TIMEOUT) => Err(Fault::transient(
            Code::FetchTimeout,
            format!("{} did not answer within {TIMEOUT:?}", url.origin().ascii_serialization()),
        )),
    }
}

/// What comes after a try. An address that may not be called is not asked again, nor is one that says it is gone.
fn after(answer: &Result<Answer, Failure>, tries: u32, now: Timestamp) -> Next {
    let over = match answer {
        Ok(answer) => answer.is_success() || answer.is_farewell(),
        Err(failure) => failure.code == Code::WebhookAddress,
    };
    match wait(tries) {
        Some(wait) if !over => Next::Again(now + wait.mul_f64(1.0 + JITTER * fastrand::f64())),
        _ => Next::Nothing,
    }
}

/// How long is waited after so many tries in vain and this one; `None` when it was the last. Crash tests can't wait for
/// hours: they say how many milliseconds.
fn wait(tries: u32) -> Option<Duration> {
    let wait = WAITS.get(tries as usize).copied()?;
    fail::fail_point!("webhook_wait", |said| said
        .and_then(|text| text.parse().ok())
        .map(Duration::from_millis));
    Some(wait)
}

/// By how much a wait may be longer, so that events that failed together do not come back together.
const JITTER: f64 = 0.1;

/// Says in the span what came of a try.
fn record(answer: &Result<Answer, Failure>) {
    let span = Span::current();
    match answer {
        Ok(answer) => _ = span.record("http.response.status_code", answer.status),
        Err(failure) => _ = span.record("code", failure.code.as_str()),
    }
    if !answer.as_ref().is_ok_and(Answer::is_success) {
        span.record("otel.status_code", "ERROR");
    }
}

fn log(delivery: &Delivery, next: Next) {
    let (event, request) = (delivery.event.as_str(), delivery.request.as_str());
    match (&delivery.answer, next) {
        (Ok(answer), _) if answer.is_success() => {
            tracing::info!(event, request, status = answer.status, "webhook told");
        }
        (answer, next) => {
            let why = match answer {
                Ok(answer) => format!("it answered {}", answer.status),
                Err(failure) => failure.message.clone(),
            };
            let given_up = next == Next::Nothing;
            tracing::warn!(event, request, why, given_up, "webhook not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn answer(status: u16) -> Result<Answer, Failure> {
        Ok(Answer { status, beginning: String::new() })
    }

    fn refused(code: Code) -> Result<Answer, Failure> {
        Err(Failure { code, message: String::new() })
    }

    #[test]
    fn what_was_heard_or_is_gone_is_told_no_more() {
        for over in [answer(200), answer(204), answer(410), refused(Code::WebhookAddress)] {
            assert_eq!(after(&over, 0, NOW), Next::Nothing, "{over:?}");
        }
    }

    #[test]
    fn tries_in_vain_come_back_on_schedule_and_end() {
        for vain in [answer(302), answer(404), answer(500), refused(Code::FetchConnect)] {
            for (tries, wait) in WAITS.into_iter().enumerate() {
                let Next::Again(at) = after(&vain, tries as u32, NOW) else { panic!("{vain:?} {tries}") };
                assert!(at >= NOW + wait && at <= NOW + wait.mul_f64(1.0 + JITTER), "{vain:?} {tries}");
            }
            assert_eq!(after(&vain, WAITS.len() as u32, NOW), Next::Nothing);
        }
    }
}
