//! Bodies that drip, that are too large, that are never whole.

use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_engine::catalogue::Hints;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::Options;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::accept::{Intake, Unwatched, accept};
use pixmill_engine::port::clock::{self, Clock};
use pixmill_engine::port::records::Records;
use serde_json::json;

use super::wire::{address, answer, begin};
use crate::caller::Caller;
use crate::server::Server;

const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// The head of an upload that goes on for as long as it likes.
fn head(caller: &Caller, path: &str, media_type: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\nhost: {}\ncontent-type: {media_type}\ntransfer-encoding: chunked\n\n",
        address(caller)
    )
}

/// An upload that has begun and of which nothing more comes.
fn stuck(caller: &Caller, media_type: &str) -> TcpStream {
    let body = if media_type == JSON { r#"{"images": ["http"# } else { "Name,Image Urls\nCap,http" };
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    begin(caller, &head(caller, "/v1/requests", media_type), chunk.as_bytes())
}

#[test]
fn slow_uploads_keep_nobody_waiting() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let id = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n").id();
    let slow: Vec<_> = (0..600).map(|at| stuck(&caller, if at % 2 == 0 { JSON } else { CSV })).collect();
    for path in ["/healthz", "/readyz", "/v1/requests", &format!("/v1/requests/{id}"), "/metrics"] {
        let began = Instant::now();
        assert_eq!(caller.get(path, &[]).status, 200, "{path}");
        assert!(began.elapsed() < Duration::from_secs(5), "{path} took {:?}", began.elapsed());
    }
    let refused = slow.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        let (mut part, mut reading): (_, &TcpStream) = ([0; 64], stream);
        reading.read(&mut part).is_ok_and(|read| part[..read].starts_with(b"HTTP/1.1 429"))
    });
    assert!(refused.count() > 500, "a tenant has a bound");
    // Once it is known how slow they are, they give way.
    let began = Instant::now();
    loop {
        let taken = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n");
        if taken.status == 202 {
            return;
        }
        assert_eq!((taken.status, taken.code().as_str()), (429, "rate.limited"), "{taken:?}");
        assert!(!taken.header("retry-after").is_empty());
        assert!(began.elapsed() < Duration::from_secs(60), "they hold the room for good");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_body_that_is_too_large_is_told_so_however_much_is_sent() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api", "--max-upload", "1"]);
    let bytes = 48 << 20;
    let edge = "multipart/form-data; boundary=edge";
    let form = "--edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nName,Image Urls\n";
    for (media_type, beginning, row) in [
        (CSV, "Name,Image Urls\n", "Cap,http://h/a.jpg\n"),
        (JSON, r#"{"images": [""#, r#"http://h/a.jpg", ""#),
        (edge, form, "Cap,http://h/a.jpg\n"),
    ] {
        let head = format!(
            "POST /v1/requests HTTP/1.1\nhost: {}\ncontent-type: {media_type}\ncontent-length: {bytes}\n\n",
            address(&caller)
        );
        let mut body = beginning.as_bytes().to_vec();
        while body.len() < bytes {
            body.extend_from_slice(row.as_bytes());
        }
        body.truncate(bytes);
        let mut stream = begin(&caller, &head, b"");
        stream.write_all(&body).unwrap_or_else(|error| panic!("{media_type} is cut off: {error}"));
        let (status, text) = answer(stream);
        assert!(status == 413 && text.contains("body.too_large"), "{media_type}: {text:.400}");
    }
}

#[test]
fn the_head_of_a_part_has_a_bound() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let name = "x".repeat(8 << 20);
    for before in ["", "--edge\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n"] {
        let body = format!(
            "{before}--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let head = format!(
            "POST /v1/requests HTTP/1.1\nhost: {}\ncontent-type: multipart/form-data; boundary=edge\n\
             content-length: {}\n\n",
            address(&caller),
            body.len() + 1
        );
        let (status, text) = answer(begin(&caller, &head, body.as_bytes()));
        assert!(status == 413 && text.contains("body.too_large"), "{text:.400}");
    }
}

#[test]
fn a_field_of_any_length_before_the_file_is_passed_over() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let body = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\n{}\r\n\
         --edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nName,Image Urls\nCap,http://h/a.jpg\n\r\n--edge--\r\n",
        "x".repeat(4 << 20)
    );
    let edge = [("content-type", "multipart/form-data; boundary=edge")];
    let taken = caller.post("/v1/requests", &edge, body);
    assert_eq!(taken.status, 202, "{taken:?}");
}

#[test]
fn corrections_that_are_never_whole_hold_little_memory() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api", "--memory", "64"]);
    let id = caller.post_csv("/v1/requests", "Name,Image Urls\nCap,http://h/a.jpg\n").id();
    let part = vec![b'a'; 20 << 20];
    let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part].concat();
    let path = format!("/v1/requests/{id}/retry");
    let mut streams: Vec<_> = (0..16).map(|_| begin(&caller, &head(&caller, &path, CSV), &chunk)).collect();
    let refused = streams.split_off(8).into_iter().map(answer);
    for (status, text) in refused {
        assert!(status == 503 && text.contains("rate.limited"), "{text:.400}");
    }
    let kib = std::fs::read_to_string(format!("/proc/{}/status", caller.process.0.id())).unwrap();
    let kib = kib.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 300 << 10, "{kib} KiB");
}

/// Passes time ten thousand times as fast.
struct Fast(Instant);

const FASTER: u32 = 10_000;

#[async_trait]
impl Clock for Fast {
    fn wall(&self) -> Timestamp {
        Timestamp((self.0.elapsed() * FASTER).as_millis() as i64)
    }

    fn instant(&self) -> clock::Instant {
        clock::Instant(self.0.elapsed() * FASTER)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / FASTER).await;
    }
}

/// A row now and then: too few for a batch.
struct Scraper {
    left: usize,
    row: Cursor<String>,
}

impl Scraper {
    fn new(rows: usize) -> Self {
        Scraper { left: rows, row: Cursor::new("Name,Image Urls\n".to_owned()) }
    }
}

impl Read for Scraper {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.row.read(buffer)?;
        if read > 0 || self.left == 0 {
            return Ok(read);
        }
        std::thread::sleep(Duration::from_millis(10));
        self.left -= 1;
        self.row = Cursor::new(format!("Cap,http://h/{}.jpg\n", self.left));
        self.row.read(buffer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_upload_that_sends_is_never_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let records: Arc<dyn Records> = Arc::new(Sqlite::open(&folder.path().join("pixmill.db")).unwrap());
    let (clock, over) = (Arc::new(Fast(Instant::now())), Arc::new(AtomicBool::new(false)));
    let upkeep = tokio::spawn({
        let (records, clock, over) = (records.clone(), clock.clone(), over.clone());
        async move {
            let mut given_up = 0;
            while !over.load(Ordering::Relaxed) {
                let stalled = Timestamp(clock.wall().0 - 6_000_000);
                given_up += records.forget_intakes(stalled, stalled).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            given_up
        }
    });
    let intake = Intake {
        request: RequestId::new(),
        tenant: "default".into(),
        catalogue: "shop.csv".into(),
        hints: Hints::default(),
        traceparent: None,
        originals: None,
    };
    let options = std::future::ready(Ok(Options::default()));
    // Six hundred milliseconds here, so an hour and two thirds there.
    let accepted = accept(&records, &*clock, Scraper::new(60), intake, options, Unwatched).await;
    over.store(true, Ordering::Relaxed);
    assert_eq!(upkeep.await.unwrap(), 0);
    let progress = records.progress(&accepted.unwrap()).await.unwrap();
    assert_eq!(progress.total(), 60);
}

#[test]
fn addresses_of_any_length_are_taken_in_and_given_out_with_little_memory() {
    let server = Server::new();
    let caller = Caller::start(&server, &["--role", "api"]);
    let url = format!("http://h/{}", "a".repeat(400_000));
    let images: Vec<_> = (0..400).map(|number| format!("{url}{number}")).collect();
    let taken = caller.post("/v1/requests", &[("content-type", JSON)], json!({"images": images}).to_string());
    assert_eq!(taken.status, 202, "{taken:?}");
    assert!(most_kib(&caller) < 150 << 10, "{} KiB at most for 160 MB in", most_kib(&caller));
    let id = taken.id();
    for answer in ["images?limit=1000", "results.csv"] {
        let bytes = caller.get_long(&format!("/v1/requests/{id}/{answer}"));
        assert!(bytes > 160_000_000, "{answer}: {bytes} bytes");
    }
    assert!(most_kib(&caller) < 250 << 10, "{} KiB at most for 160 MB out", most_kib(&caller));
}

/// The most memory that a server ever held.
fn most_kib(caller: &Caller) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", caller.process.0.id())).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.trim().trim_end_matches(" kB").parse().unwrap()
}
