//! Webhook: events are told, signed, again and again until they are heard or given up.
//!
//! At least once, always under the same `webhook-id`: a try whose outcome could not be written is made again.

pub mod body;
mod desk;
mod receivers;
pub mod sign;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Span, field, info_span};
use url::Url;
use uuid::Uuid;

use super::{Stay, Told, Watcher};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::event::{Answer, Delivery, KEPT_BODY_BYTES, Next, Telling, WAITS};
use crate::model::image::Failure;
use crate::model::lease::Lease;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::receiver::{Message, Receiver, Reply, SetBy};
use crate::port::records::Outbox;
use crate::port::traces::{TARGET, Traces};
use desk::Desk;
use receivers::Heard;
use sign::Signer;

/// Events that are leased from records at the same time: being told, or waiting for their receiver's turn.
const AT_HAND: usize = 1_024;

/// How often records are asked for events that are due: those of other workers' requests, and those that come back.
const EVERY: Duration = Duration::from_secs(1);

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
    /// Hears of tries.
    pub watcher: Arc<dyn Watcher>,
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
        let mut desk = Desk::new(self.clone());
        let mut away = false;
        while !stop.is_cancelled() {
            // In few reads, many at a time.
            let room = Some(AT_HAND.saturating_sub(desk.at_hand())).filter(|room| *room >= AT_HAND / 4);
            let room = room.unwrap_or_default();
            let leased = self.lease(room).await;
            if let (Err(fault), false) = (&leased, away) {
                tracing::warn!(%fault, "events can't be read, trying again");
            }
            away = leased.is_err();
            let leased = leased.unwrap_or_default();
            // There may be more behind those that were due first.
            let more = room > 0 && leased.len() == room;
            desk.take(leased);
            if more && desk.at_hand() <= AT_HAND / 2 {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = written.notified() => {}
                () = desk.one_is_over() => {}
                () = self.clock.sleep(EVERY) => {}
            }
        }
        desk.clear().await;
    }

    /// Takes what is due.
    async fn lease(&self, room: usize) -> Result<Vec<Telling>, Fault> {
        let wall = self.clock.wall();
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
    async fn tell(&self, telling: Telling, (url, set_by): (Url, SetBy)) -> Heard {
        crate::fail_point!("before_tell");
        let (at, began) = (self.clock.wall(), self.clock.instant());
        let body = body::of(&telling, &self.links);
        let stay = Stay::begin(&*self.watcher, &*self.clock, "webhook");
        let posted = self.post(&url, set_by, &telling, at, body.clone()).await;
        let took = self.clock.instant().since(began);
        drop(stay);
        crate::fail_point!("after_tell");
        let heard = match &posted {
            Ok(reply) => Heard::Answer(reply.retry_after),
            Err(fault) if fault.code == Code::WebhookAddress => Heard::Nothing,
            Err(fault) => Heard::Silence(fault.clone()),
        };
        let retry_after = posted.as_ref().ok().and_then(|reply| reply.retry_after);
        let answer = posted.map(|reply| reply.answer).map_err(Failure::from);
        let made = Try { url: url.into(), at, said: Some((body, took)), answer };
        self.write_down(&telling, made, retry_after).await;
        heard
    }

    /// Writes a try down, and what comes next.
    async fn write_down(&self, telling: &Telling, made: Try, retry_after: Option<Duration>) {
        let next = match wait_after(&made.answer, telling.tries, retry_after) {
            Some(wait) => Next::Again(self.clock.wall() + wait),
            None => Next::Nothing,
        };
        let delivery = Delivery {
            id: Uuid::now_v7().to_string(),
            event: telling.event.id.clone(),
            request: telling.event.request.clone(),
            url: made.url,
            at: made.at,
            took: made.said.as_ref().map(|(_, took)| *took),
            body: made.said.map(|(body, _)| beginning(body)),
            answer: made.answer,
        };
        let told = match (&delivery.answer, next) {
            (Ok(answer), _) if answer.is_success() => Told::Heard,
            (_, Next::Again(_)) => Told::InVain,
            (_, Next::Nothing) => Told::GivenUp,
        };
        self.watcher.told(told);
        record(&delivery.answer);
        log(&delivery, told);
        self.settle(telling, Some(delivery), next).await;
    }

    async fn settle(&self, telling: &Telling, delivery: Option<Delivery>, next: Next) {
        if let Err(fault) = self.outbox.settle_event(telling, delivery, next, self.clock.wall()).await {
            tracing::warn!(%fault, event = telling.event.id, "a delivery can't be written down: it will be made again");
        }
        crate::fail_point!("after_telling");
    }

    /// Who is to be told, and who says so; `None` when there is nobody.
    fn address(&self, telling: &Telling) -> Option<Result<(Url, SetBy), String>> {
        match (&telling.url, &self.url) {
            (Some(own), _) => Some(Url::parse(own).map(|url| (url, SetBy::Client)).map_err(|_| own.clone())),
            (None, Some(url)) => Some(Ok((url.clone(), SetBy::Server))),
            (None, None) => None,
        }
    }

    async fn post(
        &self,
        url: &Url,
        set_by: SetBy,
        telling: &Telling,
        at: Timestamp,
        body: String,
    ) -> Result<Reply, Fault> {
        let mut headers = self.signer.headers(&telling.event.id, at, &body);
        // Where no span is made, a client's trace is passed on as it came.
        let traceparent = self.traces.traceparent(&Span::current()).or_else(|| telling.traceparent.clone());
        headers.extend(traceparent.map(|parent| ("traceparent".into(), parent.to_string())));
        post(&*self.receiver, &*self.clock, url, set_by, Message { headers, body }).await
    }
}

/// What came of a try.
struct Try {
    url: String,
    at: Timestamp,
    /// The body that was posted, and how long that took; nothing where nobody was called.
    said: Option<(String, Duration)>,
    answer: Result<Answer, Failure>,
}

/// As much of a body as is kept.
fn beginning(mut body: String) -> String {
    let end = (0..=KEPT_BODY_BYTES.min(body.len())).rev().find(|end| body.is_char_boundary(*end));
    body.truncate(end.unwrap_or_default());
    body
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
) -> Result<Reply, Fault> {
    tokio::select! {
        biased;
        answer = receiver.post(url, set_by, message) => answer,
        () = clock.sleep(TIMEOUT) => Err(Fault::transient(
            Code::FetchTimeout,
            format!("{} did not answer within {TIMEOUT:?}", url.origin().ascii_serialization()),
        )),
    }
}

/// How long is waited for another try after one; `None` when there is none. An address that may not be called is not asked
/// again, nor is one that says it is gone; one that asks to be left alone for a while is.
pub(crate) fn wait_after(
    answer: &Result<Answer, Failure>,
    tries: u32,
    retry_after: Option<Duration>,
) -> Option<Duration> {
    let over = match answer {
        Ok(answer) => answer.is_success() || answer.is_farewell(),
        Err(failure) => failure.code == Code::WebhookAddress,
    };
    let wait = wait(tries).filter(|_| !over)?;
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    Some(wait.max(asked).mul_f64(1.0 + JITTER * fastrand::f64()))
}

/// The longest pause that a receiver may ask for: as long as the schedule's own last one.
const LONGEST_RETRY_AFTER: Duration = WAITS[WAITS.len() - 1];

/// How long is waited after so many tries in vain and this one; `None` when it was the last. Crash tests can't wait for
/// hours: they say how many milliseconds.
fn wait(tries: u32) -> Option<Duration> {
    let wait = WAITS.get(tries as usize).copied()?;
    crate::fail_point!("webhook_wait", |said| said
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

fn log(delivery: &Delivery, told: Told) {
    let (event, request) = (delivery.event.as_str(), delivery.request.as_str());
    match (&delivery.answer, told) {
        (Ok(answer), Told::Heard) => {
            tracing::info!(event, request, status = answer.status, "webhook told");
        }
        (answer, told) => {
            let why = match answer {
                Ok(answer) => format!("it answered {}", answer.status),
                Err(failure) => failure.message.clone(),
            };
            let given_up = told == Told::GivenUp;
            tracing::warn!(event, request, why, given_up, "webhook not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Result<Answer, Failure> {
        Ok(Answer { status, beginning: String::new() })
    }

    fn refused(code: Code) -> Result<Answer, Failure> {
        Err(Failure { code, message: String::new() })
    }

    #[test]
    fn what_was_heard_or_is_gone_is_told_no_more() {
        for over in [answer(200), answer(204), answer(410), refused(Code::WebhookAddress)] {
            assert_eq!(wait_after(&over, 0, Some(Duration::from_secs(9))), None, "{over:?}");
        }
    }

    #[test]
    fn of_a_long_body_the_beginning_is_kept() {
        assert_eq!(beginning("{}".to_owned()), "{}");
        let long = "ü".repeat(KEPT_BODY_BYTES);
        assert_eq!(beginning(format!("a{long}")).len(), KEPT_BODY_BYTES - 1);
        assert_eq!(beginning(long).len(), KEPT_BODY_BYTES);
    }

    #[test]
    fn tries_in_vain_come_back_on_schedule_and_end() {
        for vain in [answer(302), answer(404), answer(500), refused(Code::FetchConnect)] {
            for (tries, wait) in WAITS.into_iter().enumerate() {
                let Some(waits) = wait_after(&vain, tries as u32, None) else { panic!("{vain:?} {tries}") };
                assert!(waits >= wait && waits <= wait.mul_f64(1.0 + JITTER), "{vain:?} {tries}");
            }
            assert_eq!(wait_after(&vain, WAITS.len() as u32, None), None);
        }
    }

    #[test]
    fn a_pause_that_a_receiver_asks_for_is_kept_up_to_ten_hours() {
        let waits = |seconds| wait_after(&answer(503), 0, Some(Duration::from_secs(seconds))).unwrap();
        assert!(waits(1) >= WAITS[0] && waits(1) < WAITS[0] * 2);
        assert!(waits(600) >= Duration::from_secs(600) && waits(600) <= Duration::from_secs(660));
        assert!(waits(1 << 40) >= LONGEST_RETRY_AFTER && waits(1 << 40) <= LONGEST_RETRY_AFTER * 2);
    }
}
