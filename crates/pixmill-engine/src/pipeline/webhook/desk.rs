//! The events at hand: called out to their receivers in turn, or put back.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use super::receivers::{Heard, Name, Receivers, Turn};
use super::{Try, Webhook};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::event::{Next, Telling};
use crate::model::image::Failure;

/// As a part of a lease, how long an event may wait for its receiver's turn. The call and what is written of it take less
/// than the rest.
const PATIENCE: u32 = 4;

/// What is at hand, and the tries under way.
pub(super) struct Desk {
    stage: Webhook,
    receivers: Receivers,
    tasks: JoinSet<Heard>,
    /// Whom each call under way is made to.
    calls: HashMap<Id, Name>,
}

impl Desk {
    pub(super) fn new(stage: Webhook) -> Self {
        Desk {
            receivers: Receivers::new(stage.lease / PATIENCE),
            tasks: JoinSet::new(),
            calls: HashMap::new(),
            stage,
        }
    }

    /// Events that are leased.
    pub(super) fn at_hand(&self) -> usize {
        self.receivers.waiting() + self.tasks.len()
    }

    /// Takes events on, and does for these and those that wait what can be done now.
    pub(super) fn take(&mut self, leased: Vec<Telling>) {
        let now = self.stage.clock.instant();
        for telling in leased {
            match self.stage.address(&telling) {
                Some(Ok((url, _))) => {
                    let name = url.origin().ascii_serialization();
                    if let Some(turn) = self.receivers.wait(name.into(), telling, now) {
                        self.begin(turn);
                    }
                }
                Some(Err(url)) => self.refuse(telling, url),
                None => self.put(telling, Next::Nothing),
            }
        }
        while let Some(turn) = self.receivers.next(now) {
            self.begin(turn);
        }
    }

    /// Waits until a try is over, for ever while there is none.
    pub(super) async fn one_is_over(&mut self) {
        let Some(over) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let (id, heard) = match over {
            Ok(over) => over,
            Err(broken) => (broken.id(), Heard::Nothing),
        };
        if let Some(name) = self.calls.remove(&id) {
            self.receivers.heard(&name, heard, self.stage.clock.instant());
        }
    }

    /// Puts back what waits, and ends the tries under way.
    pub(super) async fn clear(mut self) {
        let now = self.stage.clock.wall();
        for telling in self.receivers.take_all() {
            self.put(telling, Next::Again(now));
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn begin(&mut self, turn: Turn) {
        match turn {
            Turn::Call(name, telling) => self.call(name, telling),
            Turn::InVain(telling, fault) => {
                let url = telling.url.clone().or_else(|| self.stage.url.as_ref().map(ToString::to_string));
                self.try_without_a_call(telling, url.unwrap_or_default(), fault);
            }
            Turn::PutOff(telling, wait) => {
                let at = self.stage.clock.wall() + wait;
                self.put(telling, Next::Again(at));
            }
        }
    }

    fn call(&mut self, name: Name, telling: Telling) {
        let Some(Ok(address)) = self.stage.address(&telling) else { return };
        let (stage, span) = (self.stage.clone(), self.stage.span(&telling));
        let call = self.tasks.spawn(async move { stage.tell(telling, address).await }.instrument(span));
        self.calls.insert(call.id(), name);
    }

    fn refuse(&mut self, telling: Telling, url: String) {
        let fault = Fault::permanent(Code::WebhookAddress, "the webhook's address can't be parsed");
        self.try_without_a_call(telling, url, fault);
    }

    fn try_without_a_call(&mut self, telling: Telling, url: String, fault: Fault) {
        let stage = self.stage.clone();
        self.tasks.spawn(async move {
            let answer = Err(Failure::from(fault));
            let made = Try { url, at: stage.clock.wall(), said: None, answer };
            stage.write_down(&telling, made, None).await;
            Heard::Nothing
        });
    }

    /// Gives an event back without a try.
    fn put(&mut self, telling: Telling, next: Next) {
        let stage = self.stage.clone();
        self.tasks.spawn(async move {
            stage.settle(&telling, None, next).await;
            Heard::Nothing
        });
    }
}
