//! Taking a catalogue in, under a key of the client's or none.

use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::following::Leads;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{NewRequest, RequestStatus};
use pixmill_engine::model::row::NewRow;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;
use pixmill_engine::port::originals::Originals;
use pixmill_engine::port::records::{Idempotency, Intake, IntakeEnd, Reservation};

use super::entry::Row;
use super::{Entry, Held, Image, Memory, Store, unknown};

/// How long keys are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

#[async_trait]
impl Intake for Memory {
    async fn begin(&self, new: NewRequest, now: Timestamp) -> Result<(), Fault> {
        let now = self.times(now).of_store(now);
        self.call("begin", |store| {
            if store.find(&new.id).is_some() {
                return Err(Fault::permanent(Code::RequestState, format!("the id {} is in use", new.id)));
            }
            store.entries.push(Entry::new(new, now));
            Ok(())
        })
        .await
    }

    async fn append(&self, request: &RequestId, rows: Vec<NewRow>, now: Timestamp) -> Result<(), Fault> {
        let now = self.times(now).of_store(now);
        self.call("append", |store| {
            let entry = store.intake(request)?;
            entry.request.updated = now;
            rows.into_iter().for_each(|row| entry.append(row));
            Ok(())
        })
        .await
    }

    async fn open(&self, request: &RequestId, end: IntakeEnd, now: Timestamp) -> Result<(), Fault> {
        let now = self.times(now).of_store(now);
        self.call("open", |store| {
            store.intake(request)?;
            let (order, wrong) = (store.next_opened(), store.wrong);
            let entry = store.intake(request)?;
            entry.follow();
            entry.order = order;
            entry.row_errors = end.row_errors;
            let request = &mut entry.request;
            (request.digest, request.reading, request.rows) = (end.digest, end.reading, end.rows);
            request.row_errors = end.row_errors_total;
            (request.recipe, request.webhook) = (end.options.recipe, end.options.webhook);
            request.status = RequestStatus::Pending;
            entry.touch(now);
            entry.complete_if_over(now, wrong.filter(|_| !entry.images.is_empty()));
            Ok(())
        })
        .await
    }

    async fn discard(&self, request: &RequestId) -> Result<(), Fault> {
        self.call("discard", |store| {
            store.discard(request);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Originals for Memory {
    async fn keep(
        &self,
        request: &RequestId,
        piece: u32,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let now = self.times(now).of_store(now);
        self.call("keep", |store| {
            let entry = store.intake(request)?;
            entry.request.updated = now;
            entry.originals.insert(piece, bytes);
            Ok(())
        })
        .await
    }

    async fn kept(&self, request: &RequestId, piece: u32) -> Result<Option<Vec<u8>>, Fault> {
        self.call("kept", |store| {
            Ok(store.find(request).and_then(|entry| entry.originals.get(&piece).cloned()))
        })
        .await
    }
}

impl Store {
    fn intake(&mut self, request: &RequestId) -> Result<&mut Entry, Fault> {
        self.entry(request).ok().filter(|entry| !entry.is_accepted()).ok_or_else(|| unknown(request))
    }

    pub(super) fn discard(&mut self, request: &RequestId) {
        self.entries.retain(|entry| entry.request.id != *request || entry.is_accepted());
    }
}

impl Entry {
    fn append(&mut self, row: NewRow) {
        let (number, first) = (self.rows.len() as u64, self.images.len());
        let images = row.images.len();
        self.images.extend((0..).zip(row.images).map(|(position, image)| Image {
            state: ImageState::new(false),
            lead: None,
            row: number,
            position,
            input: image.input,
            fingerprint: image.fingerprint,
            output: None,
            failure: None,
            ended: None,
        }));
        self.rows.push(Row { cells: row.cells, error: row.error, first, images });
    }

    /// Of equal inputs the first is worked and the others follow it.
    fn follow(&mut self) {
        let mut leads = Leads::default();
        let told: Vec<_> = (0..)
            .zip(&self.images)
            .map(|(number, image)| leads.lead_of(number, image.fingerprint, image.input.as_str()))
            .collect();
        for (image, lead) in self.images.iter_mut().zip(told) {
            image.lead = lead;
            image.state = ImageState::new(lead.is_some());
        }
    }
}

#[async_trait]
impl Idempotency for Memory {
    async fn reserve(
        &self,
        tenant: &str,
        key: &str,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Fault> {
        let place = (tenant.to_owned(), key.to_owned());
        let times = self.times(now);
        let (until, now) = (times.of_store(until), times.of_store(now));
        self.call("reserve", |store| {
            store.held.retain(|_, held| held.at >= now - REMEMBERED);
            if let Some(held) = store.held.get(&place).cloned() {
                let status = store.find(&held.request).map(Entry::status);
                if let Some(reservation) = Reservation::of(&held.request, status, held.until, now) {
                    return Ok(reservation);
                }
                store.discard(&held.request);
            }
            store.held.insert(place, Held { request: request.clone(), until, at: now });
            Ok(Reservation::New)
        })
        .await
    }

    async fn hold(&self, request: &RequestId, until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let until = self.times(now).of_store(until);
        self.call("hold", |store| {
            let held = store.held.values_mut().filter(|held| held.request == *request);
            held.for_each(|held| held.until = until);
            Ok(())
        })
        .await
    }

    async fn release(&self, request: &RequestId) -> Result<(), Fault> {
        self.call("release", |store| {
            if !store.find(request).is_some_and(Entry::is_accepted) {
                store.held.retain(|_, held| held.request != *request);
            }
            Ok(())
        })
        .await
    }
}
