//! What all records promise, embedded or not.
//!
//! [`suite`] and its like for every implementation, [`succession::suite`] for embedded ones, [`foreign::suite`] for those that share
//! their documents with apps. Each promise is a function whose name
//! says it; each gets records of its own.

pub mod boards;
mod claiming;
pub mod directory;
pub mod foreign;
mod intake;
mod model;
pub mod originals;
pub mod outbox;
mod pages;
pub mod retirement;
mod settling;
pub mod strangers;
pub mod succession;
mod upkeep;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Claim, Failure, ImageStatus, Outcome, Output, Settlement};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::recipe::Recipe;
use pixmill_engine::model::request::{NewRequest, Options, Progress, RequestStatus};
use pixmill_engine::model::row::{NewImage, NewRow, ResultRow};
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{IntakeEnd, Records, Settled};

/// Records that tests may look into, and break.
#[async_trait]
pub trait RecordsForTests: Records {
    /// Counts a request's images and their bytes one by one, past anything that is kept beside them.
    async fn count(&self, request: &RequestId) -> Progress;

    /// Marks a request cancelled and goes no further, as a crash in the middle of cancelling would.
    async fn cancel_halfway(&self, request: &RequestId);

    /// Makes a request's recipe what this pixmill can't read, as a newer one may.
    async fn garble(&self, request: &RequestId);

    /// How many rows, images and other traces a request has left, whether or not it is shown.
    async fn traces(&self, request: &RequestId) -> u64;

    /// Lets snapshots grow older than they may be served, where such are kept.
    async fn age_snapshots(&self) {}

    /// Rows that are many for these records: several batches.
    fn many_rows(&self) -> usize {
        30_000
    }

    /// Runs of random operations that take a reasonable time.
    fn random_runs(&self) -> usize {
        64
    }
}

/// Runs the suite. `make` gives empty records.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    intake::suite(&make).await;
    claiming::suite(&make).await;
    settling::suite(&make).await;
    upkeep::suite(&make).await;
    model::suite(&make).await;
}

/// The time at which every test begins.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// `START`, so many milliseconds later.
fn at(milliseconds: u64) -> Timestamp {
    START + Duration::from_millis(milliseconds)
}

/// Attempts that are allowed unless a test says otherwise.
const ATTEMPTS: u32 = 5;

/// A row whose cells name it, with these inputs.
fn row(number: usize, inputs: &[&str], fingerprint: &Fingerprint) -> NewRow {
    let images = inputs
        .iter()
        .map(|input| NewImage { input: (*input).to_owned(), fingerprint: fingerprint.of(input) })
        .collect();
    NewRow {
        cells: format!("{number},product {number},\"{}\"", inputs.join(", ")),
        name: format!("product {number}"),
        images,
        error: None,
    }
}

fn rows(inputs: &[&[&str]]) -> Vec<NewRow> {
    let fingerprint = Fingerprint::new();
    inputs.iter().enumerate().map(|(number, inputs)| row(number, inputs, &fingerprint)).collect()
}

fn url(number: usize) -> String {
    format!("http://example.com/{number}.jpg")
}

fn new_request() -> NewRequest {
    NewRequest {
        id: RequestId::new(),
        tenant: "default".into(),
        header: "S. No.,Product Name,Input Image Urls".into(),
        catalogue: "catalogue.csv".into(),
        traceparent: None,
    }
}

fn intake_end(rows: u64) -> IntakeEnd {
    let recipe = Recipe { quality: 61, max_width: Some(640), ..Default::default() };
    IntakeEnd {
        options: Options { recipe, webhook: None },
        digest: "d1".into(),
        reading: String::new(),
        rows,
        row_errors: Vec::new(),
        row_errors_total: 0,
    }
}

/// Takes a catalogue in, a row at a time.
async fn take_in(records: &Arc<dyn RecordsForTests>, rows: Vec<NewRow>) -> RequestId {
    take_in_as(records, new_request(), rows).await
}

async fn take_in_as(records: &Arc<dyn RecordsForTests>, new: NewRequest, rows: Vec<NewRow>) -> RequestId {
    let id = new.id.clone();
    let count = rows.len() as u64;
    records.begin(new, START).await.unwrap();
    for row in rows {
        records.append(&id, vec![row], START).await.unwrap();
    }
    records.open(&id, intake_end(count), START).await.unwrap();
    id
}

/// Takes a catalogue in that has these inputs, a list a row.
async fn take_in_inputs(records: &Arc<dyn RecordsForTests>, inputs: &[&[&str]]) -> RequestId {
    take_in(records, rows(inputs)).await
}

/// Takes a catalogue in that has so many rows with an image each, no two the same.
async fn take_in_distinct(records: &Arc<dyn RecordsForTests>, count: usize) -> RequestId {
    let fingerprint = Fingerprint::new();
    take_in(records, (0..count).map(|number| row(number, &[&url(number)], &fingerprint)).collect()).await
}

/// Open requests, in order.
async fn open(records: &(impl Records + ?Sized)) -> Vec<RequestId> {
    let opened = records.open_requests(&[], 10_000).await.unwrap();
    opened.into_iter().map(|opened| opened.request).collect()
}

/// Fresh images of a request.
async fn fresh(records: &Arc<dyn RecordsForTests>, request: &RequestId) -> Vec<ImageId> {
    let mut all: Vec<ImageId> = Vec::new();
    loop {
        let fresh = records.fresh(request, all.last(), 10_000).await.unwrap();
        if fresh.is_empty() {
            return all;
        }
        all.extend(fresh.into_iter().map(|candidate| candidate.image));
    }
}

/// Claims every fresh image of a request.
async fn claim_fresh(records: &Arc<dyn RecordsForTests>, request: &RequestId, now: Timestamp) -> Vec<Claim> {
    let images = fresh(records, request).await;
    records.claim(&images, Lease::from(now), now).await.unwrap()
}

/// Claims every image of a request that was put back and is due.
async fn claim_due(records: &Arc<dyn RecordsForTests>, request: &RequestId, now: Timestamp) -> Vec<Claim> {
    let (due, _) = records.due(Some(request), now, 10_000).await.unwrap();
    let images: Vec<_> = due.into_iter().map(|candidate| candidate.image).collect();
    records.claim(&images, Lease::from(now), now).await.unwrap()
}

fn output(claim: &Claim) -> Output {
    Output {
        location: format!("processed_images/{:06}-{:02}.jpg", claim.row + 1, claim.position + 1),
        bytes_before: 1000,
        bytes_after: 300,
        frames: 1,
    }
}

fn completed(claim: &Claim) -> Settlement {
    settlement(claim, Outcome::Completed(output(claim)))
}

fn failed(claim: &Claim) -> Settlement {
    let failure = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    settlement(claim, Outcome::Failed(failure))
}

fn settlement(claim: &Claim, outcome: Outcome) -> Settlement {
    Settlement { image: claim.image.clone(), token: claim.token, outcome }
}

async fn settle(
    records: &Arc<dyn RecordsForTests>,
    batch: impl IntoIterator<Item = Settlement>,
    now: Timestamp,
) -> Settled {
    records.settle(batch.into_iter().collect(), now).await.unwrap()
}

async fn status(records: &Arc<dyn RecordsForTests>, request: &RequestId) -> RequestStatus {
    records.request(request).await.unwrap().unwrap().status
}

/// The status of each image, in order.
async fn statuses(records: &Arc<dyn RecordsForTests>, request: &RequestId) -> Vec<ImageStatus> {
    let rows = results(records, request).await;
    rows.iter().flat_map(|row| row.slots.iter().map(|slot| slot.status)).collect()
}

async fn results(records: &Arc<dyn RecordsForTests>, request: &RequestId) -> Vec<ResultRow> {
    let mut all = Vec::new();
    loop {
        let rows = records.rows(request, all.len() as u64, 100_000).await.unwrap();
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
    }
}

/// Compares what records say of a request with its images, counted.
async fn audit(records: &Arc<dyn RecordsForTests>, request: &RequestId) -> Progress {
    records.age_snapshots().await;
    let told = records.progress(request).await.unwrap();
    assert_eq!(told, records.count(request).await, "progress is not what the images are");
    let found = records.request(request).await.unwrap().unwrap();
    let events = records.completions(request).await.unwrap();
    for (event, next) in events.iter().zip(events.iter().skip(1)) {
        assert!(event.round < next.round && event.id != next.id, "{events:?}");
    }
    let told_of_this_round = events.iter().filter(|event| event.round == found.round).count();
    match found.status {
        RequestStatus::Completed => {
            assert!(told.is_complete(), "completed before its last image ended: {told:?}");
            assert_eq!(told_of_this_round, 1, "{events:?}");
            assert_eq!(found.completed, events.last().map(|event| event.at));
        }
        RequestStatus::Cancelled => assert!(told.is_complete(), "{told:?}"),
        _ => {
            assert!(!told.is_complete(), "nothing left to do, yet {:?}", found.status);
            assert_eq!(told_of_this_round, 0, "{events:?}");
            assert_eq!(found.completed, None);
        }
    }
    told
}
