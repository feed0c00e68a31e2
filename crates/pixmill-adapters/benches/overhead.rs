//! CPU time an image of everything but recompression: the whole of `run` with a codec that returns its input, among few
//! rows and among many.
//!
//! `cargo bench -p pixmill-adapters --bench overhead`

#![expect(clippy::print_stdout, reason = "a benchmark talks on stdout")]

mod measure;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use measure::{cpu_seconds, peak_rss_mib};
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::origin::HttpOrigin;
use pixmill_adapters::queue::database::{DatabaseQueue, WINDOW};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_adapters::sandbox::inside;
use pixmill_adapters::sandbox::process::{ProcessSandbox, Program};
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_codec::{Limits, OutputFormat, Recipe, Recompressed, Workspace};
use pixmill_engine::model::request::Progress;
use pixmill_engine::pipeline::{Ended, Ports, Settings, Watcher};
use pixmill_engine::port::traces::Untold;
use pixmill_engine::run::{Accepted, Observer, Run};
use pixmill_testkit::origin::{Origin, Pictures, Settings as Serving};
use tokio_util::sync::CancellationToken;

/// Images worked in each run, however many there are.
const WORKED: u64 = 16_000;

/// What makes a child of this program that takes pictures.
const CHILD: &str = "--pictures";

/// Rounds, few and many in turn.
const ROUNDS: usize = 3;

/// Stands in for the codec.
fn unchanged(
    bytes: &[u8],
    _: &Recipe,
    _: &Limits,
    _: &mut Workspace,
) -> Result<Recompressed, pixmill_codec::Error> {
    Ok(Recompressed {
        bytes: bytes.to_vec(),
        format: OutputFormat::Jpeg,
        width: 1,
        height: 1,
        frames: 1,
        kept_source: true,
    })
}

/// Measures from acceptance to the last image that counts, then stops the run.
struct Meter {
    ended: AtomicU64,
    stop: CancellationToken,
    began: Mutex<Option<(Instant, f64)>>,
    took: Mutex<Option<(Duration, f64)>>,
}

impl Watcher for Meter {
    fn ended(&self, _: Ended) {
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 == WORKED {
            let began = self.began.lock().expect("nobody panics").expect("accepted before worked");
            *self.took.lock().expect("nobody panics") = Some((began.0.elapsed(), cpu_seconds() - began.1));
            self.stop.cancel();
        }
    }
}

impl Observer for Meter {
    fn reading(&self, _: u64, _: u64) {}

    fn accepted(&self, _: Accepted) {
        *self.began.lock().expect("nobody panics") = Some((Instant::now(), cpu_seconds()));
    }

    fn progress(&self, _: Progress) {}
}

fn job(folder: &Path, meter: Arc<Meter>) -> Run {
    let records = Arc::new(Sqlite::open(&folder.join("records.db")).expect("records"));
    let temporary = folder.join("tmp");
    Run {
        ports: Ports {
            records: records.clone(),
            queue: Arc::new(DatabaseQueue::new(WINDOW)),
            storage: Arc::new(DiskStorage::open(&folder.join("out"), &temporary).expect("storage")),
            sandbox: Arc::new(
                ProcessSandbox::new(2, Duration::from_secs(30), program()).expect("a thread").warmed(),
            ),
            origin: Arc::new(HttpOrigin::new(Guard::new(["127.0.0.0/8".parse().expect("a range")]), 64)),
            files: None,
            clock: Arc::new(SystemClock),
            traces: Arc::new(Untold),
        },
        succession: records,
        settings: Settings {
            connections: 64,
            per_origin: 64,
            memory_bytes: 512 << 20,
            limits: Limits::default(),
            max_bytes: 50_000_000,
            timeout: Duration::from_secs(30),
            attempts: 5,
            longest_retry_after: Duration::from_secs(60),
            lease: pixmill_engine::model::lease::LEASE,
        },
        catalogue: folder.join("catalogue.csv"),
        hints: Default::default(),
        recipe: Recipe::default(),
        retry_failed: false,
        results: folder.join("results.csv"),
        again: folder.join("again.csv"),
        output_prefix: None,
        temporary: temporary.join("results.csv.part"),
        observer: meter,
    }
}

/// Works the first images of a catalogue of so many rows; microseconds of CPU an image.
fn measure(rows: u64, url: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalogue = std::fs::File::create(folder.path().join("catalogue.csv")).expect("a catalogue");
    let mut catalogue = std::io::BufWriter::new(catalogue);
    writeln!(catalogue, "S. No.,Product Name,Input Image Urls").expect("it is written");
    for row in 0..rows {
        writeln!(catalogue, "{row},Product {row},{url}?{row}").expect("it is written");
    }
    drop(catalogue);
    let stop = CancellationToken::new();
    let meter = Arc::new(Meter {
        ended: AtomicU64::new(0),
        stop: stop.clone(),
        began: Mutex::default(),
        took: Mutex::default(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(job(folder.path(), meter.clone()).run(stop)).expect("the run goes well");
    let (wall, cpu) = meter.took.lock().expect("nobody panics").expect("enough images were worked");
    let an_image = cpu * 1e6 / WORKED as f64;
    println!(
        "among {rows:>9} rows: {an_image:6.0} µs of CPU an image, {:6.0} images/s, peak RSS {:.0} MiB",
        WORKED as f64 / wall.as_secs_f64(),
        peak_rss_mib()
    );
    an_image
}

/// What the sandbox starts: this program, with a codec that does nothing.
fn program() -> Program {
    Program { path: std::env::current_exe().expect("this program"), argument: CHILD }
}

/// The origin, in a process of its own so that its time does not count; ends with its standard input.
fn serve() {
    let picture = include_bytes!("../../../examples/pictures/caps.jpg").to_vec();
    let pictures = Pictures::Memory([("caps.jpg".to_owned(), picture.into())].into_iter().collect());
    let origin = Origin::start(Serving::serving(pictures)).expect("the origin starts");
    println!("{}", origin.url("/caps.jpg"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn origin() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg("--origin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the origin starts");
    let mut url = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut url).expect("it tells its address");
    (child, url.trim().to_owned())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if std::env::args().any(|argument| argument == CHILD) {
        inside::serve(unchanged);
        return;
    }
    if std::env::args().any(|argument| argument == "--origin") {
        return serve();
    }
    let (mut child, url) = origin();
    measure(WORKED, &url); // warms caches; not counted
    let (few, many): (Vec<_>, Vec<_>) =
        (0..ROUNDS).map(|_| (measure(WORKED, &url), measure(1_000_000, &url))).unzip();
    let (few, many) = (median(few), median(many));
    println!("medians: {few:.0} µs among {WORKED}, {many:.0} µs among a million: {:.2} times", many / few);
    drop(child.stdin.take());
    let _ = child.wait();
}
