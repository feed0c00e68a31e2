//! What finding work, upkeep and metrics cost beside much that has ended, and beside much that is open. Measured, so only
//! when asked for: `cargo test -p pixmill-adapters --all-features --test adapters history:: -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::model::lease::{LEASE, Lease};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::{Ledger, Right, Void};

/// How often each is asked.
const ROUNDS: usize = 51;

/// The most that finding work may take.
const MOST: Duration = Duration::from_millis(2);

/// Records with so many requests that ended, and so many that are open.
fn planted(ended: usize, open: usize) -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    drop(Sqlite::open(&file).unwrap());
    let plant = include_str!("history.sql");
    let plant = plant.replace("{ended}", &ended.to_string()).replace("{open}", &open.to_string());
    let plant = plant.replace("{origin}", "http://127.0.0.1:9");
    rusqlite::Connection::open(&file).unwrap().execute_batch(&plant).unwrap();
    let records = Sqlite::open(&file).unwrap();
    (folder, records)
}

/// How long it takes at the median, printed.
#[expect(clippy::print_stdout, reason = "a figure is shown")]
async fn took(what: &str, ask: impl AsyncFn()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        ask().await;
        times.push(began.elapsed());
    }
    times.sort();
    println!("  {what}: {:.2} ms, {:.2} at most", millis(times[ROUNDS / 2]), millis(times[ROUNDS - 1]));
    times[ROUNDS / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

async fn measure(records: &dyn Ledger) -> Duration {
    let now = || SystemClock.wall();
    let known = records.open_requests(&[], 64).await.unwrap();
    let last: Vec<_> = known.last().cloned().into_iter().collect();
    let mut finding = Duration::ZERO;
    finding += took("open requests", async || _ = records.open_requests(&last, 64).await.unwrap()).await;
    finding += took("due", async || _ = records.due(None, now(), 1_000).await.unwrap()).await;
    if let Some(first) = known.first() {
        let fresh = async || _ = records.fresh(&first.request, None, 1_000).await.unwrap();
        finding += took("fresh", fresh).await;
    }
    let lease = Lease::lasting(LEASE, now());
    took("a right", async || _ = records.lead(Right::Upkeep, lease, now()).await.unwrap()).await;
    took("leases that ran out", async || _ = records.reap(Void::Expired, 5, now()).await.unwrap()).await;
    took("what is over", async || _ = records.reconcile(now()).await.unwrap()).await;
    let before = now() - LEASE * 10;
    took("stalled intakes", async || _ = records.forget_intakes(before, now()).await.unwrap()).await;
    took("events", async || _ = records.lease_events(64, lease, now()).await.unwrap()).await;
    took("metrics", async || _ = records.census().await.unwrap()).await;
    finding
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn finding_work_takes_two_milliseconds_at_most_beside_whatever_else_there_is() {
    for (ended, open) in [(10, 0), (300_000, 0), (10, 100_000), (300_000, 100_000)] {
        let (_folder, records) = planted(ended, open);
        println!("{ended} requests that ended, {open} open");
        let finding = measure(&records).await;
        println!("  finding work in all: {:.2} ms", millis(finding));
        assert!(finding <= MOST, "{finding:?}");
    }
}

/// The same in MongoDB, fewer: the stand-in that tests use is slow. No bound, for its indexes are not MongoDB's.
#[cfg(feature = "mongodb")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn what_finding_work_takes_in_mongodb() {
    use mongodb::bson::{DateTime, Document, doc};
    use pixmill_adapters::records::mongodb::{Mongodb, Settings};

    for (ended, open) in [(10, 0), (20_000, 0), (10, 10_000)] {
        let address = pixmill_testkit::services::mongodb::database().await;
        let records = Mongodb::connect(&address, Settings::default(), SystemClock.wall()).await.unwrap();
        let client = mongodb::Client::with_uri_str(&address).await.unwrap();
        let database = client.default_database().unwrap();
        let (mut requests, mut images) = (Vec::new(), Vec::new());
        for at in 0..ended + open {
            let (id, when) =
                (format!("01900000-0000-7000-8000-{at:012x}"), DateTime::from_millis(1_700_000_000_000 + at));
            let mut request = doc! {
                "_id": &id, "totalImages": 1, "createdAt": when, "updatedAt": when,
                "status": if at < ended { "completed" } else { "pending" },
            };
            let mut ours = doc! { "own": true, "round": 1, "tenant": "shop", "rows": 1 };
            if at < ended {
                ours.extend(doc! { "completedImages": 1, "bytesBefore": 1000, "bytesAfter": 300, "completedAt": when });
            } else {
                ours.extend(doc! { "fed": "shop", "opened": when });
            }
            request.insert("pixmill", ours);
            requests.push(request);
            let mut image = doc! {
                "_id": format!("01900000-0000-7000-8001-{at:012x}"), "requestId": &id, "inputUrl": format!("http://127.0.0.1:9/{at}.jpg"),
                "status": if at < ended { "completed" } else { "pending" }, "pixmill": { "row": 0, "position": 0 },
            };
            if at < ended {
                image.insert("outputUrl", "processed_images/a.jpg");
            }
            images.push(image);
        }
        database.collection::<Document>("requests").insert_many(requests).await.unwrap();
        database.collection::<Document>("images").insert_many(images).await.unwrap();
        println!("{ended} requests that ended, {open} open");
        let finding = measure(&records).await;
        println!("  finding work in all: {:.2} ms", millis(finding));
    }
}
