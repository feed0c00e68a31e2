//! Asks origins for the beginning of pictures, under the same guard and politeness as a run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pixmill_codec::{ErrorKind, Limits, Recipe};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::source::Source;
use pixmill_engine::pipeline::Walk;
use pixmill_engine::port::origin::{Answer, Files, Origin};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use url::Url;

use super::survey::Target;

/// Bytes of a picture that are read: enough for any header but those that stand behind large profiles.
const ENOUGH: usize = 64 << 10;

/// Probes that wait or run; more are not read from the catalogue.
const WAITING: usize = 4096;

/// An origin that failed so often in a row is asked no more.
const GIVEN_UP: u32 = 10;

/// What a probe may take.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) per_origin: usize,
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) limits: Limits,
    pub(crate) recipe: Recipe,
}

/// Probes over ports.
pub(crate) struct Prober {
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) files: Option<Arc<dyn Files>>,
    pub(crate) settings: Settings,
    /// Only whether local files are there is looked at.
    pub(crate) offline: bool,
}

/// What a probe found.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) line: u64,
    pub(crate) position: usize,
    pub(crate) origin: String,
    /// How long it took to the first bytes and a little more.
    pub(crate) took: Duration,
    pub(crate) found: Result<Found, Fault>,
}

/// What a picture's beginning tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its size in bytes, where the origin told.
    pub(crate) bytes: Option<u64>,
    /// Its pixels, where the header stood in the beginning.
    pub(crate) pixels: Option<u64>,
}

/// One origin, as probes share it.
struct Lane {
    under_way: Semaphore,
    failed_in_a_row: AtomicU32,
}

impl Prober {
    /// Probes what comes until no more comes, and hands over what was found in the order in which it was.
    pub(crate) async fn run(self, mut targets: mpsc::Receiver<Target>, found: mpsc::Sender<Probed>) {
        let this = Arc::new(self);
        let all = Arc::new(Semaphore::new(this.settings.connections));
        let mut lanes: HashMap<String, Arc<Lane>> = HashMap::new();
        let mut probes = JoinSet::new();
        while let Some(target) = targets.recv().await {
            while probes.len() >= WAITING {
                probes.join_next().await;
            }
            let lane = lanes.entry(target.source.origin()).or_insert_with(|| {
                let under_way = Semaphore::new(this.settings.per_origin);
                Arc::new(Lane { under_way, failed_in_a_row: AtomicU32::new(0) })
            });
            let (this, lane, all, found) = (this.clone(), lane.clone(), all.clone(), found.clone());
            probes.spawn(async move {
                // Neither is ever closed.
                let (Ok(_one), Ok(_all)) = (lane.under_way.acquire().await, all.acquire().await) else {
                    return;
                };
                if lane.failed_in_a_row.load(Ordering::Relaxed) < GIVEN_UP {
                    let probed = this.probe(target).await;
                    lane.judge(&probed.found);
                    // Whoever listened has been told to stop.
                    let _ = found.send(probed).await;
                }
            });
        }
        while probes.join_next().await.is_some() {}
    }

    async fn probe(&self, target: Target) -> Probed {
        let began = Instant::now();
        let origin = target.source.origin();
        let timeout = self.settings.timeout;
        let found = tokio::time::timeout(timeout, self.look(&target.source)).await.unwrap_or_else(|_| {
            Err(Fault::transient(
                Code::FetchTimeout,
                format!("{origin} did not deliver within {} s", timeout.as_secs_f64()),
            ))
        });
        Probed { line: target.line, position: target.position, origin, took: began.elapsed(), found }
    }

    async fn look(&self, source: &Source) -> Result<Found, Fault> {
        let (answer, place) = match (source, &self.files) {
            (Source::Web(url), _) => (self.ask(url).await?, source.origin()),
            (Source::File(path), Some(files)) if self.offline => {
                let answer = files.open(path).await?;
                return Ok(Found { bytes: answer.content_length, pixels: None });
            }
            (Source::File(path), Some(files)) => (files.open(path).await?, "the file".to_owned()),
            (Source::File(_), None) | (Source::Data(_), _) => return Ok(Found::default()),
        };
        self.read(answer, &place).await
    }

    async fn ask(&self, url: &Url) -> Result<Answer, Fault> {
        let mut walk = Walk::from(url);
        loop {
            let answer = self.origin.get(&walk.hop()).await?;
            if walk.arrives(&answer)? {
                return Ok(answer);
            }
        }
    }

    async fn read(&self, mut answer: Answer, place: &str) -> Result<Found, Fault> {
        let most = self.settings.max_bytes;
        if answer.content_length.is_some_and(|bytes| bytes > most) {
            return Err(Fault::permanent(
                Code::FetchTooLarge,
                format!("{place} sends more than the allowed {most} bytes"),
            ));
        }
        let mut beginning = BytesMut::new();
        let mut whole = false;
        while beginning.len() < ENOUGH && !whole {
            match answer.body.chunk().await? {
                Some(chunk) => beginning.extend_from_slice(&chunk),
                None => whole = true,
            }
        }
        let bytes = answer.content_length.or(whole.then_some(beginning.len() as u64));
        let whole = whole || bytes == Some(beginning.len() as u64);
        Ok(Found { bytes, pixels: self.pixels(&beginning, whole)? })
    }

    /// The pixels that the beginning of a picture tells of. What may be mended by the rest is not held against it.
    fn pixels(&self, beginning: &[u8], whole: bool) -> Result<Option<u64>, Fault> {
        match pixmill_codec::probe(beginning, &self.settings.recipe, &self.settings.limits) {
            Ok(probe) => Ok(Some(u64::from(probe.width) * u64::from(probe.height))),
            Err(error)
                if whole || matches!(error.kind, ErrorKind::Unsupported | ErrorKind::TooManyPixels) =>
            {
                Err(error.into())
            }
            Err(_) => Ok(None),
        }
    }
}

impl Lane {
    fn judge(&self, found: &Result<Found, Fault>) {
        match found {
            Err(fault) if fault.transient => {
                self.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.failed_in_a_row.store(0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
