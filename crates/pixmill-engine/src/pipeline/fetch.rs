//! Fetch: from a source to its bytes, guarded and bounded.

mod cookies;
mod page;
mod share;
mod slots;
mod tail;
mod walk;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use url::Url;

use super::budget::{Budget, Share};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::source::{Source, decode_data};
use crate::port::clock::Clock;
use crate::port::origin::{Answer, Files, Origin};
use slots::Slots;
pub use walk::Walk;

/// How much a picture may grow before it takes another part of the budget.
const STEP: usize = 256 << 10;

/// A fetched picture, and the part of the memory budget that it holds.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// What a fetch holds that others can use while it waits.
pub(crate) trait Seat: Send {
    /// Gives it away for as long as something is waited for, and has it back then.
    fn aside<F>(&mut self, waiting: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send,
        F::Output: Send;
}

/// The stage.
pub(crate) struct Fetch {
    origin: Arc<dyn Origin>,
    files: Option<Arc<dyn Files>>,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    slots: Slots,
    max_bytes: u64,
    timeout: Duration,
}

impl Fetch {
    pub(super) fn new(ports: &super::Ports, settings: &super::Settings, budget: Arc<Budget>) -> Self {
        Fetch::over(ports.origin.clone(), ports.files.clone(), ports.clock.clone(), settings, budget)
    }

    /// Over these ports alone.
    pub(crate) fn over(
        origin: Arc<dyn Origin>,
        files: Option<Arc<dyn Files>>,
        clock: Arc<dyn Clock>,
        settings: &super::Settings,
        budget: Arc<Budget>,
    ) -> Self {
        Fetch {
            origin,
            files,
            clock,
            budget,
            slots: Slots::new(settings.per_origin),
            max_bytes: settings.max_bytes,
            timeout: settings.timeout,
        }
    }

    /// One attempt at one source. Its time-out counts what the origin takes, not what waiting for memory, or for others who
    /// are asking it, takes.
    ///
    /// # Errors
    /// `fetch.*`, `url.*` and `file.*`.
    pub(crate) async fn fetch(
        &self,
        source: &Source,
        request: &RequestId,
        seat: &mut impl Seat,
    ) -> Result<Fetched, Fault> {
        let mut left = self.timeout;
        match source {
            Source::Web(url) => self.web(url, request, seat, &mut left).await,
            Source::File(path) => self.file(path, &mut left).await,
            Source::Data(data) => self.data(data).await,
        }
    }

    /// Has the name looked up that a source is asked by first, ahead of asking: one that is never answered for holds no
    /// connection meanwhile.
    ///
    /// # Errors
    /// `fetch.dns` when that takes longer than an attempt may.
    pub(super) async fn look_up(&self, source: &Source) -> Result<(), Fault> {
        let Source::Web(url) = source else { return Ok(()) };
        tokio::select! {
            biased;
            () = self.origin.look_up(url) => Ok(()),
            () = self.clock.sleep(self.timeout) => Err(Fault::transient(
                Code::FetchDns,
                format!("no name server answered for {} in time", url.host_str().unwrap_or_default()),
            )),
        }
    }

    /// Waits for an origin as long as there is time left, and takes off what it took.
    async fn timed<T>(
        &self,
        left: &mut Duration,
        place: &str,
        asking: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let began = self.clock.instant();
        let asked = tokio::select! {
            biased;
            asked = asking => asked,
            () = self.clock.sleep(*left) => Err(Fault::transient(
                Code::FetchTimeout,
                format!("{place} did not deliver within {} s", self.timeout.as_secs_f64()),
            )),
        };
        *left = left.saturating_sub(self.clock.instant().since(began));
        asked
    }

    async fn data(&self, data: &str) -> Result<Fetched, Fault> {
        let bytes = Bytes::from(decode_data(data)?);
        if bytes.len() as u64 > self.max_bytes {
            return Err(self.too_large("the data: address"));
        }
        let share = self.budget.fetched(bytes.len() as u64).await;
        Ok(Fetched { bytes, _share: share })
    }

    async fn file(&self, path: &str, left: &mut Duration) -> Result<Fetched, Fault> {
        let Some(files) = &self.files else {
            return Err(Fault::permanent(
                Code::UrlInvalid,
                "the address lacks http:// or https:// at its beginning; the option base_url puts one before every path",
            ));
        };
        let place = "the file";
        let answer = self.timed(left, place, files.open(path)).await?;
        self.read(answer, place, left).await
    }

    async fn web(
        &self,
        url: &Url,
        request: &RequestId,
        seat: &mut impl Seat,
        left: &mut Duration,
    ) -> Result<Fetched, Fault> {
        let mut walk = Walk::from(url);
        loop {
            let hop = walk.hop();
            let origin = hop.url.origin().ascii_serialization();
            let _slot = match self.slots.try_take(&origin, request) {
                Some(slot) => slot,
                None => seat.aside(self.slots.take(&origin, request)).await,
            };
            let answer = self.timed(left, &origin, self.origin.get(&hop)).await?;
            if walk.arrives(&answer)? {
                let (status, place) = (answer.status, origin.as_str());
                let fetched = self.read(answer, place, left).await?;
                return match page::instead_of_a_picture(&fetched.bytes, walk.url()) {
                    Some(fault) if status != 202 => Err(fault),
                    None if status != 202 || !fetched.bytes.is_empty() => Ok(fetched),
                    _ => {
                        Err(Fault::transient(Code::FetchStatus, format!("{place} has not made it yet (202)")))
                    }
                };
            }
        }
    }

    /// Reads a body to its end, holding a part of the memory budget for it.
    async fn read(&self, mut answer: Answer, place: &str, left: &mut Duration) -> Result<Fetched, Fault> {
        let told = answer.content_length;
        if told.is_some_and(|length| length > self.max_bytes) {
            return Err(self.too_large(place));
        }
        let mut share =
            self.budget.fetched(told.unwrap_or(STEP as u64).min(STEP as u64) + answer.unpacking_bytes).await;
        let mut bytes = match self.timed(left, place, answer.body.chunk()).await? {
            Some(whole) if told == Some(whole.len() as u64) && whole.len() as u64 <= self.max_bytes => {
                let more = (whole.len() as u64).saturating_sub(STEP as u64);
                self.budget.grow(&mut share, more).await;
                return Ok(Fetched { bytes: whole, _share: share });
            }
            first => BytesMut::from(first.unwrap_or_default()),
        };
        // Room that nothing has been written to costs no memory.
        let length = told.map_or(STEP, |length| usize::try_from(length).unwrap_or(usize::MAX));
        bytes.reserve(length.saturating_sub(bytes.len()));
        let mut reserved = length.min(STEP);
        while bytes.len() > reserved {
            self.budget.grow(&mut share, STEP as u64).await;
            reserved += STEP;
        }
        loop {
            if bytes.len() as u64 > self.max_bytes {
                return Err(self.too_large(place));
            }
            let chunk = match self.timed(left, place, answer.body.chunk()).await {
                Ok(Some(chunk)) => chunk,
                // Some servers promise more than they have: a file that is at its own end lacks nothing.
                Err(fault) if fault.code == Code::FetchTruncated && tail::is_whole(&bytes) => break,
                Ok(None) => break,
                Err(fault) => return Err(fault),
            };
            while bytes.len() + chunk.len() > reserved {
                self.budget.grow(&mut share, STEP as u64).await;
                reserved += STEP;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched { bytes: bytes.freeze(), _share: share })
    }

    fn too_large(&self, place: &str) -> Fault {
        Fault::permanent(
            Code::FetchTooLarge,
            format!("{place} sends more than the allowed {} bytes", self.max_bytes),
        )
    }
}
