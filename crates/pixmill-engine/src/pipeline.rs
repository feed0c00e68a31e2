//! The way of an image, stage by stage, in the order of their names.
//!
//! catalogue → [`accept`] → [`dispatch`] → [`fetch`] → [`recompress`] → [`save`] → [`settle`] → [`webhook`]

pub mod accept;
pub(crate) mod budget;
pub mod dispatch;
mod fair;
pub(crate) mod fetch;
mod recompress;
pub(crate) mod save;
mod settle;
pub mod webhook;

use std::sync::Arc;
use std::time::Duration;

use pixmill_codec::Limits;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::{Blame, Fault};
use crate::model::id::{ImageId, RequestId};
use crate::model::image::ImageStatus;
use crate::port::clock::{Clock, Instant};
use crate::port::origin::{Files, Origin};
use crate::port::queue::Queue;
use crate::port::records::Records;
use crate::port::sandbox::Sandbox;
use crate::port::storage::Storage;
use crate::port::traces::Traces;
pub use dispatch::{HostRule, HostRules, Look, OriginAsked, OriginNow, Rules, host_of};
pub use fetch::Walk;
pub use save::FOLDER as OUTPUTS_FOLDER;

/// The stages, as the files of this folder name them.
pub const STAGES: [&str; 7] = ["accept", "dispatch", "fetch", "recompress", "save", "settle", "webhook"];

/// What the pipeline stands on.
#[derive(Clone)]
pub struct Ports {
    /// The only truth.
    pub records: Arc<dyn Records>,
    /// Delivers image ids.
    pub queue: Arc<dyn Queue>,
    /// Keeps outputs.
    pub storage: Arc<dyn Storage>,
    /// Runs the codec.
    pub sandbox: Arc<dyn Sandbox>,
    /// Answers for URLs.
    pub origin: Arc<dyn Origin>,
    /// Answers for paths; `None` where paths are not accepted.
    pub files: Option<Arc<dyn Files>>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
    /// Is told of spans.
    pub traces: Arc<dyn Traces>,
}

/// What a shared queue is fed from and by.
#[derive(Clone)]
pub struct Supply {
    /// The only truth.
    pub records: Arc<dyn Records>,
    /// Delivers image ids.
    pub queue: Arc<dyn Queue>,
    /// Tells and passes time.
    pub clock: Arc<dyn Clock>,
}

impl From<&Ports> for Supply {
    fn from(ports: &Ports) -> Self {
        Supply { records: ports.records.clone(), queue: ports.queue.clone(), clock: ports.clock.clone() }
    }
}

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most fetches under way; where there is more than one request, of each, and a seventh more in all.
    pub connections: usize,
    /// Most requests under way to one origin.
    pub per_origin: usize,
    /// Bytes that fetched pictures and decoded pixels may take together.
    pub memory_bytes: u64,
    /// Bounds on a picture.
    pub limits: Limits,
    /// Most bytes of a source.
    pub max_bytes: u64,
    /// One attempt at fetching, body included.
    pub timeout: Duration,
    /// Most attempts at an image, crashes included.
    pub attempts: u32,
    /// The longest Retry-After that is honoured.
    pub longest_retry_after: Duration,
    /// How long a claim holds unless it is renewed, which happens at a third of it.
    pub lease: Duration,
}

/// Which images to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of one request, until it has ended. Its outputs have a folder to themselves.
    Request(RequestId),
    /// All there are and will be, until stopped. Records that can't be reached are waited for.
    All,
}

/// One image's end, as it is shown to whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whose it is.
    pub request: RequestId,
    /// Which image.
    pub image: ImageId,
    /// Row, from 0.
    pub row: u64,
    /// Position in the row, from 0.
    pub position: u32,
    /// Scheme, host and port that were asked.
    pub origin: String,
    /// `completed` or `failed`.
    pub status: ImageStatus,
    /// Why, when failed.
    pub code: Option<Code>,
    /// Bytes fetched.
    pub bytes_before: u64,
    /// Bytes stored.
    pub bytes_after: u64,
    /// Attempts it took.
    pub attempt: u32,
    /// How long its last fetch took.
    pub fetching: Duration,
}

/// What was learnt of an origin's pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// Scheme, host and port.
    pub origin: String,
    /// Requests a second that it is asked for at most; none where it is not limited any more.
    pub per_second: Option<f64>,
    /// Requests that it refused as too many.
    pub refusals: u64,
}

/// What came of an event's turn to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The receiver heard it.
    Heard,
    /// It did not, and the event comes back.
    InVain,
    /// It did not, and the event does not come back.
    GivenUp,
}

/// Watches images on their way, and end, after their ends are durable. Calls come from any thread and must be brief.
pub trait Watcher: Send + Sync {
    /// An image ended.
    fn ended(&self, ended: Ended);

    /// Something came into a stage, one of [`STAGES`].
    fn entered(&self, _stage: &'static str) {}

    /// It left the stage, done or not, after so long.
    fn left(&self, _stage: &'static str, _took: Duration) {}

    /// So many origins are left alone for a while.
    fn origins_open(&self, _origins: usize) {}

    /// The webhook stage made a try.
    fn told(&self, _told: Told) {}

    /// The process works images off from now on, or no more.
    fn works(&self, _works: bool) {}

    /// An origin that refuses too many requests was asked, and this is known of it now.
    fn learnt(&self, _learnt: Learnt) {}

    /// An origin was asked.
    fn asked(&self, _asked: OriginAsked<'_>) {}

    /// How all stands can be had now, as it can every second.
    fn stands(&self, _look: &dyn Fn() -> Look) {}
}

/// Somebody's stay in a stage, over when this is dropped: also where whoever waited was stopped.
pub(crate) struct Stay<'p> {
    watcher: &'p dyn Watcher,
    clock: &'p dyn Clock,
    stage: &'static str,
    since: Instant,
}

impl<'p> Stay<'p> {
    pub(crate) fn begin(watcher: &'p dyn Watcher, clock: &'p dyn Clock, stage: &'static str) -> Self {
        watcher.entered(stage);
        Stay { watcher, clock, stage, since: clock.instant() }
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.watcher.left(self.stage, self.clock.instant().since(self.since));
    }
}

/// The stages from dispatch to settle, over their ports.
pub struct Pipeline {
    ports: Ports,
    settings: Settings,
    watcher: Arc<dyn Watcher>,
    rules: Arc<HostRules>,
    completed: Arc<Notify>,
}

impl Pipeline {
    /// A pipeline that has not begun.
    pub fn new(ports: Ports, settings: Settings, watcher: Arc<dyn Watcher>) -> Self {
        Pipeline { ports, settings, watcher, rules: Arc::default(), completed: Arc::default() }
    }

    /// One that obeys what operators want of hosts.
    pub fn under(self, rules: Arc<HostRules>) -> Self {
        Pipeline { rules, ..self }
    }

    /// Is notified when a request was completed here, so that its event need not wait to be looked for.
    pub fn completed(&self) -> Arc<Notify> {
        self.completed.clone()
    }

    /// Works until the scope has ended or `stop` is cancelled; what was under way then is finished or handed back.
    ///
    /// # Errors
    /// What no image can be blamed for: `disk.full`, `disk.read_only`, `backend.unavailable`. Nothing is lost by it.
    pub async fn work(&self, scope: Scope, stop: CancellationToken) -> Result<(), Fault> {
        let stop = stop.child_token();
        let (settler, settling) = settle::start(&self.ports, &scope, self.completed.clone(), stop.clone());
        let worked = {
            let worker = Arc::new(dispatch::Worker::new(
                self.ports.clone(),
                self.settings.clone(),
                settler,
                dispatch::Seen { watcher: self.watcher.clone(), rules: self.rules.clone() },
                &scope,
                stop.clone(),
            ));
            dispatch::run(worker, scope).await
        };
        // The worker is gone and its settler with it, so the settle stage ends once it has written all it was given.
        let settled = settling.await.unwrap_or_else(|broken| {
            let message = format!("the settle stage broke off: {broken}");
            Err(Fault::transient(Code::BackendUnavailable, message).of(Blame::Backend))
        });
        settled.and(worked)
    }
}
