//! Events on their way to webhooks.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::{Delivery, Next, Telling};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Outbox;

use super::{Entry, Memory, Store, Wrong};

#[async_trait]
impl Outbox for Memory {
    async fn lease_events(&self, most: usize, lease: Lease, now: Timestamp) -> Result<Vec<Telling>, Fault> {
        let times = self.times(now);
        let (lease, now) = (times.lease(lease), times.of_store(now));
        self.call("lease_events", |store| Ok(store.lease_events(most, lease, now))).await
    }

    async fn settle_event(
        &self,
        telling: &Telling,
        delivery: Option<Delivery>,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let times = self.times(now);
        let next = match next {
            Next::Again(at) => Next::Again(times.of_store(at)),
            Next::Nothing => Next::Nothing,
        };
        let settle = |store: &mut Store| {
            self.link.telling(telling, store);
            Ok(store.settle_event(telling, delivery, next))
        };
        self.call("settle_event", settle).await
    }

    async fn redeliver(&self, delivery: &str, now: Timestamp) -> Result<bool, Fault> {
        let now = self.times(now).of_store(now);
        self.call("redeliver", |store| {
            for entry in store.entries.iter_mut().filter(|entry| !entry.is_retired()) {
                let Some(made) = entry.deliveries.iter().find(|made| made.id == delivery) else { continue };
                let Some(event) = entry.events.iter_mut().find(|event| event.completion.id == made.event)
                else {
                    continue;
                };
                (event.due, event.tries, event.lease) = (Some(now), 0, None);
                return Ok(true);
            }
            Ok(false)
        })
        .await
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, Fault> {
        self.call("forget_deliveries", |store| {
            let mut forgotten = 0;
            for entry in &mut store.entries {
                let all = entry.deliveries.len();
                entry.deliveries.retain(|delivery| delivery.at >= before);
                forgotten += (all - entry.deliveries.len()) as u64;
            }
            Ok(forgotten)
        })
        .await
    }
}

impl Store {
    fn lease_events(&mut self, most: usize, lease: Lease, now: Timestamp) -> Vec<Telling> {
        let mut due = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            for (number, event) in entry.events.iter().enumerate() {
                due.extend(event.due.filter(|due| *due <= now).map(|due| (due, place, number)));
            }
        }
        due.sort();
        due.truncate(most);
        let wrong = self.wrong;
        let lease_one = |(_, place, number): (Timestamp, usize, usize)| {
            let entry: &mut Entry = &mut self.entries[place];
            let event = &mut entry.events[number];
            event.due = Some(lease.until).filter(|_| wrong != Some(Wrong::LeasedEventsForgotten));
            event.lease = Some(lease.token);
            Telling {
                event: event.completion.clone(),
                progress: event.progress,
                url: entry.request.webhook.clone(),
                traceparent: entry.request.traceparent.clone(),
                tries: event.tries,
                token: lease.token,
            }
        };
        due.into_iter().map(lease_one).collect()
    }

    fn settle_event(&mut self, telling: &Telling, delivery: Option<Delivery>, next: Next) -> bool {
        let anyone = self.wrong == Some(Wrong::OldTellerDecides);
        // A request that was deleted meanwhile took its events with it.
        let Ok(entry) = self.entry(&telling.event.request) else { return false };
        let tried = delivery.is_some();
        if let Some(delivery) = delivery
            && !entry.deliveries.iter().any(|made| made.id == delivery.id)
        {
            entry.deliveries.push(delivery);
        }
        let event = entry.events.iter_mut().find(|event| event.completion.id == telling.event.id);
        let Some(event) = event.filter(|event| anyone || event.lease == Some(telling.token)) else {
            return false;
        };
        event.due = match next {
            Next::Nothing => None,
            Next::Again(at) => Some(at),
        };
        event.tries += u32::from(tried);
        event.lease = None;
        true
    }
}
