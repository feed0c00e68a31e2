//! A request: its states, its progress, and when it is complete.

use pixmill_codec::Recipe;

use crate::model::id::RequestId;
use crate::model::image::ImageStatus;
use crate::model::time::Timestamp;
use crate::model::trace::Traceparent;

/// Where a request stands. `receiving → pending → processing → completed | cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// Its rows are being written; nobody sees it yet.
    Receiving,
    /// Accepted; no image has been claimed.
    Pending,
    /// At least one image has been claimed.
    Processing,
    /// Every image has ended.
    Completed,
    /// Cancelled; its images have ended or read as cancelled.
    Cancelled,
}

impl RequestStatus {
    /// Every status, in the order of a request's life.
    pub const ALL: [RequestStatus; 5] = [
        RequestStatus::Receiving,
        RequestStatus::Pending,
        RequestStatus::Processing,
        RequestStatus::Completed,
        RequestStatus::Cancelled,
    ];

    /// As written in records and APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestStatus::Receiving => "receiving",
            RequestStatus::Pending => "pending",
            RequestStatus::Processing => "processing",
            RequestStatus::Completed => "completed",
            RequestStatus::Cancelled => "cancelled",
        }
    }

    /// Whether its images may be fed to workers.
    pub fn is_open(self) -> bool {
        matches!(self, RequestStatus::Pending | RequestStatus::Processing)
    }

    /// Whether a request may go from here to there.
    pub fn may_become(self, next: RequestStatus) -> bool {
        use RequestStatus::*;
        match (self, next) {
            (Receiving, Pending) => true,
            (Pending, Processing | Completed | Cancelled) => true,
            (Processing, Completed | Cancelled) => true,
            (Completed | Cancelled, Pending) => true, // explicit retry only, which raises the round
            _ => false,
        }
    }

    /// Ends of its images that a retry re-opens.
    pub fn reopens(self) -> &'static [ImageStatus] {
        match self {
            RequestStatus::Cancelled => &[ImageStatus::Failed, ImageStatus::Cancelled],
            _ => &[ImageStatus::Failed],
        }
    }

    /// Where it stands once images of it were re-opened.
    pub fn reopened(self) -> RequestStatus {
        if self.is_open() { self } else { RequestStatus::Pending }
    }

    /// Where it stands once an image of it was claimed.
    pub fn begun(self) -> RequestStatus {
        if self == RequestStatus::Pending { RequestStatus::Processing } else { self }
    }

    /// Whether it is completed by what its images are.
    pub fn is_over(self, progress: &Progress) -> bool {
        self.is_open() && progress.is_complete()
    }

    /// What one of its images is shown as: until cancelling has reached them all, those that are left read as cancelled.
    pub fn shows(self, image: ImageStatus) -> ImageStatus {
        if self == RequestStatus::Cancelled && !image.is_end() { ImageStatus::Cancelled } else { image }
    }
}

/// The time of a change to a request: later than whatever was written of it before, even where the clock stands still or
/// two processes disagree about it.
pub fn change_time(last: Timestamp, now: Timestamp) -> Timestamp {
    now.max(Timestamp(last.0.saturating_add(1)))
}

/// Whose requests they are that nobody else's key has handed in.
pub const DEFAULT_TENANT: &str = "default";

/// What an intake begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRequest {
    /// Its id.
    pub id: RequestId,
    /// Whose it is.
    pub tenant: String,
    /// The header as one CSV record, without line end.
    pub header: String,
    /// What the catalogue is called: its path for `run`, its file name for an upload.
    pub catalogue: String,
    /// Where its trace goes on.
    pub traceparent: Option<Traceparent>,
}

/// What is asked of a request. An upload may say it after its catalogue, so an intake is told at its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// What to do to each image.
    pub recipe: Recipe,
    /// Who is to be told when it is completed, if not who the server tells of all.
    pub webhook: Option<String>,
}

/// A request as records know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Whose it is.
    pub tenant: String,
    /// Another program made it: it is done, but not deleted.
    pub foreign: bool,
    /// Where it stands.
    pub status: RequestStatus,
    /// Raised by each retry, from 1.
    pub round: u32,
    /// What to do to each image.
    pub recipe: Recipe,
    /// The header as one CSV record, without line end.
    pub header: String,
    /// What the catalogue is called.
    pub catalogue: String,
    /// Who is to be told when it is completed, if not who the server tells of all.
    pub webhook: Option<String>,
    /// Where its trace goes on.
    pub traceparent: Option<Traceparent>,
    /// SHA-256 of the catalogue's bytes, hexadecimal, once it is taken in.
    pub digest: String,
    /// How the catalogue was read, as [`crate::catalogue::Account`] writes it; empty where there was none to read.
    pub reading: String,
    /// Rows that can be used.
    pub rows: u64,
    /// Rows that can't.
    pub row_errors: u64,
    /// When its intake began.
    pub created: Timestamp,
    /// When it or one of its images changed last. Later with each change.
    pub updated: Timestamp,
    /// When it was completed, in this round.
    pub completed: Option<Timestamp>,
}

/// How far a request is: counted from image rows, or kept in the transaction that changes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Images waiting.
    pub pending: u64,
    /// Images claimed.
    pub processing: u64,
    /// Images stored.
    pub completed: u64,
    /// Images that ended with a code.
    pub failed: u64,
    /// Images cancelled.
    pub cancelled: u64,
    /// Bytes fetched, over completed images.
    pub bytes_before: u64,
    /// Bytes stored, over completed images.
    pub bytes_after: u64,
}

impl Progress {
    /// All images.
    pub fn total(&self) -> u64 {
        self.pending + self.processing + self.ended()
    }

    /// Images that reached their end.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Whether every image has ended: the one rule of completion, true of an empty request too.
    pub fn is_complete(&self) -> bool {
        self.pending == 0 && self.processing == 0
    }

    /// The same as it is shown of a request in a state: see [`RequestStatus::shows`].
    pub fn shown(self, status: RequestStatus) -> Progress {
        match status {
            RequestStatus::Cancelled => Progress {
                cancelled: self.cancelled + self.pending + self.processing,
                pending: 0,
                processing: 0,
                ..self
            },
            _ => self,
        }
    }

    /// Counts one more image.
    pub fn add(&mut self, status: ImageStatus) {
        match status {
            ImageStatus::Pending => self.pending += 1,
            ImageStatus::Processing => self.processing += 1,
            ImageStatus::Completed => self.completed += 1,
            ImageStatus::Failed => self.failed += 1,
            ImageStatus::Cancelled => self.cancelled += 1,
        }
    }
}

impl std::ops::AddAssign for Progress {
    fn add_assign(&mut self, other: Progress) {
        self.pending += other.pending;
        self.processing += other.processing;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}
