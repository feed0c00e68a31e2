//! The sandbox of processes, from outside: what a picture may do to its process costs that picture, and nothing else.
//!
//! What is to be done stands at a source's end, as `pixmill-harm:WHAT@WHERE`, which builds for crash tests obey.

mod children;
mod memory;
mod mutants;
mod rounds;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use children::{children_of, is_gone};
use pixmill_adapters::sandbox::process::{ProcessSandbox, Program};
use pixmill_codec::{Limits, Recipe, Recompressed};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::{Charge, Memory, Sandbox, Unbounded};
use pixmill_testkit::origin::{Origin, Pictures, Settings};

use crate::server::Server;

/// A picture that does something to its process.
fn harmful(what: &str) -> Vec<u8> {
    let mut bytes = good();
    bytes.extend(format!("pixmill-harm:{what}").bytes());
    bytes
}

fn good() -> Vec<u8> {
    std::fs::read(pictures().join("caps.jpg")).expect("the examples are there")
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures")
}

fn sandbox(width: usize) -> ProcessSandbox {
    let program = Program { path: env!("CARGO_BIN_EXE_pixmill").into(), argument: "decode-pictures" };
    ProcessSandbox::new(width, Duration::from_secs(1), program).expect("a thread")
}

async fn recompressed(sandbox: &ProcessSandbox, source: Vec<u8>) -> Result<Recompressed, Fault> {
    sandbox.recompress(source.into(), Recipe::default(), Limits::default(), &Unbounded).await
}

#[tokio::test]
async fn whatever_a_picture_does_to_its_process_costs_only_itself() {
    let sandbox = sandbox(1);
    let cases = [
        ("panic@decode", Code::ImageCrashed, "crashed"),
        ("panic@read", Code::ImageCrashed, "broke off"),
        ("abort@decode", Code::ImageCrashed, "signal 6"),
        ("overflow@decode", Code::ImageCrashed, "signal 6"),
        ("exit@done", Code::ImageCrashed, "broke off"),
        ("bloat@decode", Code::ImageCrashed, "memory"),
        ("hang@decode", Code::ImageTooSlow, "1 s of a processor"),
        ("nonsense@answering", Code::ImageCrashed, "crashed"),
        ("long@answering", Code::ImageCrashed, "a head of"),
        ("much@answering", Code::ImageCrashed, "announces more"),
        ("abort@answering", Code::ImageCrashed, "signal 6"),
    ];
    for (what, code, words) in cases {
        let fault = recompressed(&sandbox, harmful(what)).await.expect_err(what);
        assert_eq!((fault.code, fault.transient), (code, false), "{what}: {fault}");
        assert!(fault.message.contains(words), "{what}: {fault}");
        assert!(recompressed(&sandbox, good()).await.is_ok(), "after {what}");
    }
}

#[tokio::test]
async fn a_child_reaches_no_file_no_network_and_no_process() {
    // It panics where it could do any of it.
    let done = recompressed(&sandbox(1), harmful("escape@decode")).await;
    assert!(done.is_ok(), "{done:?}");
}

#[tokio::test]
async fn a_picture_comes_out_as_the_codec_makes_it() {
    let source = good();
    let (recipe, limits) = (Recipe::default(), Limits::default());
    let alone = pixmill_codec::recompress(&source, &recipe, &limits, &mut Default::default()).unwrap();
    assert_eq!(recompressed(&sandbox(1), source).await.unwrap(), alone);
}

#[tokio::test]
async fn what_was_made_of_a_picture_is_held_against_it() {
    let (sandbox, source, limits) = (sandbox(1), Bytes::from(good()), Limits::default());
    let judged = async |quality: u8, max_width: Option<u32>| {
        let recipe = Recipe { quality, max_width, ..Recipe::default() };
        let made = sandbox.recompress(source.clone(), recipe, limits, &Unbounded).await.unwrap();
        let score = sandbox.judge(source.clone(), made.bytes.into(), recipe, limits, &Unbounded).await;
        score.unwrap()
    };
    let (low, high, small) = (judged(10, None).await, judged(90, None).await, judged(90, Some(200)).await);
    assert!(low < high && (60.0..=100.0).contains(&high) && small > 60.0, "{low} {high} {small}");
    // What was made by another recipe has another size.
    let other = sandbox.judge(
        source.clone(),
        source.clone(),
        Recipe { max_width: Some(9), ..Recipe::default() },
        limits,
        &Unbounded,
    );
    assert_eq!(other.await.unwrap_err().code, Code::ImageUnsupported);
    let broken = sandbox.judge(
        source.clone(),
        Bytes::from_static(b"no picture"),
        Recipe::default(),
        limits,
        &Unbounded,
    );
    assert_eq!(broken.await.unwrap_err().code, Code::ImageUnsupported);
    assert!(recompressed(&sandbox, good()).await.is_ok(), "its process goes on");
}

#[tokio::test]
async fn whoever_stops_waiting_takes_nothing_with_him() {
    let sandbox = Arc::new(sandbox(1));
    let waiting = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { recompressed(&sandbox, harmful("sleep@decode")).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    waiting.abort();
    assert!(recompressed(&sandbox, good()).await.is_ok());
}

/// Takes note of what is charged and given back.
#[derive(Default)]
struct Book(Arc<Mutex<Vec<i64>>>);

struct Entry(Arc<Mutex<Vec<i64>>>, i64);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(-self.1);
    }
}

#[async_trait]
impl Memory for Book {
    async fn charge(&self, bytes: u64) -> Charge {
        self.0.lock().unwrap().push(bytes as i64);
        Box::new(Entry(self.0.clone(), bytes as i64))
    }
}

#[tokio::test]
async fn what_a_picture_takes_is_charged_before_it_is_taken() {
    let (sandbox, book) = (sandbox(1), Book::default());
    let source = Bytes::from(good());
    let recipe = Recipe { target_ssimulacra2: 50.0.try_into().ok(), ..Recipe::default() };
    let limits = Limits::default();
    let needs = pixmill_codec::probe(&source, &recipe, &limits).unwrap().memory_bytes;
    sandbox.recompress(source.clone(), recipe, limits, &book).await.unwrap();
    let (first, then) = ((8 << 20) + source.len() as i64, needs as i64 + source.len() as i64);
    // What is held is given back before more is waited for, or two could wait for each other.
    assert_eq!(*book.0.lock().unwrap(), [first, -first, then, -then]);
}

#[test]
fn a_child_ends_with_its_parent_even_one_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("a.jpg"), folder.path().join("b.jpg"));
    std::fs::write(&source, harmful("hang@decode")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    command.arg("image").arg(&source).arg(&out).args(["--max-seconds", "60"]);
    let mut parent = command.stderr(Stdio::null()).spawn().unwrap();
    let child = children::wait_for(|| children_of(parent.id()).first().copied());
    std::thread::sleep(Duration::from_millis(100));
    parent.kill().unwrap();
    parent.wait().unwrap();
    children::wait_for(|| is_gone(child).then_some(()));
}

#[tokio::test]
async fn of_two_workers_on_one_database_none_suffers_from_a_picture_that_crashes() {
    let pictures = [("good.jpg", good()), ("evil.jpg", harmful("abort@decode"))];
    let pictures = pictures.map(|(name, bytes)| (name.to_owned(), Bytes::from(bytes)));
    let origin = Origin::start(Settings::serving(Pictures::Memory(pictures.into()))).unwrap();
    let server = Server::new();
    let mut catalogue = String::from("S. No.,Product Name,Input Image Urls\n");
    for number in 0..100 {
        let name = if number == 40 { "evil.jpg" } else { "good.jpg" };
        catalogue += &format!("{number},Product,{}?{number}\n", origin.url(&format!("/{name}")));
    }
    let request = server.accept(&catalogue, None).await;
    let mut workers: Vec<_> =
        (0..2).map(|_| server.command(&["--role", "worker"]).spawn().expect("a worker starts")).collect();
    server.wait_for(&request).await;
    for worker in &mut workers {
        assert!(worker.try_wait().unwrap().is_none(), "a worker ended: {}", server.said());
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let progress = server.records.progress(&request).await.unwrap();
    assert_eq!((progress.completed, progress.failed), (99, 1), "{}", server.said());
    let asked = origin.log();
    let evil = asked.iter().filter(|entry| entry.path.starts_with("/evil.jpg")).count();
    assert_eq!(evil, 1, "it is tried once, for it is known to be to blame");
}
