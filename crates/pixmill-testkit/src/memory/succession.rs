//! One catalogue taking the place of another.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{Request, RequestStatus};
use pixmill_engine::model::source::equal_inputs;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::carries_over;
use pixmill_engine::port::records::Succession;

use super::{Entry, Memory, Store};

#[async_trait]
impl Succession for Memory {
    async fn requests(&self) -> Result<Vec<Request>, Fault> {
        self.call("requests", |store| {
            let accepted = store.entries.iter().filter(|entry| entry.is_accepted());
            Ok(accepted.map(|entry| entry.request.clone()).collect())
        })
        .await
    }

    async fn succeed(&self, old: &RequestId, new: &RequestId, now: Timestamp) -> Result<(), Fault> {
        self.call("succeed", |store| store.succeed(old, new, now)).await
    }

    async fn remake(
        &self,
        request: &RequestId,
        locations: Vec<String>,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        self.call("remake", |store| {
            let order = store.next_opened();
            let entry = store.entry(request)?;
            let lost: BTreeSet<_> = locations.into_iter().collect();
            let mut remade = 0;
            for image in &mut entry.images {
                let is_lost = image.output.as_ref().is_some_and(|output| lost.contains(&output.location));
                if let Some(state) = image.state.remade(now).filter(|_| is_lost) {
                    image.open(state);
                    remade += 1;
                }
            }
            if remade > 0 {
                entry.next_round(order);
                entry.touch(now);
            }
            Ok(remade)
        })
        .await
    }

    async fn stale(&self, most: usize) -> Result<Vec<String>, Fault> {
        self.call("stale", |store| Ok(store.stale.iter().take(most).cloned().collect())).await
    }

    async fn forget_stale(&self, locations: &[String]) -> Result<(), Fault> {
        self.call("forget_stale", |store| {
            store.stale.retain(|stale| !locations.contains(stale));
            Ok(())
        })
        .await
    }
}

impl Store {
    fn succeed(&mut self, old: &RequestId, new: &RequestId, now: Timestamp) -> Result<(), Fault> {
        let Some(from) = self.find(old).cloned() else { return Ok(()) };
        let wrong = self.wrong;
        let entry = self.entry(new)?;
        if old == new || matches!(entry.status(), RequestStatus::Receiving | RequestStatus::Cancelled) {
            return Err(Fault::permanent(Code::RequestState, format!("request {new} is not open")));
        }
        entry.carry_ends(&from);
        entry.touch(now);
        entry.complete_if_over(now, wrong);
        let locations = |entry: &Entry| -> BTreeSet<String> {
            let outputs = entry.images.iter().filter_map(|image| image.output.as_ref());
            outputs.map(|output| output.location.clone()).collect()
        };
        let left = &locations(&from) - &locations(entry);
        self.stale.extend(left);
        self.entries.retain(|entry| entry.request.id != *old);
        Ok(())
    }
}

impl Entry {
    /// Ends of images that stand at the same row and position with an equal input.
    fn carry_ends(&mut self, old: &Entry) {
        for image in &mut self.images {
            let place = (image.row, image.position);
            let Some(ended) = old.images.iter().find(|old| (old.row, old.position) == place) else {
                continue;
            };
            if equal_inputs(&image.input, &ended.input) && carries_over(&ended.state, &image.state) {
                image.state.status = ended.state.status;
                image.state.attempts = ended.state.attempts;
                (image.output, image.failure) = (ended.output.clone(), ended.failure.clone());
            }
        }
        for number in 0..self.images.len() {
            let Some(lead) = self.images[number].lead.map(|lead| self.images[lead].clone()) else { continue };
            let image = &mut self.images[number];
            if let Some(led) = image.state.led(lead.state.status) {
                image.state = led;
                (image.output, image.failure) = (lead.output, lead.failure);
            }
        }
    }
}
