//! The database of requests, rows and images: the only truth. Small traits by who calls them.

mod idempotency;
mod keys;
pub mod page;
mod reading;
mod rights;

pub use self::idempotency::{Idempotency, Reservation};
pub use self::keys::Keys;
pub use self::reading::{DeliveryQuery, ImageQuery, Images, Reading, RequestQuery, Requests};
pub use self::rights::{Right, Rights};

use std::iter::Sum;

use async_trait::async_trait;
use pixmill_codec::Format;

use crate::code::Code;
use crate::fault::Fault;
use crate::model::event::{Completion, Delivery, Next, Telling};
use crate::model::id::{ImageId, RequestId};
use crate::model::image::{
    Candidate, Claim, Correction, ImageStatus, ImageView, Moment, Settlement, Standing,
};
pub use crate::model::lease::Void;
use crate::model::lease::{Lease, Token};
use crate::model::request::{NewRequest, Options, Progress, Request, RequestStatus};
use crate::model::row::{NewRow, ResultRow, RowError};
use crate::model::time::Timestamp;
use crate::port::boards::Boards;
use crate::port::diagnose::Diagnose;
use crate::port::originals::Originals;
use page::{Bytes, PAGE_BYTES};

/// All of records.
///
/// Every method may fail with `backend.unavailable` (transient), `disk.full` or `disk.read_only`, and then it is the
/// backend's fault. A request whose record can't be read fails what asks for it alone, with a fault of the request's own;
/// it is left out of lists, and told of once.
///
/// What is answered by pages ends with [`page::PAGE_BYTES`] as well as with `most`; a page that is full by neither is the
/// last one ([`page::may_go_on`]).
///
/// Times that are given are those of the caller's clock. Records that several machines share keep their own.
pub trait Records: Intake + Backlog + Settle + Report + Upkeep + Rights {}

impl<T: Intake + Backlog + Settle + Report + Upkeep + Rights> Records for T {}

/// How an intake ended.
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeEnd {
    /// What is asked of the request.
    pub options: Options,
    /// SHA-256 of the catalogue's bytes, hexadecimal.
    pub digest: String,
    /// How the catalogue was read, as [`crate::catalogue::Account`] writes it.
    pub reading: String,
    /// Rows that can be used.
    pub rows: u64,
    /// The first rows that can't, 1,000 at most.
    pub row_errors: Vec<RowError>,
    /// All rows that can't.
    pub row_errors_total: u64,
}

/// The accept stage's side: rows are written in short batches under a request that nobody sees yet.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Begins a request in state `receiving`.
    async fn begin(&self, new: NewRequest, now: Timestamp) -> Result<(), Fault>;

    /// Appends rows, in order. Of equal inputs the first is worked and the others follow it, found by fingerprint and
    /// judged by [`crate::model::source::equal_inputs`]. May return before the rows are durable: `open` makes them so.
    async fn append(&self, request: &RequestId, rows: Vec<NewRow>, now: Timestamp) -> Result<(), Fault>;

    /// Makes the request `pending` and durable with all its rows; completes it, event and all, when it has no image.
    async fn open(&self, request: &RequestId, end: IntakeEnd, now: Timestamp) -> Result<(), Fault>;

    /// Deletes an intake that was refused or broke off; no fault when there is none.
    async fn discard(&self, request: &RequestId) -> Result<(), Fault>;
}

/// A request whose images may be fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whose it is.
    pub tenant: String,
    /// Which request.
    pub request: RequestId,
    /// Its place in the order in which requests were opened, or opened again; records' own.
    pub order: i64,
}

/// The dispatch stage's side.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Requests whose images may be fed, in the order in which they were opened: of each tenant `most` at a time, those
    /// after the one of it that is known. What it costs depends on how many are answered, not on how many there are.
    async fn open_requests(&self, known: &[Opened], most: usize) -> Result<Vec<Opened>, Fault>;

    /// Pending images of a request that were never put back, in order, beginning after one of them. Equal inputs
    /// that follow another image are not among them.
    async fn fresh(
        &self,
        request: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<Candidate>, Fault>;

    /// The same of several requests, each with the image to begin after: of each at most `most`. Where that is much, it
    /// ends before the last ones, though never before the first.
    async fn fresh_of_each(
        &self,
        requests: &[(RequestId, Option<ImageId>)],
        most: usize,
    ) -> Result<Vec<Vec<Candidate>>, Fault> {
        let (mut each, mut bytes) = (Vec::with_capacity(requests.len()), 0);
        for (request, after) in requests {
            if bytes >= PAGE_BYTES {
                break;
            }
            let fresh = self.fresh(request, after.as_ref(), most).await?;
            bytes += fresh.iter().map(Bytes::bytes).sum::<usize>();
            each.push(fresh);
        }
        Ok(each)
    }

    /// Pending images that were put back and whose time has come, and when the next one's comes. Given a request,
    /// only its images.
    async fn due(
        &self,
        request: Option<&RequestId>,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Candidate>, Option<Timestamp>), Fault>;

    /// How images stand that jobs name, one answer each, in order.
    async fn standings(&self, images: &[ImageId], now: Timestamp) -> Result<Vec<Standing>, Fault>;

    /// Claims those of the images that are still pending and whose request is open: sets the lease, counts the
    /// attempt, all in one durable write. The rest are left out of the answer.
    async fn claim(&self, images: &[ImageId], lease: Lease, now: Timestamp) -> Result<Vec<Claim>, Fault>;

    /// Puts pending images off until a time, so that they make room for others; no attempt is counted.
    async fn defer(&self, images: &[ImageId], until: Timestamp, now: Timestamp) -> Result<(), Fault>;

    /// Prolongs the leases of images that are still held under their tokens.
    async fn renew(&self, held: &[(ImageId, Token)], until: Timestamp, now: Timestamp) -> Result<(), Fault>;
}

/// What a batch of settlements did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// For each settlement whether it won.
    pub won: Vec<bool>,
    /// Requests whose last image ended in this write.
    pub completed: Vec<RequestId>,
}

/// The settle stage's side.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Writes ends by compare-and-set on status `processing` and the token, in one durable write. Images with the same
    /// input end with the one they follow. A request whose last image ends is completed in the same write, with its
    /// event. Settling an image of a cancelled request loses.
    async fn settle(&self, batch: Vec<Settlement>, now: Timestamp) -> Result<Settled, Fault>;
}

/// A kind of failure in a request, for the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// From the one list.
    pub code: Code,
    /// Images that ended so.
    pub images: u64,
    /// The input of the first of them.
    pub example: String,
    /// Its sentence.
    pub message: String,
}

/// Whoever reads.
#[async_trait]
pub trait Report: Reading + Diagnose {
    /// A request; `None` for one that is unknown. One in state `receiving` is shown here, nowhere else.
    async fn request(&self, id: &RequestId) -> Result<Option<Request>, Fault> {
        let found = self.read_requests(RequestQuery::one(id, false), 1).await?.pop();
        Ok(found.map(|view| view.request))
    }

    /// How far it is.
    async fn progress(&self, id: &RequestId) -> Result<Progress, Fault> {
        let found = self.read_requests(RequestQuery::one(id, true), 1).await?.pop();
        found.map(|view| view.progress).ok_or_else(|| unknown(id))
    }

    /// Rows for results, in order, `most` at a time, from row `first` (from 0, rows that can't be used included).
    async fn rows(&self, id: &RequestId, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault>;

    /// The rows that can't be used, the first 1,000.
    async fn row_errors(&self, id: &RequestId) -> Result<Vec<RowError>, Fault>;

    /// Failures grouped by code, most frequent first.
    async fn failures(&self, id: &RequestId) -> Result<Vec<FailureGroup>, Fault>;

    /// How many completed images have a [note](crate::model::image::Output::note). What it costs depends on how many
    /// there are, not on how many images the request has.
    async fn noted(&self, id: &RequestId) -> Result<u64, Fault>;

    /// The completion events of a request, oldest first.
    async fn completions(&self, id: &RequestId) -> Result<Vec<Completion>, Fault>;
}

/// What is said of a request that is not there.
pub fn unknown(request: &RequestId) -> Fault {
    Fault::permanent(Code::RequestNotFound, format!("there is no request {request}"))
}

/// Why a request that pixmill did not make is not deleted. Only records that share their database with other programs
/// know such requests.
pub const FOREIGN: &str = "another program made the request, so it is for that program to delete it";

/// Why a request that is retired, or whose deletion was begun, is not opened again.
pub const RETIRED: &str =
    "the request is being deleted: somebody asked for it, or it ended longer ago than requests are kept";

/// A deletion that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Of this request.
    pub request: RequestId,
    /// With its outputs, wherever they are.
    pub outputs: bool,
}

/// Upkeep's side, and what people ask for.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Puts images whose lease is void back to `pending`; those whose attempts are used up fail with
    /// `attempts.exhausted`, completing their request if they were its last. Returns how many were touched.
    async fn reap(&self, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault>;

    /// Completes requests all of whose images have ended; ends what is left of cancelled ones. Returns how many. Of very
    /// many open requests a bounded number is looked after at a time.
    async fn reconcile(&self, now: Timestamp) -> Result<u64, Fault>;

    /// Deletes intakes that stood still since `before`. Returns how many.
    async fn forget_intakes(&self, before: Timestamp, now: Timestamp) -> Result<u64, Fault>;

    /// Retires requests of pixmill's own that ended at a time or before, `most` at a time: from then on they can only be
    /// deleted, nothing opens them or tells of them again. One of which something is still to be told stays. Answers with
    /// them, and with those that were retired before and are there still.
    async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault>;

    /// Deletions that were begun ([`Amend::begin_deletion`]) and are not done, `most` of them: whoever began them is at
    /// it, or crashed.
    async fn deletions(&self, most: usize) -> Result<Vec<Deletion>, Fault>;

    /// Re-opens the failed images of a request (and the cancelled ones of a cancelled request) with their attempts at
    /// zero and raises its round. Returns how many; none leaves the request as it is.
    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault>;

    /// Cancels a request and ends its unended images; false when it had ended.
    async fn cancel(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault>;
}

/// The webhook stage's side: events, each written together with what it tells of, until they are told.
#[async_trait]
pub trait Outbox: Reading {
    /// Leases events that are due, those due first first. Nobody else is given them until the lease runs out; then they
    /// are due again.
    async fn lease_events(&self, most: usize, lease: Lease, now: Timestamp) -> Result<Vec<Telling>, Fault>;

    /// Writes a try down and counts it, when there was one, and what comes next, in one write. Whoever's lease ran out and was taken
    /// over changes nothing but the list of tries; false then.
    async fn settle_event(
        &self,
        telling: &Telling,
        delivery: Option<Delivery>,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, Fault>;

    /// Tries, latest first, `most` at a time: of one request or of all, those before a certain one.
    async fn deliveries(
        &self,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        if let Some(request) = request
            && self.read_requests(RequestQuery::one(request, false), 1).await?.is_empty()
        {
            return Err(unknown(request));
        }
        let query = DeliveryQuery {
            request: request.cloned(),
            before: before.map(str::to_owned),
            ..DeliveryQuery::default()
        };
        self.read_deliveries(query, most).await
    }

    /// Has the event of a delivery told anew: it is due now, with all its tries before it. False when there is no such
    /// delivery.
    async fn redeliver(&self, delivery: &str, now: Timestamp) -> Result<bool, Fault>;

    /// Forgets tries made before a time. Returns how many.
    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, Fault>;
}

/// A catalogue that was handed in again for the same state folder: only `run` asks for it, on embedded records.
#[async_trait]
pub trait Succession: Send + Sync {
    /// The requests that are not `receiving`, oldest first: one, or two because a succession broke off.
    async fn requests(&self) -> Result<Vec<Request>, Fault>;

    /// In one write: carries the ends of images of `old` that stand at the same row and position with an equal input
    /// over to `new`, which must be open, deletes `old`, and remembers the outputs of the others as stale; completes
    /// `new`, event and all, when nothing is left to do.
    async fn succeed(&self, old: &RequestId, new: &RequestId, now: Timestamp) -> Result<(), Fault>;

    /// Re-opens the completed images whose output was at one of these locations, with their attempts at zero and in a new
    /// round, all in one write. Answers with how many.
    async fn remake(&self, request: &RequestId, locations: Vec<String>, now: Timestamp)
    -> Result<u64, Fault>;

    /// Locations of outputs that no image names any more, `most` at a time.
    async fn stale(&self, most: usize) -> Result<Vec<String>, Fault>;

    /// Forgets stale outputs that have been removed.
    async fn forget_stale(&self, locations: &[String]) -> Result<(), Fault>;
}

/// A request and how far it is, from one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestView {
    /// The request.
    pub request: Request,
    /// How far it is.
    pub progress: Progress,
}

/// What a tenant had done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests.
    pub requests: u64,
    /// Their images.
    pub progress: Progress,
}

impl<'u> Sum<&'u Usage> for Usage {
    fn sum<I: Iterator<Item = &'u Usage>>(parts: I) -> Usage {
        parts.fold(Usage::default(), |mut sum, part| {
            sum.requests += part.requests;
            sum.progress += part.progress;
            sum
        })
    }
}

/// A part of it: what requests of one week ask for in one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePart {
    /// The week in which they were created ([`Timestamp::week`]).
    pub week: i64,
    /// What their recipes ask for; `None` for one that this pixmill does not know.
    pub format: Option<Format>,
    /// What was done.
    pub usage: Usage,
}

/// What clients ask for. Requests in state `receiving` are not shown.
#[async_trait]
pub trait Directory: Reading {
    /// A request and how far it is; `None` for one that is unknown.
    async fn view(&self, id: &RequestId) -> Result<Option<RequestView>, Fault> {
        let found = self.read_requests(RequestQuery::one(id, true), 1).await?.pop();
        Ok(found.filter(|view| view.request.status != RequestStatus::Receiving))
    }

    /// Requests of a tenant, latest first, `most` at a time: those before a certain one.
    async fn requests_of(
        &self,
        tenant: &str,
        status: Option<RequestStatus>,
        before: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<RequestView>, Fault> {
        let which = Requests::Of { tenant: tenant.to_owned(), status, before: before.cloned() };
        self.read_requests(RequestQuery { which, progress: true }, most).await
    }

    /// Images of a request in the order of the catalogue, `most` at a time: those after a certain one.
    async fn images(
        &self,
        id: &RequestId,
        status: Option<ImageStatus>,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let which = Images::InOrder { status, after: after.cloned() };
        self.read_images(id, ImageQuery { which, columns: false }, most).await.map(without_columns)
    }

    /// An image of a request; `None` for one that is unknown, or another request's.
    async fn image(&self, id: &RequestId, image: &ImageId) -> Result<Option<ImageView>, Fault> {
        let query = ImageQuery { which: Images::One(image.clone()), columns: false };
        Ok(without_columns(self.read_images(id, query, 1).await?).pop())
    }

    /// Failed images of a request with the original columns of their rows, in the order of the catalogue.
    async fn failed(
        &self,
        id: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let which = Images::InOrder { status: Some(ImageStatus::Failed), after: after.cloned() };
        self.read_images(id, ImageQuery { which, columns: true }, most).await
    }

    /// Images of a request that ended after a moment, in the order of their ends. Whoever goes on from the last one
    /// misses none, whatever was written meanwhile.
    async fn ended_since(
        &self,
        id: &RequestId,
        moment: &Moment,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let query = ImageQuery { which: Images::EndedAfter(moment.clone()), columns: false };
        self.read_images(id, query, most).await.map(without_columns)
    }

    /// Tries to tell webhooks of a tenant's requests, latest first, `most` at a time: of one request or of all, those
    /// before a certain one.
    async fn deliveries_of(
        &self,
        tenant: &str,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        let query = DeliveryQuery {
            tenant: Some(tenant.to_owned()),
            request: request.cloned(),
            id: None,
            before: before.map(str::to_owned),
        };
        self.read_deliveries(query, most).await
    }

    /// A try to tell a webhook of a tenant's request; `None` for one that is unknown.
    async fn delivery_of(&self, tenant: &str, id: &str) -> Result<Option<Delivery>, Fault> {
        let query = DeliveryQuery {
            tenant: Some(tenant.to_owned()),
            id: Some(id.to_owned()),
            ..DeliveryQuery::default()
        };
        Ok(self.read_deliveries(query, 1).await?.pop())
    }

    /// What a tenant had done, over requests created from one time on and before another, by week and format, in no order.
    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Vec<UsagePart>, Fault>;

    /// Requests by status and images, over all tenants.
    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault>;

    /// What has waited longest, over all tenants.
    async fn oldest(&self) -> Result<Oldest, Fault>;
}

fn without_columns(images: Vec<(ImageView, String)>) -> Vec<ImageView> {
    images.into_iter().map(|(image, _)| image).collect()
}

/// Since when something waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oldest {
    /// When the oldest request was made of those that are open.
    pub open: Option<Timestamp>,
    /// When the event that is due first is due, or was: one that somebody tells is due again when his lease runs out.
    pub due: Option<Timestamp>,
}

/// What clients change of requests that were accepted.
#[async_trait]
pub trait Amend: Send + Sync {
    /// Replaces the inputs of failed images (and of cancelled ones of a cancelled request) and re-opens those alone,
    /// with their attempts at zero, in a new round, all in one write. Of corrections with equal inputs one is worked
    /// and the others follow it. Answers with the numbers of corrections that name no such image: then nothing is
    /// changed.
    async fn correct(
        &self,
        request: &RequestId,
        corrections: Vec<Correction>,
        now: Timestamp,
    ) -> Result<Vec<usize>, Fault>;

    /// Marks a request that has ended as one that is being deleted, as [`Upkeep::retire`] does, before any of its outputs
    /// goes: from then on it can only be deleted. False while it is open. One that another program made is refused with
    /// `request.state`. Where it is begun again, the later word on outputs holds.
    async fn begin_deletion(&self, deletion: &Deletion, now: Timestamp) -> Result<bool, Fault>;

    /// Deletes a request that has ended, with all that belongs to it; false while it is open. One that another program
    /// made is refused with `request.state`.
    async fn delete(&self, request: &RequestId) -> Result<bool, Fault>;
}

/// All that a server asks of records.
pub trait Ledger: Records + Outbox + Directory + Amend + Idempotency + Keys + Originals + Boards {}

impl<T: Records + Outbox + Directory + Amend + Idempotency + Keys + Originals + Boards> Ledger for T {}
