//! Workers over records in a file, by a clock that the test turns: leases, deaths, and several processes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_adapters::queue::database::DatabaseQueue;
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_codec::Limits;
use pixmill_engine::checkup::Diagnose;
use pixmill_engine::fault::Fault;
use pixmill_engine::lead::Leading;
use pixmill_engine::model::id::{JobId, RequestId};
use pixmill_engine::model::image::Candidate;
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::request::NewRequest;
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::pipeline::{Ended, Pipeline, Ports, Scope, Settings, Supply, Watcher, dispatch};
use pixmill_engine::port::clock::{Clock, Instant};
use pixmill_engine::port::origin::{Answer, Body, Hop, Origin};
use pixmill_engine::port::queue::{Delivered, Job, Queue};
use pixmill_engine::port::records::{Intake, IntakeEnd, Report};
use pixmill_engine::port::storage::Storage;
use pixmill_engine::port::traces::Untold;
use pixmill_engine::upkeep::Upkeep;
use pixmill_testkit::clock::TestClock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::unchanged::Unchanged;

/// Answers with a few bytes after a while of the test's clock.
struct Camera {
    clock: Arc<TestClock>,
    after: Duration,
    asked: AtomicUsize,
}

struct Once(Option<Bytes>);

#[async_trait]
impl Body for Once {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.take())
    }
}

/// A body that was promised and never comes.
struct Never;

#[async_trait]
impl Body for Never {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        std::future::pending().await
    }
}

/// Hosts called `dead` have a name that nobody answers for; those called `promise` promise much and send nothing.
#[async_trait]
impl Origin for Camera {
    async fn look_up(&self, url: &Url) {
        if url.as_str().contains("dead") {
            std::future::pending().await
        }
    }

    async fn get(&self, hop: &Hop) -> Result<Answer, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if hop.url.as_str().contains("dead") {
            return std::future::pending().await;
        }
        if hop.url.as_str().contains("promise") {
            return Ok(Answer::of_file(50_000_000, Box::new(Never)));
        }
        self.clock.sleep(self.after).await;
        Ok(Answer::of_file(7, Box::new(Once(Some(Bytes::from_static(b"picture"))))))
    }
}

struct Anywhere;

impl Diagnose for Anywhere {}

#[async_trait]
impl Storage for Anywhere {
    async fn put(&self, key: &str, _: &'static str, _: Vec<u8>) -> Result<String, Fault> {
        Ok(key.to_owned())
    }

    async fn remove(&self, _: &[String]) -> Result<(), Fault> {
        Ok(())
    }
}

/// When images ended, and how many in all.
struct Ends {
    clock: Arc<TestClock>,
    at: Mutex<Vec<Instant>>,
}

impl Watcher for Ends {
    fn ended(&self, _: Ended) {
        self.at.lock().unwrap().push(self.clock.instant());
    }
}

/// Records with a request of many images at many origins.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    request: RequestId,
    ends: Arc<Ends>,
    connections: usize,
}

/// A worker, with upkeep beside it.
pub(crate) struct Process {
    camera: Arc<Camera>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Process {
    /// As `kill -9` does: nothing is handed back, nothing is written any more.
    pub(crate) async fn killed(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

impl World {
    async fn with(images: usize) -> Self {
        let input = |number| format!("http://origin-{}.example/{number}.jpg", number % 50);
        Self::of((0..images).map(input).collect()).await
    }

    pub(crate) async fn of(inputs: Vec<String>) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(TestClock::default()));
        let ends = Arc::new(Ends { clock: clock.clone(), at: Mutex::default() });
        let world = World { folder, clock, request: RequestId::new(), ends, connections: 200 };
        world.take_in(&world.request, "default", inputs).await;
        world
    }

    /// Takes a request of a tenant in.
    pub(crate) async fn take_in(&self, request: &RequestId, tenant: &str, inputs: Vec<String>) {
        let images = inputs.len();
        let (records, fingerprint, now) = (self.records(), Fingerprint::new(), self.clock.wall());
        let new = NewRequest {
            id: request.clone(),
            tenant: tenant.into(),
            header: "Input Image Urls".into(),
            catalogue: "catalogue.csv".into(),
            traceparent: None,
        };
        records.begin(new, now).await.unwrap();
        let row = |input: String| {
            let fingerprint = fingerprint.of(&input);
            let images = vec![NewImage { input: input.clone(), fingerprint }];
            NewRow { cells: input, name: String::new(), images, error: None }
        };
        records.append(request, inputs.into_iter().map(row).collect(), now).await.unwrap();
        let end = IntakeEnd {
            options: Default::default(),
            digest: String::new(),
            reading: String::new(),
            rows: images as u64,
            row_errors: Vec::new(),
            row_errors_total: 0,
        };
        records.open(request, end, now).await.unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pixmill.db")
    }

    /// The records as another process opens them.
    fn records(&self) -> Arc<Sqlite> {
        Arc::new(Sqlite::open_by(&self.file(), self.clock.clone(), Some("boot".into())).unwrap())
    }

    /// A process whose origins answer after so long.
    pub(crate) fn work(&self, after: Duration) -> Process {
        let (records, clock) = (self.records(), self.clock.clone());
        let camera = Arc::new(Camera { clock: clock.clone(), after, asked: AtomicUsize::new(0) });
        let ports = Ports {
            records: records.clone(),
            queue: Arc::new(DatabaseQueue::new(10_000)),
            storage: Arc::new(Anywhere),
            sandbox: Arc::new(Unchanged(2)),
            origin: camera.clone(),
            files: None,
            clock: clock.clone(),
            traces: Arc::new(Untold),
        };
        let settings = Settings {
            connections: self.connections,
            per_origin: 8,
            memory_bytes: 512 << 20,
            limits: Limits::default(),
            max_bytes: 64 << 20,
            timeout: Duration::from_secs(3_600),
            attempts: 5,
            longest_retry_after: Duration::from_secs(60),
            lease: LEASE,
        };
        let (stop, upkeep) = (
            CancellationToken::new(),
            Upkeep { records, clock, attempts: 5, lease: LEASE, leading: Leading::default() },
        );
        let pipeline = Pipeline::new(ports, settings, self.ends.clone());
        let (until, over) = (stop.clone(), stop.clone());
        let work = tokio::spawn(async move { pipeline.work(Scope::All, until).await.unwrap() });
        let beside = tokio::spawn(async move { upkeep.tend(over).await });
        Process { camera, stop, tasks: vec![work, beside] }
    }

    pub(crate) fn ended(&self) -> usize {
        self.ends.at.lock().unwrap().len()
    }

    /// A number out of records.
    fn number(&self, question: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        connection.query_row(question, [], |row| row.get(0)).unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_at_a_third_of_it_for_as_long_as_work_takes() {
    let world = World::with(20).await;
    let process = world.work(Duration::from_secs(300));
    let asked = async || process.camera.asked.load(Ordering::Relaxed) == 20;
    world.clock.pass_until("all are asked for", LONG, asked).await;
    let held_until = || world.number("SELECT min(lease_until) FROM images");
    let (first, began) = (held_until(), world.clock.instant());
    let renewed = async || held_until() > first;
    world.clock.pass_until("leases are renewed", LEASE / 2, renewed).await;
    let after = world.clock.instant().since(began);
    assert!(after <= LEASE / 3 + Duration::from_secs(2), "renewed after {after:?}");
    // Four times as long as a lease that is not renewed.
    world.clock.pass(Duration::from_secs(240), Duration::from_millis(500)).await;
    let all = async || world.ended() == 20;
    world.clock.pass_until("all have ended", LONG, all).await;
    assert_eq!(world.number("SELECT max(attempts) FROM images"), 1, "no lease ran out");
    assert_eq!(process.camera.asked.load(Ordering::Relaxed), 20, "nothing was fetched twice");
    process.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_is_back_within_a_lease_and_seconds_of_a_kill_with_200_images_in_hand() {
    let world = World::with(1_000).await;
    let dying = world.work(Duration::from_secs(3_000));
    let in_hand = async || dying.camera.asked.load(Ordering::Relaxed) >= 200;
    world.clock.pass_until("200 are in hand", LONG, in_hand).await;
    let held = world.number("SELECT count(*) FROM images WHERE status = 1");
    dying.killed().await;
    let (killed, records) = (world.clock.instant(), world.records());
    let process = world.work(Duration::from_secs(1));
    let all = async || world.ended() == 1_000;
    world.clock.pass_until("all have ended", LEASE + LONG, all).await;
    process.stopped().await;
    let mut series = vec![0; 13];
    for at in world.ends.at.lock().unwrap().iter() {
        series[(at.since(killed).as_secs() as usize / 10).min(12)] += 1;
    }
    println!("killed with {held} in hand; images ended in each 10 s after: {series:?}");
    assert!(held >= 200, "{held}");
    let took = world.clock.instant().since(killed);
    // Leases are looked after four times in one.
    assert!(took <= LEASE + LEASE / 4 + Duration::from_secs(15), "{took:?}: {series:?}");
    let progress = records.progress(&world.request).await.unwrap();
    assert_eq!((progress.completed, progress.total()), (1_000, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_and_do_nothing_twice() {
    let world = World::with(600).await;
    let processes = [(); 2].map(|()| world.work(Duration::from_secs(1)));
    let all = async || world.ended() == 600;
    world.clock.pass_until("all have ended", LONG, all).await;
    let asked = processes.each_ref().map(|process| process.camera.asked.load(Ordering::Relaxed));
    println!("pictures fetched by each: {asked:?}");
    assert_eq!(asked.iter().sum::<usize>(), 600);
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
    for process in processes {
        process.stopped().await;
    }
}

/// A window that processes share, as one of them sees it.
struct SharedQueue {
    window: Arc<DatabaseQueue>,
    added: AtomicU64,
}

impl Diagnose for SharedQueue {}

#[async_trait]
impl Queue for SharedQueue {
    fn is_shared(&self) -> bool {
        true
    }

    fn hold(&self) -> usize {
        0
    }

    async fn room(&self) -> Result<usize, Fault> {
        self.window.room().await
    }

    async fn add(&self, jobs: Vec<Candidate>) -> Result<usize, Fault> {
        self.added.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        self.window.add(jobs).await
    }

    fn take(&self, most: usize) -> Vec<Job> {
        self.window.take(most)
    }

    async fn arrival(&self) {
        std::future::pending().await
    }

    fn finish(&self, job: &JobId, delivered: Delivered) {
        self.window.finish(job, delivered);
    }

    async fn close(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_feeds_is_followed_within_a_lease_of_its_death() {
    let world = World::with(300).await;
    let window = Arc::new(DatabaseQueue::new(100));
    let feed = |queue: Arc<SharedQueue>| {
        let supply = Supply { records: world.records(), queue, clock: world.clock.clone() };
        tokio::spawn(async move { dispatch::feed(supply, LEASE, CancellationToken::new()).await })
    };
    let queue = || Arc::new(SharedQueue { window: window.clone(), added: AtomicU64::new(0) });
    let queues = [queue(), queue()];
    let first = feed(queues[0].clone());
    let full = async || window.room().await == Ok(0);
    world.clock.pass_until("the window is full", LONG, full).await;
    let second = feed(queues[1].clone());
    world.clock.pass(LEASE * 2, Duration::from_millis(250)).await;
    assert_eq!(queues[1].added.load(Ordering::Relaxed), 0, "one feeds at a time");
    first.abort();
    let died = world.clock.instant();
    for job in window.take(100) {
        window.finish(&job.id, Delivered::Returned);
    }
    world.clock.pass_until("the other one feeds", LEASE * 2, full).await;
    let after = world.clock.instant().since(died);
    println!("the window is full again {after:?} after its feeder died");
    assert!(after <= LEASE + Duration::from_secs(10), "{after:?}");
    second.abort();
}

/// Good pictures that come after such as take long.
async fn good_ones_behind(bad: Vec<String>) -> Duration {
    let good = (0..300).map(|number| format!("http://good-{}.example/{number}.jpg", number % 4));
    let world = World { connections: 64, ..World::of(bad.into_iter().chain(good).collect()).await };
    let process = world.work(Duration::from_millis(100));
    let done = async || world.ended() == 300;
    let took = world.clock.pass_until("the good ones have ended", LONG, done).await;
    process.killed().await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_answers_for_hold_up_no_good_ones() {
    let took = good_ones_behind((0..300).map(|n| format!("http://dead-{n}.example/1.jpg")).collect()).await;
    println!("300 good ones behind 300 dead names: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_promise_much_and_hang_take_no_memory_from_others() {
    let promise = |n| format!("http://promise-{}.example/{n}.jpg", n % 30);
    let took = good_ones_behind((0..60).map(promise).collect()).await;
    println!("300 good ones behind 60 that promise 50 MB each: {took:?}");
}
