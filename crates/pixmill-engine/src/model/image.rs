//! An image: its states, and the transitions between them.

use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::{ImageId, RequestId};
use crate::model::lease::Token;
use crate::model::time::Timestamp;

/// Where an image stands. `pending → processing → completed | failed | cancelled`; ends absorb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageStatus {
    /// Waits to be claimed, perhaps until a time.
    Pending,
    /// Claimed by a worker under a lease.
    Processing,
    /// Its output is stored and readable.
    Completed,
    /// Ended with a code.
    Failed,
    /// Ended because its request was cancelled.
    Cancelled,
}

impl ImageStatus {
    /// Every status, in the order of an image's life.
    pub const ALL: [ImageStatus; 5] = [
        ImageStatus::Pending,
        ImageStatus::Processing,
        ImageStatus::Completed,
        ImageStatus::Failed,
        ImageStatus::Cancelled,
    ];

    /// As written in records, APIs and results.
    pub fn as_str(self) -> &'static str {
        match self {
            ImageStatus::Pending => "pending",
            ImageStatus::Processing => "processing",
            ImageStatus::Completed => "completed",
            ImageStatus::Failed => "failed",
            ImageStatus::Cancelled => "cancelled",
        }
    }

    /// Whether this is an end, which nothing but an explicit retry re-opens.
    pub fn is_end(self) -> bool {
        matches!(self, ImageStatus::Completed | ImageStatus::Failed | ImageStatus::Cancelled)
    }

    /// Whether an image may go from here to there.
    pub fn may_become(self, next: ImageStatus) -> bool {
        use ImageStatus::*;
        match (self, next) {
            (Pending, Processing | Cancelled) => true,
            (Pending, Completed | Failed) => true, // follows an equal URL, or its origin was given up
            (Processing, Pending | Completed | Failed | Cancelled) => true,
            (Failed | Cancelled, Pending) => true, // explicit retry only
            (Completed, Pending) => true,          // its output was deleted, and its catalogue is run again
            _ => false,
        }
    }
}

/// An image that may be claimed: what a worker must know to decide whether it can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which image.
    pub image: ImageId,
    /// Of which request.
    pub request: RequestId,
    /// The URL or path as it stands in the catalogue.
    pub input: String,
    /// Which round of its request, from 1.
    pub round: u32,
    /// Attempts so far in this round.
    pub attempts: u32,
    /// Whose it is, where it is to be fed; tenants take turns in a window.
    pub tenant: String,
}

/// How an image stands that a job names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no such image, or its request is not accepted yet.
    Unknown,
    /// It may be claimed from this time on.
    Claimable(Candidate, Timestamp),
    /// It is being worked on, or it ends with an equal input that it follows.
    Held,
    /// It is stored.
    Completed(Output),
    /// It failed.
    Failed(Failure),
    /// Its request was cancelled.
    Cancelled,
}

/// An image that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which image.
    pub image: ImageId,
    /// Of which request.
    pub request: RequestId,
    /// Row in the catalogue, from 0, rows that can't be used included.
    pub row: u64,
    /// Place in the row, from 0.
    pub position: u32,
    /// The URL or path as it stands in the catalogue.
    pub input: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The right to end the image.
    pub token: Token,
}

/// A stored output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its URL, or its path relative to the output folder.
    pub location: String,
    /// Size of what was fetched, bytes.
    pub bytes_before: u64,
    /// Size of what was stored, bytes.
    pub bytes_after: u64,
    /// Frames of what was fetched, of which the first is stored.
    pub frames: u32,
}

impl Output {
    /// What it lacks of what was fetched, for people. Most lack nothing.
    pub fn note(&self) -> Option<String> {
        (self.frames > 1).then(|| format!("only the first of {} frames is kept", self.frames))
    }
}

/// What a worker says became of an image it had claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Stored and readable.
    Completed(Output),
    /// Over, with the reason.
    Failed(Failure),
    /// To be tried again at this time or later; the attempt counts.
    Retry(Timestamp),
    /// Handed back untouched by a clean stop; the attempt does not count.
    GivenBack,
}

/// Why an image failed, as records keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From the one list.
    pub code: Code,
    /// A sentence for people, without the code.
    pub message: String,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure { code: fault.code, message: fault.message }
    }
}

/// One end (or return) of one image, to be written by compare-and-set on its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which image.
    pub image: ImageId,
    /// The right to end it.
    pub token: Token,
    /// What became of it.
    pub outcome: Outcome,
}

/// One image of a row on its way into results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Where it stands.
    pub status: ImageStatus,
    /// Its output, when completed.
    pub output: Option<Output>,
    /// Why it failed, when it did.
    pub failure: Option<Failure>,
}

impl Slot {
    /// How an image stands for whoever has a job for it; `held` where somebody else ends it.
    pub fn standing(self, held: bool, claimable: impl FnOnce() -> Standing) -> Standing {
        match (self.status, self.output, self.failure) {
            (_, Some(output), _) => Standing::Completed(output),
            (_, _, Some(failure)) => Standing::Failed(failure),
            (ImageStatus::Cancelled, ..) => Standing::Cancelled,
            _ if held => Standing::Held,
            _ => claimable(),
        }
    }
}

/// An image as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageView {
    /// Which image.
    pub image: ImageId,
    /// Row in the catalogue, from 0, rows that can't be used included.
    pub row: u64,
    /// Place in the row, from 0.
    pub position: u32,
    /// The URL or path that is fetched.
    pub input: String,
    /// Attempts so far, in this round. An image that follows an equal input has none of its own.
    pub attempts: u32,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What became of it.
    pub slot: Slot,
}

/// A place in the order in which a request's images end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// After this one of the images that ended then; after all of them where none is named.
    pub image: Option<ImageId>,
}

/// A better input for an image that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// Row in the catalogue, from 0, rows that can't be used included.
    pub row: u64,
    /// Place in the row, from 0.
    pub position: u32,
    /// The URL.
    pub input: String,
}
