//! Whether anybody works while work waits: told on every page.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pixmill_engine::fault::Fault;

use super::Api;
use crate::presence::{self, Heard};

/// How long what was found holds.
const FRESH: Duration = Duration::from_secs(2);

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Vigil(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    at: Option<Instant>,
    stranded: u64,
}

impl Vigil {
    /// Images that wait while nobody works, as it was found last.
    pub(super) fn stranded(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stranded
    }

    /// Looks again, unless that was done just now; one looks at a time. While records are away nothing new is known.
    pub(super) async fn look(&self, api: &Api) {
        {
            let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if found.at.is_some_and(|at| at.elapsed() < FRESH) {
                return;
            }
            found.at = Some(Instant::now());
        }
        if let Ok(stranded) = stranded(api).await {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).stranded = stranded;
        }
    }
}

async fn stranded(api: &Api) -> Result<u64, Fault> {
    let alive = presence::alive(&*api.on.ledger, api.on.clock.wall()).await?;
    // Images are counted only where that is to be told.
    if somebody_works(&alive) {
        return Ok(0);
    }
    let (_, images) = api.on.ledger.census().await?;
    Ok(images.pending + images.processing)
}

/// Whether any of the processes that are alive works on images.
pub(super) fn somebody_works(alive: &[Heard]) -> bool {
    alive.iter().any(|heard| heard.presence.works())
}
