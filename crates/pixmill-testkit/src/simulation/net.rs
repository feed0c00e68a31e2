//! Origins and receivers: what an address answers is in its name, as far as nothing is away.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Answer as Heard;
use pixmill_engine::port::origin::{Answer, Body, Hop, Origin};
use pixmill_engine::port::receiver::{Message, Receiver, Reply, SetBy};
use url::Url;

use super::world::{Here, State};

pub(super) struct SimulatedOrigin(pub(super) Here);

/// A body in one piece.
struct Whole(Option<&'static [u8]>);

#[async_trait]
impl Body for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.take().map(Bytes::from_static))
    }
}

fn answer(status: u16, body: &'static [u8], retry_after: Option<Duration>) -> Answer {
    Answer {
        status,
        location: None,
        retry_after,
        spent: false,
        cookies: Vec::new(),
        content_length: Some(body.len() as u64),
        unpacking_bytes: 0,
        body: Box::new(Whole(Some(body))),
    }
}

const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture";

/// How long an origin takes, and what it does then.
fn decide(state: &mut State, now: Duration, url: &Url) -> (Duration, Result<Answer, Fault>) {
    let host = url.host_str().unwrap_or_default();
    let wait = state.chance.millis(1, 120);
    if !state.chaos {
        let late = if url.path().starts_with("/slow") { 20 } else { 1 };
        return (wait * late, Ok(of_path(url)));
    }
    if state.away.hosts.get(host).is_some_and(|until| now < *until) {
        let fault = Fault::transient(Code::FetchConnect, "nobody listens");
        return (wait, Err(fault));
    }
    match (url.path(), state.chance.below(20)) {
        (path, _) if path.starts_with("/slow") => (state.chance.millis(500, 7_000), Ok(of_path(url))),
        (path, 0..=9) if path.starts_with("/flaky") => {
            let pause = state.chance.comes(300).then(|| state.chance.millis(500, 6_000));
            let status = if state.chance.comes(500) { 503 } else { 500 };
            (wait, Ok(answer(status, b"", pause)))
        }
        (path, 10) if path.starts_with("/flaky") => (wait, Ok(answer(429, b"", None))),
        (path, 11) if path.starts_with("/flaky") => {
            (wait, Err(Fault::transient(Code::FetchTruncated, "it broke off")))
        }
        _ => (wait, Ok(of_path(url))),
    }
}

fn of_path(url: &Url) -> Answer {
    match url.path() {
        path if path.starts_with("/gone") => answer(404, b"", None),
        path if path.starts_with("/large") => answer(200, b"\xff\xd8\xff\xe0 large", None),
        path if path.starts_with("/broken") => answer(200, b"broken", None),
        _ => answer(200, PICTURE, None),
    }
}

#[async_trait]
impl Origin for SimulatedOrigin {
    async fn get(&self, hop: &Hop) -> Result<Answer, Fault> {
        let (wait, answered) = self.0.chance(|state, now| decide(state, now, &hop.url));
        self.0.sleep(wait).await;
        self.0.say(|| {
            let how = answered.as_ref().map_or_else(Fault::to_string, |answer| answer.status.to_string());
            format!("{} answers {how}", hop.url)
        });
        answered
    }
}

pub(super) struct SimulatedReceiver(pub(super) Here);

#[async_trait]
impl Receiver for SimulatedReceiver {
    async fn judge(&self, _url: &Url) -> Result<(), Fault> {
        Ok(())
    }

    async fn post(&self, _url: &Url, _set_by: SetBy, message: Message) -> Result<Reply, Fault> {
        let (wait, away, fails) = self.0.chance(|state, now| {
            let wait = if state.chaos && state.chance.comes(300) { 20_000 } else { 100 };
            let away = state.chaos && now < state.away.receiver;
            (state.chance.millis(1, wait), away, state.chaos && state.chance.comes(100))
        });
        self.0.sleep(wait).await;
        let id = message.headers.iter().find(|(name, _)| *name == "webhook-id");
        let id = id.map(|(_, id)| id.clone()).unwrap_or_default();
        self.0.say(|| format!("event {id} is told, away: {away}, refused: {fails}"));
        if away {
            return Err(Fault::transient(Code::FetchConnect, "nobody listens"));
        }
        let status = if fails { 500 } else { 200 };
        if !fails {
            self.0.chance(|state, _| state.heard.insert(id));
        }
        Ok(Reply { answer: Heard { status, beginning: String::new() }, retry_after: None })
    }
}
