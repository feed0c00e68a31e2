//! Intakes under keys that clients choose, so that handing a catalogue in twice makes one request.
//!
//! Two notices: the client's key says for a day which request it stands for, and the request says that somebody is at its
//! intake. That one is put up first, so a key that is seen belongs to an intake under way or to one that was let lapse.

use std::time::Duration;

use async_trait::async_trait;

use super::{Intake, Report};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::request::RequestStatus;
use crate::model::time::Timestamp;
use crate::port::boards::{Board, Boards, Change, Notice, On};

/// How long keys are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// How often a key is tried that others take and give free meanwhile.
const TRIES: u32 = 5;

/// What a client's own key for an intake stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Nothing so far: the intake may begin.
    New,
    /// This request, which was accepted.
    Accepted(RequestId),
    /// An intake that is under way, held until this time at least.
    InFlight(Timestamp),
}

/// Intakes under keys that clients choose.
#[async_trait]
pub trait Idempotency: Boards + Intake + Report {
    /// Reserves a tenant's key for an intake until a time. One whose holder let it lapse passes over, and its intake
    /// can't be opened any more. Keys are forgotten after a day.
    async fn reserve(
        &self,
        tenant: &str,
        key: &str,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Fault> {
        // A tenant's name has no spaces.
        let name = format!("{tenant} {key}");
        for _ in 0..TRIES {
            let on = match self.notice(Board::Intakes, &name, now).await? {
                None => On::Nothing,
                Some(known) => {
                    let holder = RequestId::from(known.text.as_str());
                    match self.held_by(&holder, now).await? {
                        Some(reservation) => return Ok(reservation),
                        None => On::Text(known.text),
                    }
                }
            };
            let to = Some((request.to_string(), now + REMEMBERED));
            let take = Change { board: Board::Intakes, name: name.clone(), on, to };
            let taken = self.change(vec![holding(request, until), take], now).await?;
            if taken.last() == Some(&true) {
                return Ok(Reservation::New);
            }
        }
        Err(Fault::transient(Code::BackendUnavailable, "the key is being taken by many at once"))
    }

    /// What a key stands for whose holder this is; `None` for one that was let lapse, whose intake is over then.
    async fn held_by(&self, holder: &RequestId, now: Timestamp) -> Result<Option<Reservation>, Fault> {
        let accepted = async || {
            let request = self.request(holder).await?;
            let accepted = request.is_some_and(|request| request.status != RequestStatus::Receiving);
            Ok::<_, Fault>(accepted.then(|| Reservation::Accepted(holder.clone())))
        };
        if let Some(accepted) = accepted().await? {
            return Ok(Some(accepted));
        }
        if let Some(held) = self.notice(Board::Holders, holder.as_str(), now).await? {
            return Ok(Some(Reservation::InFlight(held.until)));
        }
        // Whoever let it lapse must not come first after all; if it just did, that stands.
        self.discard(holder).await?;
        accepted().await
    }

    /// Holds an intake's key longer.
    async fn hold(&self, request: &RequestId, until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        self.change(vec![holding(request, until)], now).await.map(drop)
    }

    /// Gives an intake's key free, unless its request was accepted.
    async fn release(&self, request: &RequestId) -> Result<(), Fault> {
        self.take_off(Board::Holders, request.as_str()).await.map(drop)
    }
}

impl<T: Boards + Intake + Report> Idempotency for T {}

fn holding(request: &RequestId, until: Timestamp) -> Change {
    Change::put(Board::Holders, Notice { name: request.to_string(), text: String::new(), until })
}
