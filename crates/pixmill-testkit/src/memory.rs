//! Records in memory: what tests stand on that turn time and break things. Every rule is the engine's; here is only where
//! things are kept.

mod amend;
mod backlog;
mod boards;
mod directory;
mod entry;
mod foreign;
mod intake;
mod outbox;
mod report;
mod succession;
#[cfg(test)]
mod tests;
mod upkeep;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Telling;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, Settlement};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Notice};
use pixmill_engine::port::records::page::{Bytes, Page};
use pixmill_engine::port::records::unknown;

pub use entry::{Entry, Event, Image};
pub use wrong::Wrong;

/// All that is kept.
#[derive(Debug, Default)]
pub struct Store {
    /// Requests in the order in which their intakes began.
    pub entries: Vec<Entry>,
    /// The last place in the order in which requests were opened.
    opened: i64,
    stale: BTreeSet<String>,
    boards: BTreeMap<(Board, String), Notice>,
    /// A rule that does not hold here.
    pub wrong: Option<Wrong>,
}

/// The way to a store, which may be cut or slow.
#[async_trait]
pub trait Link: Send + Sync {
    /// The store's own time, where several processes share it that may disagree about it.
    fn time(&self) -> Option<Timestamp> {
        None
    }

    /// Before a call reaches the store.
    ///
    /// # Errors
    /// Nothing has happened then.
    async fn there(&self, _call: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    /// Ends are about to be written.
    fn settling(&self, _batch: &[Settlement], _store: &Store) {}

    /// Ends were written, and these won.
    fn settled(&self, _batch: &[Settlement], _won: &[bool]) {}

    /// What came of telling an event is about to be written.
    fn telling(&self, _telling: &Telling, _store: &Store) {}

    /// The store has changed by a call, or has not.
    fn done(&self, _call: &'static str, _store: &Store) {}

    /// Before the answer reaches the caller.
    ///
    /// # Errors
    /// It has happened all the same.
    async fn back(&self, _call: &'static str) -> Result<(), Fault> {
        Ok(())
    }
}

/// A way that is always open.
struct Open;

impl Link for Open {}

/// A store as one process reaches it.
pub struct Memory {
    store: Arc<Mutex<Store>>,
    link: Arc<dyn Link>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory::over(Arc::default(), Arc::new(Open))
    }
}

impl Memory {
    /// A store that is reached over a link.
    pub fn over(store: Arc<Mutex<Store>>, link: Arc<dyn Link>) -> Self {
        Memory { store, link }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// A caller's times in the store's own.
    fn times(&self, now: Timestamp) -> Times {
        let own = self.link.time().filter(|_| self.store().wrong != Some(Wrong::CallersClock));
        Times { ahead: own.map_or(0, |own| own.0 - now.0) }
    }

    async fn call<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Store) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault>
    where
        T: Send,
    {
        self.link.there(name).await?;
        let worked = {
            let mut store = self.store();
            let worked = work(&mut store);
            self.link.done(name, &store);
            worked
        };
        self.link.back(name).await?;
        worked
    }
}

/// By how much the store's time is ahead of a caller's, milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    ahead: i64,
}

impl Times {
    fn of_store(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0.saturating_add(self.ahead))
    }

    fn of_caller(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0.saturating_sub(self.ahead))
    }

    fn lease(self, lease: Lease) -> Lease {
        Lease { until: self.of_store(lease.until), ..lease }
    }
}

/// So many items, or so many bytes of them.
fn page<T: Bytes>(items: impl Iterator<Item = T>, most: usize) -> Vec<T> {
    let (mut page, mut items) = (Page::new(most), items);
    while !page.is_full()
        && let Some(item) = items.next()
    {
        page.push(item);
    }
    page.into_items()
}

/// Locks a store, whatever became of whoever held it before.
pub fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// An empty one in which a rule may be wrong.
    pub fn new(wrong: Option<Wrong>) -> Self {
        Store { wrong, ..Store::default() }
    }

    /// A request by its id.
    pub fn find(&self, id: &RequestId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.request.id == *id)
    }

    /// How an image stands; none for one that is unknown.
    pub fn status_of(&self, image: &ImageId) -> Option<ImageStatus> {
        self.place(image).map(|(entry, number)| self.entries[entry].images[number].state.status)
    }

    fn entry(&mut self, id: &RequestId) -> Result<&mut Entry, Fault> {
        self.entries.iter_mut().find(|entry| entry.request.id == *id).ok_or_else(|| unknown(id))
    }

    /// A request that is not being taken in.
    fn accepted(&mut self, id: &RequestId) -> Result<&mut Entry, Fault> {
        self.entry(id).ok().filter(|entry| entry.is_accepted()).ok_or_else(|| unknown(id))
    }

    /// Where an image is: the place of its request, and its own in that.
    fn place(&self, image: &ImageId) -> Option<(usize, usize)> {
        let (request, number) = image.as_str().rsplit_once('/')?;
        let number = number.parse().ok()?;
        let entry = self.entries.iter().position(|entry| entry.request.id.as_str() == request)?;
        self.entries[entry].images.get(number).map(|_| (entry, number))
    }

    fn next_opened(&mut self) -> i64 {
        self.opened += 1;
        self.opened
    }
}

/// An image's id, which sorts by its number in its request.
pub fn image_id(request: &RequestId, number: usize) -> ImageId {
    ImageId::from(format!("{request}/{number:08}"))
}
