//! What other programs write into records that they share with pixmill: whole requests, more images of them, ends.

use std::time::Duration;

use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Failure, ImageStatus, Output};
use pixmill_engine::model::request::{DEFAULT_TENANT, NewRequest, RequestStatus};
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;

use super::entry::Ending;
use super::{Entry, Store};

/// A foreign request that stood still for so long is fed by pixmill, too: its jobs may be lost.
const STILL: Duration = Duration::from_secs(60);

impl Store {
    /// A program writes a request with some images, and feeds it itself.
    pub fn foreign_request(&mut self, id: &RequestId, inputs: &[String], now: Timestamp) {
        let new = NewRequest {
            id: id.clone(),
            tenant: DEFAULT_TENANT.to_owned(),
            header: String::new(),
            catalogue: String::new(),
            traceparent: None,
        };
        let mut entry = Entry::new(new, now);
        entry.request.foreign = true;
        entry.request.status = RequestStatus::Pending;
        self.entries.push(entry);
        self.foreign_images(id, inputs, now);
    }

    /// A program writes more images of a request of its own.
    pub fn foreign_images(&mut self, id: &RequestId, inputs: &[String], now: Timestamp) {
        let Ok(entry) = self.entry(id) else { return };
        for input in inputs {
            let image = NewImage { input: input.clone(), fingerprint: 0 };
            entry.append(NewRow {
                cells: String::new(),
                name: String::new(),
                images: vec![image],
                error: None,
            });
        }
        entry.request.rows = entry.images.len() as u64;
        entry.touch(now);
    }

    /// A worker of another kind writes the end of an image, whoever holds it; whether it was open.
    pub fn foreign_end(&mut self, image: &ImageId, end: Result<Output, Failure>, now: Timestamp) -> bool {
        let Some((place, number)) = self.place(image) else { return false };
        let entry = &mut self.entries[place];
        let was = entry.images[number].state;
        if was.status.is_end() {
            return false;
        }
        let status = if end.is_ok() { ImageStatus::Completed } else { ImageStatus::Failed };
        let ending = match &end {
            Ok(output) => Ending::Output(output),
            Err(failure) => Ending::Failure(failure),
        };
        let at = entry.touch(now);
        entry.end(number, ImageState { status, lease: None, due: None, ..was }, ending, at, None);
        true
    }

    /// A program deletes a request of its own, whatever is under way of it.
    pub fn foreign_removal(&mut self, id: &RequestId) {
        self.entries.retain(|entry| entry.request.id != *id || !entry.request.foreign);
    }
}

impl Entry {
    /// Whether pixmill feeds its images.
    pub(super) fn is_fed(&self) -> bool {
        !self.request.foreign || self.adopted
    }

    /// Takes a foreign request over that stands still.
    pub(super) fn adopt(&mut self, order: i64, now: Timestamp) -> bool {
        let still = now.since(self.request.updated) >= STILL;
        if self.is_fed() || !self.status().is_open() || !still {
            return false;
        }
        (self.adopted, self.order) = (true, order);
        true
    }

    /// Opens a foreign request again that was completed before all of it had appeared.
    pub(super) fn reopen_grown(&mut self, order: i64, now: Timestamp) -> bool {
        let grown = self.request.foreign
            && self.status() == RequestStatus::Completed
            && !self.progress().is_complete();
        if grown {
            self.next_round(order);
            self.touch(now);
        }
        grown
    }
}
