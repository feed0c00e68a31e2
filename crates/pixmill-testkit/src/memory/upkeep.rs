//! Mending what crashes leave, and what people ask for: retrying and cancelling.

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::Rescue;
use pixmill_engine::port::records::{Deletion, RETIRED, Upkeep, Void};

use super::entry::Ending;
use super::{Entry, Memory, Store, Wrong};

#[async_trait]
impl Upkeep for Memory {
    async fn reap(&self, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        let now = self.times(now).of_store(now);
        self.call("reap", |store| {
            let wrong = store.wrong;
            if wrong == Some(Wrong::LeasesNeverExpire) && void == Void::Expired {
                return Ok(0);
            }
            let most = if wrong == Some(Wrong::AttemptsWithoutEnd) { u32::MAX } else { attempts };
            Ok(store.entries.iter_mut().map(|entry| entry.rescue(void, most, now, wrong)).sum())
        })
        .await
    }

    async fn reconcile(&self, now: Timestamp) -> Result<u64, Fault> {
        let now = self.times(now).of_store(now);
        self.call("reconcile", |store| {
            let (mut mended, wrong) = (0, store.wrong);
            for place in 0..store.entries.len() {
                let order = store.next_opened();
                let entry = &mut store.entries[place];
                mended += u64::from(entry.end_cancelled(now, None));
                mended += u64::from(entry.reopen_grown(order, now));
                if wrong != Some(Wrong::ForeignEndsUnseen) {
                    mended += u64::from(entry.complete_if_over(now, None));
                }
                mended += u64::from(entry.adopt(order, now));
            }
            Ok(mended)
        })
        .await
    }

    async fn forget_intakes(&self, before: Timestamp, now: Timestamp) -> Result<u64, Fault> {
        let before = self.times(now).of_store(before);
        self.call("forget_intakes", |store| {
            let all = store.entries.len();
            store.entries.retain(|entry| entry.is_accepted() || entry.request.updated > before);
            Ok((all - store.entries.len()) as u64)
        })
        .await
    }

    async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        self.call("retire", |store| {
            let mut retired = Vec::new();
            let foreign = store.wrong == Some(Wrong::ForeignRequestsDeleted);
            let may_go = |entry: &&mut Entry| entry.may_retire(before) && (foreign || !entry.request.foreign);
            for entry in store.entries.iter_mut().filter(may_go).take(most) {
                entry.retired = true;
                retired.push(entry.request.id.clone());
            }
            Ok(retired)
        })
        .await
    }

    async fn deletions(&self, most: usize) -> Result<Vec<Deletion>, Fault> {
        self.call("deletions", |store| {
            let begun = store.entries.iter().filter_map(|entry| {
                Some(Deletion { request: entry.request.id.clone(), outputs: entry.deletion? })
            });
            Ok(begun.take(most).collect())
        })
        .await
    }

    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        let now = self.times(now).of_store(now);
        self.call("retry", |store| store.retry(request, now)).await
    }

    async fn cancel(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        let now = self.times(now).of_store(now);
        self.call("cancel", |store| {
            let wrong = store.wrong;
            let entry = store.accepted(request)?;
            if !entry.status().is_open() {
                return Ok(false);
            }
            entry.request.status = RequestStatus::Cancelled;
            entry.end_cancelled(now, wrong);
            Ok(true)
        })
        .await
    }
}

impl Store {
    /// An accepted request that may be opened again; what was left of its cancelling is done.
    pub(super) fn reopenable(&mut self, request: &RequestId, now: Timestamp) -> Result<&mut Entry, Fault> {
        let entry = self.accepted(request)?;
        if entry.is_retired() {
            return Err(Fault::permanent(Code::RequestState, RETIRED));
        }
        entry.end_cancelled(now, None);
        Ok(entry)
    }

    fn retry(&mut self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        let (order, wrong) = (self.next_opened(), self.wrong);
        let entry = self.reopenable(request, now)?;
        let status = entry.status();
        let mut opened = 0;
        for image in &mut entry.images {
            let mut reopened = image.state.reopened(status, now);
            if wrong == Some(Wrong::RetryReopensCompleted) {
                reopened = reopened.or_else(|| image.state.remade(now));
            }
            if let Some(state) = reopened {
                image.open(state);
                opened += 1;
            }
        }
        if opened > 0 {
            let round = entry.request.round;
            entry.next_round(order);
            if wrong == Some(Wrong::RetryStaysInItsRound) {
                entry.request.round = round;
            }
            entry.touch(now);
        }
        Ok(opened)
    }
}

impl Entry {
    fn rescue(&mut self, void: Void, most: u32, now: Timestamp, wrong: Option<Wrong>) -> u64 {
        let (mut touched, status) = (0, self.status());
        for number in 0..self.images.len() {
            let Some(rescue) = self.images[number].state.rescued(status, void, most, now) else { continue };
            touched += 1;
            match rescue {
                Rescue::PutBack(state) => self.images[number].state = state,
                Rescue::Exhausted(state, failure) => {
                    let at = self.touch(now);
                    self.end(number, state, Ending::Failure(&failure), at, wrong);
                }
            }
        }
        if touched > 0 {
            self.touch(now);
            self.complete_if_over(now, wrong);
        }
        touched
    }

    /// Ends what is left of a cancelled request; whether anything was.
    pub(super) fn end_cancelled(&mut self, now: Timestamp, wrong: Option<Wrong>) -> bool {
        if self.status() != RequestStatus::Cancelled || self.progress().is_complete() {
            return false;
        }
        let at = self.touch(now);
        for image in &mut self.images {
            if wrong == Some(Wrong::CancelLeavesHeldImages) && image.state.status == ImageStatus::Processing {
                continue;
            }
            if let Some(state) = image.state.cancelled() {
                image.end(state, Ending::Cancelled, at);
            }
        }
        true
    }

    fn may_retire(&self, before: Timestamp) -> bool {
        let ended = match self.status() {
            RequestStatus::Completed => self.request.completed,
            RequestStatus::Cancelled => Some(self.request.updated),
            _ => None,
        };
        self.deletion.is_none()
            && ended.is_some_and(|ended| ended <= before)
            && self.events.iter().all(|event| event.due.is_none())
    }
}
