//! Taking a catalogue in.

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
use pixmill_engine::port::records::{Intake, IntakeEnd};

use super::entry::Row;
use super::{Entry, Image, Memory, Store, unknown};

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

    async fn unclaimed(&self) -> Result<u64, Fault> {
        self.call("unclaimed", |_| Ok(0)).await
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
    pub(super) fn append(&mut self, row: NewRow) {
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
