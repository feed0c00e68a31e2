//! Idempotency-Key: the same key and body make one request, whatever became of the answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::{Ledger, Reservation};

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;

const HEADER: &str = "idempotency-key";

/// The longest key, bytes.
const LONGEST: usize = 255;

/// A key that is held while its upload is under way, and given free when that comes to nothing, however.
pub(super) struct Holding {
    state: State,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    lease: Duration,
}

enum State {
    /// The client sent no key, or there is nothing left to be done about it.
    Nothing,
    /// This upload holds it.
    Held(RequestId),
    /// This request was made under it before.
    Before(RequestId),
}

/// Reserves the key that a client sent, when it sent one.
///
/// # Errors
/// `idempotency.in_flight` while another upload holds it; `query.invalid` for what is no key.
pub(super) async fn reserve(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    id: &RequestId,
) -> Result<Holding, Problem> {
    let on = &api.on;
    let (ledger, clock, lease) = (on.ledger.clone(), on.clock.clone(), on.lease);
    let state = match read(headers)? {
        None => State::Nothing,
        Some(key) => {
            let now = clock.wall();
            match ledger.reserve(&caller.tenant, key, id, now + lease, now).await? {
                Reservation::New => State::Held(id.clone()),
                Reservation::Accepted(before) => State::Before(before),
                Reservation::InFlight(until) => {
                    let detail = "an upload with this Idempotency-Key is under way";
                    return Err(Problem::new(Code::IdempotencyInFlight, detail).after(until.since(now)));
                }
            }
        }
    };
    Ok(Holding { state, ledger, clock, lease })
}

fn read(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST).filter(visible);
    let wrong =
        || Problem::parameter("Idempotency-Key", format!("allowed are 1 to {LONGEST} visible ASCII signs"));
    key.filter(|_| values.next().is_none()).map(Some).ok_or_else(wrong)
}

impl Holding {
    /// The request that was made under the key before.
    pub(super) fn before(&self) -> Option<RequestId> {
        match &self.state {
            State::Before(before) => Some(before.clone()),
            _ => None,
        }
    }

    /// Says again and again that the upload is under way.
    pub(super) async fn hold(&self) -> Infallible {
        let State::Held(id) = &self.state else { return std::future::pending().await };
        loop {
            self.clock.sleep(self.lease / 3).await;
            let now = self.clock.wall();
            if let Err(fault) = self.ledger.hold(id, now + self.lease, now).await {
                tracing::warn!(%fault, "an idempotency key can't be held, trying again");
            }
        }
    }

    /// Gives the key free when nothing was made under it.
    pub(super) async fn end(mut self, made: bool) {
        if let State::Held(id) = std::mem::replace(&mut self.state, State::Nothing)
            && !made
        {
            release(&*self.ledger, &id).await;
        }
    }
}

async fn release(ledger: &dyn Ledger, id: &RequestId) {
    if let Err(fault) = ledger.release(id).await {
        tracing::warn!(%fault, "an idempotency key can't be given free: it will lapse");
    }
}

impl Drop for Holding {
    /// The client hung up in the middle.
    fn drop(&mut self) {
        if let State::Held(id) = std::mem::replace(&mut self.state, State::Nothing) {
            let ledger = self.ledger.clone();
            tokio::spawn(async move { release(&*ledger, &id).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_one_and_visible() {
        let of = |values: &[&'static [u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            read(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[b"a-1!"]).unwrap().as_deref(), Some("a-1!"));
        for wrong in [&[&b"a\tb"[..]][..], &[b"a b"], &[b""], &[b"\xff"], &[b"a", b"a"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
