//! At most so many requests under way to one origin, redirects included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Origins known before those that nobody asks are forgotten.
const MANY: usize = 4096;

/// Slots by origin.
#[derive(Debug)]
pub(super) struct Slots {
    per_origin: usize,
    origins: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Slots {
    pub(super) fn new(per_origin: usize) -> Self {
        Slots { per_origin, origins: Mutex::default() }
    }

    /// Waits for a slot, which is given back when dropped. Dispatch starts no more than there are, so only the target
    /// of a redirect is ever waited for.
    pub(super) async fn take(&self, origin: &str) -> OwnedSemaphorePermit {
        let slots = {
            let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
            if origins.len() >= MANY {
                origins.retain(|_, slots| {
                    slots.available_permits() < self.per_origin || Arc::strong_count(slots) > 1
                });
            }
            match origins.get(origin) {
                Some(slots) => slots.clone(),
                None => {
                    let slots = Arc::new(Semaphore::new(self.per_origin));
                    origins.insert(origin.to_owned(), slots.clone());
                    slots
                }
            }
        };
        slots.acquire_owned().await.expect("slots are never closed")
    }
}
