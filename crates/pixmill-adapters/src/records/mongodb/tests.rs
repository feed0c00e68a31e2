//! MongoDB records in their port's suite, on a real server.

mod amend;
mod contention;
mod faults;
mod foreign;
mod neighbours;
mod order;
mod shapes;
mod times;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use pixmill_engine::checkup::{self, Severity};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{ImageStatus, Moment, Outcome, Output, Settlement};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::Boards;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::originals::Originals;
use pixmill_engine::port::records::{Backlog, Directory, Ledger, Outbox, Report, Settle, Upkeep};
use pixmill_testkit as testkit;
use pixmill_testkit::records::RecordsForTests;
use pixmill_testkit::services;

use super::clock::Times;
use super::command::{Reading, find};
use super::document::{at, date, image_status, slot, slot_fields, whole};
use super::id::matching;
use super::{Gathering, Mongodb, Settings};
use crate::clock::SystemClock;

/// When tests begin.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// Waits for no second call.
const UNGATHERED: Gathering =
    Gathering { claims: Duration::ZERO, ends: Duration::ZERO, times: Times::OfCallers };

/// Records in a database, which write at once what is asked of them.
async fn connect(address: &str) -> Mongodb {
    let options = ClientOptions::parse(address).await.unwrap();
    Mongodb::open(options, Settings::default(), UNGATHERED, START).await.unwrap()
}

/// A request of pixmill's own, as far as tests need one.
fn own(id: &str, status: &str, images: i64) -> Document {
    let mut ours = doc! { "own": true };
    if ["pending", "processing"].contains(&status) {
        ours.extend(doc! { "fed": "default", "opened": date(START) });
    }
    doc! { "_id": id, "status": status, "totalImages": images, "pixmill": ours }
}

#[tokio::test]
async fn catalogues_without_their_requests_are_counted_once_each() {
    let mongodb = empty().await;
    for (request, piece) in [("gone", 0_i64), ("gone", 1), ("gone too", 0)] {
        let piece = doc! { "request": request, "piece": piece, "bytes": "" };
        mongodb.shared.originals().insert_one(piece).await.unwrap();
    }
    assert_eq!(mongodb.unclaimed().await.unwrap(), 2);
}

/// Empty records.
async fn empty() -> Arc<Mongodb> {
    Arc::new(connect(&services::mongodb::database().await).await)
}

#[async_trait]
impl RecordsForTests for Mongodb {
    async fn count(&self, request: &RequestId) -> Progress {
        let head = self.shared.head(request).await.unwrap();
        let reading = Reading { fields: slot_fields(), ..Reading::default() };
        let of_it = doc! { "requestId": matching(request.as_str()) };
        let mut progress = Progress::default();
        for image in find(&self.shared.images(), of_it, reading).await.unwrap() {
            *match image_status(&image) {
                ImageStatus::Pending => &mut progress.pending,
                ImageStatus::Processing => &mut progress.processing,
                ImageStatus::Completed => &mut progress.completed,
                ImageStatus::Failed => &mut progress.failed,
                ImageStatus::Cancelled => &mut progress.cancelled,
            } += 1;
            if let Some(output) = slot(&image, head.status).output {
                progress.bytes_before += output.bytes_before;
                progress.bytes_after += output.bytes_after;
            }
        }
        if head.status == RequestStatus::Cancelled {
            let unended = std::mem::take(&mut progress.pending) + std::mem::take(&mut progress.processing);
            progress.cancelled += unended;
        }
        progress
    }

    async fn cancel_halfway(&self, request: &RequestId) {
        let head = self.shared.head(request).await.unwrap();
        assert!(self.shared.mark_cancelled(&head).await.unwrap());
    }

    async fn garble(&self, request: &RequestId) {
        let set = doc! { "$set": { "pixmill.recipe": { "format": "hologram" } } };
        self.shared.requests().update_one(doc! { "_id": request.as_str() }, set).await.unwrap();
    }

    async fn traces(&self, request: &RequestId) -> u64 {
        let shared = &self.shared;
        let (of_it, it) = (doc! { "requestId": request.as_str() }, doc! { "_id": request.as_str() });
        let kept = doc! { "request": request.as_str() };
        let mut traces = 0;
        for (collection, query) in [
            (shared.images(), of_it.clone()),
            (shared.products(), of_it),
            (shared.originals(), kept),
            (shared.row_errors(), it.clone()),
            (shared.requests(), it),
        ] {
            traces += collection.count_documents(query).await.unwrap();
        }
        traces
    }

    async fn age_snapshots(&self) {
        self.shared.watch.age();
    }

    fn many_rows(&self) -> usize {
        5_000
    }

    fn random_runs(&self) -> usize {
        12
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform_as_an_outbox() {
    testkit::records::outbox::suite(|| async {
        let records = empty().await;
        (records.clone() as Arc<dyn RecordsForTests>, records as Arc<dyn Outbox>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform_as_a_directory() {
    testkit::records::directory::suite(|| async {
        let records = empty().await;
        (records.clone() as Arc<dyn RecordsForTests>, records as Arc<dyn Ledger>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform_in_keeping_catalogues() {
    testkit::records::originals::suite(|| async {
        let records = empty().await;
        (records.clone() as Arc<dyn RecordsForTests>, records as Arc<dyn Ledger>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform_as_boards() {
    testkit::records::boards::suite(|| async { empty().await as Arc<dyn Boards> }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform_in_retirement() {
    testkit::records::retirement::suite(|| async {
        let records = empty().await;
        (records.clone() as Arc<dyn RecordsForTests>, records as Arc<dyn Ledger>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_mongodb_conform() {
    testkit::records::suite(|| async { empty().await as Arc<dyn RecordsForTests> }).await;
}

#[tokio::test]
async fn counters_are_written_for_others_to_read() {
    let records = empty().await;
    let requests = records.shared.requests();
    let images = records.shared.images();
    requests.insert_one(own("r", "pending", 3)).await.unwrap();
    let of_it = |status: &str| doc! { "requestId": "r", "inputUrl": "http://h/a.jpg", "status": status };
    let all: Vec<Document> = ["completed", "failed", "cancelled"].map(of_it).into();
    images.insert_many(all).await.unwrap();
    assert_eq!(records.reconcile(START).await.unwrap(), 1);
    let told = requests.find_one(doc! { "_id": "r" }).await.unwrap().unwrap();
    assert_eq!(told.get_i64("processedImages").unwrap(), 3);
    assert_eq!(whole(&told, "pixmill.failedImages"), Some(1));
    assert_eq!(at(&told, "pixmill.events").unwrap().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_another_kind_of_worker_has_done_ends_with_what_follows_it() {
    let records = empty().await;
    let request = own("r", "pending", 2);
    records.shared.requests().insert_one(request).await.unwrap();
    let image =
        |id: &str| doc! { "_id": id, "requestId": "r", "inputUrl": "http://h/a.jpg", "status": "pending" };
    let (mut lead, mut follower) = (image("a"), image("b"));
    lead.extend(doc! { "pixmill": { "followed": true }, "outputUrl": "http://h/out.jpg" });
    follower.insert("pixmill", doc! { "sameAs": "a" });
    records.shared.images().insert_many([lead, follower]).await.unwrap();
    assert_eq!(records.reconcile(START).await.unwrap(), 1);
    let id = RequestId::from("r");
    assert_eq!(records.completions(&id).await.unwrap().len(), 1);
    let told = records.ended_since(&id, &Moment { at: START, image: None }, 9).await.unwrap();
    let outputs = told.iter().map(|view| view.slot.output.as_ref().unwrap().location.as_str());
    assert_eq!(outputs.collect::<Vec<_>>(), ["http://h/out.jpg"; 2], "whoever watches is told of both");
}

#[tokio::test]
async fn a_server_without_an_index_is_noticed() {
    let records = empty().await;
    let look = async || {
        let findings = checkup::records(&*records, SystemClock.wall()).await;
        findings.into_iter().map(|finding| (finding.about, finding.severity)).collect::<Vec<_>>()
    };
    let well = ["version", "clock", "size", "indexes", "round trip"].map(|about| (about, Severity::Well));
    assert_eq!(look().await, well);
    records.shared.images().drop_index("pixmill_backlog").await.unwrap();
    assert_eq!(look().await[3], ("indexes", Severity::Wrong));
}
