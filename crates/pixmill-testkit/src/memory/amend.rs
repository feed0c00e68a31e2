//! What clients change of requests that were accepted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::following::{Heirs, Leads};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::Correction;
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;
use pixmill_engine::port::records::{Amend, Deletion};

use super::{Entry, Memory, Wrong};

#[async_trait]
impl Amend for Memory {
    async fn correct(
        &self,
        request: &RequestId,
        corrections: Vec<Correction>,
        now: Timestamp,
    ) -> Result<Vec<usize>, Fault> {
        let now = self.times(now).of_store(now);
        self.call("correct", |store| {
            let order = store.next_opened();
            let entry = store.reopenable(request, now)?;
            let (found, wrong) = entry.corrected(&corrections);
            if wrong.is_empty() && !found.is_empty() {
                entry.correct(&found, now);
                entry.next_round(order);
                entry.touch(now);
            }
            Ok(wrong)
        })
        .await
    }

    async fn begin_deletion(&self, deletion: &Deletion, now: Timestamp) -> Result<bool, Fault> {
        let now = self.times(now).of_store(now);
        self.call("begin_deletion", |store| {
            let wrong = store.wrong;
            let entry = store.accepted(&deletion.request)?;
            own(entry)?;
            if entry.status().is_open() {
                return Ok(false);
            }
            entry.end_cancelled(now, None);
            if wrong != Some(Wrong::DeletionUnmarked) {
                entry.deletion = Some(deletion.outputs);
            }
            Ok(true)
        })
        .await
    }

    async fn delete(&self, request: &RequestId) -> Result<bool, Fault> {
        self.call("delete", |store| {
            let wrong = store.wrong;
            let entry = store.accepted(request)?;
            if wrong != Some(Wrong::ForeignRequestsDeleted) {
                own(entry)?;
            }
            if entry.status().is_open() {
                return Ok(false);
            }
            store.entries.retain(|entry| entry.request.id != *request);
            Ok(true)
        })
        .await
    }
}

/// Nothing of another program is deleted.
fn own(entry: &Entry) -> Result<(), Fault> {
    let message = "another program made this request: delete it there";
    if entry.request.foreign { Err(Fault::permanent(Code::RequestState, message)) } else { Ok(()) }
}

impl Entry {
    /// The images that are corrected, with their new inputs, and the numbers of corrections that name none that may be.
    /// Where two are about one image the later one holds.
    fn corrected<'c>(&self, corrections: &'c [Correction]) -> (BTreeMap<usize, &'c str>, Vec<usize>) {
        let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
        for (ordinal, correction) in corrections.iter().enumerate() {
            let named = self.images.iter().position(|image| {
                (image.row, image.position) == (correction.row, correction.position)
                    && self.status().reopens().contains(&image.state.status)
            });
            match named {
                Some(number) => _ = found.insert(number, correction.input.as_str()),
                None => wrong.push(ordinal),
            }
        }
        (found, wrong)
    }

    fn correct(&mut self, found: &BTreeMap<usize, &str>, now: Timestamp) {
        let mut heirs = Heirs::default();
        for number in 0..self.images.len() {
            let lead = self.images[number].lead.filter(|lead| found.contains_key(lead));
            if let (Some(lead), false) = (lead, found.contains_key(&number)) {
                let lead = heirs.lead_of(lead, number);
                let image = &mut self.images[number];
                image.lead = lead;
                image.state = ImageState { follows: lead.is_some(), ..image.state };
            }
        }
        let (fingerprint, mut leads) = (Fingerprint::new(), Leads::default());
        let status = self.status();
        for (&number, &input) in found {
            let lead = leads.lead_of(number, fingerprint.of(input), input);
            let image = &mut self.images[number];
            (image.lead, image.input) = (lead, input.to_owned());
            let state = ImageState { follows: lead.is_some(), ..image.state };
            image.open(state.reopened(status, now).unwrap_or(state));
        }
    }
}
