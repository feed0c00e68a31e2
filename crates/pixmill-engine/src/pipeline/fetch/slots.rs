//! At most so many requests under way to one origin, redirects included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::fair::{Fair, Permit};
use crate::model::id::RequestId;

/// Origins known before those that nobody asks are forgotten.
const MANY: usize = 4096;

/// Slots by origin.
#[derive(Debug)]
pub(super) struct Slots {
    per_origin: usize,
    origins: Mutex<HashMap<String, Arc<Fair>>>,
}

impl Slots {
    pub(super) fn new(per_origin: usize) -> Self {
        Slots { per_origin, origins: Mutex::default() }
    }

    /// A slot, if there is one now. Dispatch starts no more than there are, so only the target of a redirect is ever
    /// waited for.
    pub(super) fn try_take(&self, origin: &str, request: &RequestId) -> Option<Permit> {
        self.of(origin).try_take(request)
    }

    /// Waits for one. Requests take turns.
    pub(super) async fn take(&self, origin: &str, request: &RequestId) -> Permit {
        self.of(origin).take(request).await
    }

    fn of(&self, origin: &str) -> Arc<Fair> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() >= MANY {
            origins.retain(|_, slots| slots.free() < self.per_origin || Arc::strong_count(slots) > 1);
        }
        if let Some(slots) = origins.get(origin) {
            return slots.clone();
        }
        let slots = Arc::new(Fair::new(self.per_origin, false));
        origins.insert(origin.to_owned(), slots.clone());
        slots
    }
}
