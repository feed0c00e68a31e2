//! CPU time an image from its claim to its end in SQLite records, in groups of eight, among few images and many.
//!
//! `cargo bench -p pixmill-adapters --bench settling`

#![expect(clippy::print_stdout, reason = "a benchmark talks on stdout")]

mod measure;

use std::time::Instant;

use measure::{cpu_seconds, peak_rss_mib};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Claim, Outcome, Output, Settlement};
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::NewRequest;
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Backlog, Intake, IntakeEnd, Settle};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Images worked in each run, however many there are.
const WORKED: usize = 10_000;

/// Images in one claim and in one settle.
const GROUP: usize = 8;

/// Images that are read from the backlog at a time.
const READ: usize = 1_000;

async fn take_in(records: &Sqlite, images: u64) -> RequestId {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: "default".into(),
        header: "Input Image Urls".into(),
        catalogue: "catalogue.csv".into(),
        traceparent: None,
    };
    records.begin(new, NOW).await.expect("begin");
    for first in (0..images).step_by(READ) {
        let rows = (first..images.min(first + READ as u64)).map(|number| {
            let input = format!("https://images.example.com/catalogue/2026/product-{number:08}.jpg");
            let fingerprint = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64;
            let images = vec![NewImage { input: input.clone(), fingerprint }];
            NewRow { cells: input, name: String::new(), images, error: None }
        });
        records.append(&id, rows.collect(), NOW).await.expect("append");
    }
    let end = IntakeEnd {
        options: Default::default(),
        digest: String::new(),
        reading: String::new(),
        rows: images,
        row_errors: vec![],
        row_errors_total: 0,
    };
    records.open(&id, end, NOW).await.expect("open");
    id
}

fn completed(claim: &Claim) -> Settlement {
    let location = format!("processed_images/{:06}-{:02}-product.jpg", claim.row + 1, claim.position + 1);
    let output = Output { location, bytes_before: 123_456, bytes_after: 45_678, frames: 1 };
    Settlement { image: claim.image.clone(), token: claim.token, outcome: Outcome::Completed(output) }
}

/// Reads, claims and settles; how many.
async fn work(records: &Sqlite, request: &RequestId, after: &mut Option<ImageId>, images: usize) -> usize {
    let mut worked = 0;
    while worked < images {
        let fresh = records.fresh(request, after.as_ref(), READ).await.expect("fresh");
        let Some(last) = fresh.last() else { break };
        *after = Some(last.image.clone());
        for group in fresh.chunks(GROUP) {
            let images: Vec<_> = group.iter().map(|candidate| candidate.image.clone()).collect();
            let claims = records.claim(&images, Lease::from(NOW), NOW).await.expect("claim");
            let settled = records.settle(claims.iter().map(completed).collect(), NOW).await.expect("settle");
            worked += settled.won.into_iter().filter(|won| *won).count();
        }
    }
    worked
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    for images in [1_000, 1_000_000] {
        let folder = tempfile::tempdir_in(".").expect("folder");
        let records = Sqlite::open(&folder.path().join("pixmill.db")).expect("records");
        let runs = WORKED.div_ceil(images as usize).max(1);
        let (mut seconds, mut cpu, mut worked) = (0.0, 0.0, 0);
        for _ in 0..runs {
            runtime.block_on(async {
                let request = take_in(&records, images).await;
                let mut after = None;
                let (began, used) = (Instant::now(), cpu_seconds());
                worked += work(&records, &request, &mut after, WORKED.min(images as usize)).await;
                seconds += began.elapsed().as_secs_f64();
                cpu += cpu_seconds() - used;
            });
        }
        println!(
            "claim and settle in groups of {GROUP}, among {images} images: {worked} images, {:.1} µs CPU an image, \
             {:.0} images/s, peak RSS {:.0} MiB",
            cpu / worked as f64 * 1e6,
            worked as f64 / seconds,
            peak_rss_mib(),
        );
    }
}
