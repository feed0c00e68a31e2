//! Rows taken into SQLite records a second, from the first `append` until `open` returns, and the memory it takes.
//!
//! `cargo bench -p pixmill-adapters --bench intake [-- ROWS]`

#![expect(clippy::print_stdout, reason = "a benchmark talks on stdout")]

mod measure;

use std::time::Instant;

use measure::{cpu_seconds, peak_rss_mib};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::NewRequest;
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Intake, IntakeEnd};

/// Rows handed over at a time.
const BATCH: u64 = 1_000;

/// A row of some 100 bytes with a URL of some 60.
fn row(number: u64, fingerprint: impl Fn(&str) -> i64) -> NewRow {
    let input = format!("https://images.example.com/catalogue/2026/product-{number:08}.jpg");
    let cells = format!("{number},Product number {number:08} blue,{input}");
    let image = NewImage { fingerprint: fingerprint(&input), input };
    NewRow { cells, name: format!("Product number {number:08} blue"), images: vec![image], error: None }
}

/// Spreads numbers as a fingerprint would (SplitMix64), at no cost to speak of.
fn spread(number: u64) -> i64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) as i64
}

async fn take_in(records: &Sqlite, rows: u64, fingerprint: impl Fn(u64, &str) -> i64) {
    let id = RequestId::new();
    let new = NewRequest {
        id: id.clone(),
        tenant: "default".into(),
        header: "S. No.,Product Name,Input Image Urls".into(),
        catalogue: "catalogue.csv".into(),
        traceparent: None,
    };
    let now = Timestamp(1_700_000_000_000);
    records.begin(new, now).await.expect("begin");
    for first in (0..rows).step_by(BATCH as usize) {
        let batch =
            (first..rows.min(first + BATCH)).map(|number| row(number, |input| fingerprint(number, input)));
        records.append(&id, batch.collect(), now).await.expect("append");
    }
    let end = IntakeEnd {
        options: Default::default(),
        digest: "0".repeat(64),
        reading: String::new(),
        rows,
        row_errors: Vec::new(),
        row_errors_total: 0,
    };
    records.open(&id, end, now).await.expect("open");
}

fn main() {
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let secret = Fingerprint::new();
    for (name, real) in [("records alone", false), ("with fingerprints", true)] {
        let folder = tempfile::tempdir_in(".").expect("folder");
        let records = Sqlite::open(&folder.path().join("pixmill.db")).expect("records");
        let base = peak_rss_mib();
        let (began, cpu) = (Instant::now(), cpu_seconds());
        runtime.block_on(take_in(
            &records,
            rows,
            |number, input| {
                if real { secret.of(input) } else { spread(number) }
            },
        ));
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!(
            "intake, {name}: {rows} rows in {seconds:.2} s, {:.0} rows/s, {:.2} µs CPU a row, peak RSS {:.0} MiB \
             ({:.0} MiB above the start)",
            rows as f64 / seconds,
            cpu / rows as f64 * 1e6,
            peak_rss_mib(),
            peak_rss_mib() - base,
        );
    }
}
