//! The pipeline over a queue in Redis that loses what it holds: records know, so everything finishes, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::queue::bullmq::{BullQueue, Settings as QueueSettings};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_codec::Limits;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::request::{NewRequest, Progress, RequestStatus};
use pixmill_engine::model::row::{NewImage, NewRow};
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::pipeline::{Ended, Pipeline, Ports, Scope, Settings, Supply, Watcher, dispatch};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::origin::{Answer, Body, Hop, Origin};
use pixmill_engine::port::records::{Intake, IntakeEnd, Report};
use pixmill_engine::port::traces::Untold;
use pixmill_testkit::services::End;
use pixmill_testkit::services::redis::{Persistence, Redis};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::unchanged::Unchanged;

const PICTURE: &[u8] = include_bytes!("../../../examples/pictures/caps.jpg");

/// Answers after a while with the same picture.
struct Camera {
    after: Duration,
}

struct Once(Option<Bytes>);

#[async_trait]
impl Body for Once {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl Origin for Camera {
    async fn get(&self, _: &Hop) -> Result<Answer, Fault> {
        tokio::time::sleep(self.after).await;
        let body = Box::new(Once(Some(Bytes::from_static(PICTURE))));
        Ok(Answer::of_file(PICTURE.len() as u64, body))
    }
}

/// How often each image ended.
#[derive(Default)]
struct Ends(Mutex<HashMap<u64, u32>>);

impl Watcher for Ends {
    fn ended(&self, ended: Ended) {
        *self.0.lock().unwrap().entry(ended.row).or_default() += 1;
    }
}

/// Records with one request, and workers over them.
struct World {
    folder: TempDir,
    records: Arc<Sqlite>,
    request: RequestId,
    images: u64,
    ends: Arc<Ends>,
    workers: Vec<(CancellationToken, JoinHandle<Result<(), Fault>>)>,
}

fn settings(redis: &Redis, name: &str) -> QueueSettings {
    QueueSettings { name: name.into(), window: 100, hold: 100, ..QueueSettings::new(redis.url()) }
}

impl World {
    async fn with(images: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let records = Arc::new(Sqlite::open(&folder.path().join("records.db")).unwrap());
        let (request, fingerprint, now) = (RequestId::new(), Fingerprint::new(), SystemClock.wall());
        let new = NewRequest {
            id: request.clone(),
            tenant: "default".to_owned(),
            header: "Input Image Urls".into(),
            catalogue: "catalogue.csv".into(),
            traceparent: None,
        };
        records.begin(new, now).await.unwrap();
        let row = |number: u64| {
            let input = format!("http://origin-{}.example/{number}.jpg", number % 4);
            let fingerprint = fingerprint.of(&input);
            let images = vec![NewImage { input: input.clone(), fingerprint }];
            NewRow { cells: input, name: String::new(), images, error: None }
        };
        records.append(&request, (0..images).map(row).collect(), now).await.unwrap();
        let end = IntakeEnd {
            options: Default::default(),
            digest: String::new(),
            reading: String::new(),
            rows: images,
            row_errors: Vec::new(),
            row_errors_total: 0,
        };
        records.open(&request, end, now).await.unwrap();
        World { folder, records, request, images, ends: Arc::default(), workers: Vec::new() }
    }

    async fn pipeline(&self, queue: QueueSettings) -> Pipeline {
        let out = self.folder.path().join("out");
        let ports = Ports {
            records: self.records.clone(),
            queue: Arc::new(BullQueue::connect(queue).await.unwrap()),
            storage: Arc::new(DiskStorage::open(&out, &self.folder.path().join("tmp")).unwrap()),
            sandbox: Arc::new(Unchanged(1)),
            origin: Arc::new(Camera { after: Duration::from_millis(20) }),
            files: None,
            clock: Arc::new(SystemClock),
            traces: Arc::new(Untold),
        };
        let settings = Settings {
            connections: 8,
            per_origin: 4,
            memory_bytes: 64 << 20,
            limits: Limits::default(),
            max_bytes: 1 << 20,
            timeout: Duration::from_secs(30),
            attempts: 5,
            longest_retry_after: Duration::from_secs(60),
            lease: LEASE,
        };
        Pipeline::new(ports, settings, self.ends.clone())
    }

    async fn work(&mut self, queue: QueueSettings) {
        let (pipeline, stop) = (self.pipeline(queue).await, CancellationToken::new());
        let until = stop.clone();
        self.workers.push((stop, tokio::spawn(async move { pipeline.work(Scope::All, until).await })));
    }

    async fn feed(&mut self, queue: QueueSettings) {
        let queue = BullQueue::connect(QueueSettings { hold: 0, ..queue }).await.unwrap();
        let supply =
            Supply { records: self.records.clone(), queue: Arc::new(queue), clock: Arc::new(SystemClock) };
        let stop = CancellationToken::new();
        self.workers.push((stop.clone(), tokio::spawn(dispatch::feed(supply, LEASE, stop))));
    }

    /// Stops the worker that was started first.
    async fn stop_first(&mut self) {
        let (stop, worker) = self.workers.remove(0);
        stop.cancel();
        worker.await.unwrap().unwrap();
    }

    async fn progress(&self) -> Progress {
        self.records.progress(&self.request).await.unwrap()
    }

    /// Waits until this holds of the progress.
    async fn comes_to(&self, what: &str, holds: impl Fn(Progress) -> bool) {
        let until = tokio::time::Instant::now() + Duration::from_secs(120);
        while !holds(self.progress().await) {
            let progress = self.progress().await;
            assert!(tokio::time::Instant::now() < until, "{what} did not come about: {progress:?}");
            for (_, worker) in &self.workers {
                assert!(!worker.is_finished(), "a worker gave up before {what}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn some_have_ended(&self) {
        let some = self.images / 5;
        self.comes_to("a fifth of the ends", |progress| progress.ended() >= some).await;
    }

    /// Every image ends, once, and the request completes, once.
    async fn finishes(mut self) {
        self.comes_to("the end", |progress| progress.is_complete()).await;
        let found = self.records.request(&self.request).await.unwrap().unwrap();
        assert_eq!(found.status, RequestStatus::Completed);
        assert_eq!(self.progress().await.completed, self.images);
        assert_eq!(self.records.completions(&self.request).await.unwrap().len(), 1);
        while !self.workers.is_empty() {
            self.stop_first().await;
        }
        let ends = self.ends.0.lock().unwrap();
        assert_eq!(ends.len() as u64, self.images);
        assert!(ends.values().all(|times| *times == 1), "an image ended twice: {ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_queue_fills_itself_again() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let mut world = World::with(300).await;
    world.work(settings(&redis, "flushed")).await;
    world.some_have_ended().await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    world.finishes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_lost_everything_is_waited_out() {
    let mut redis = Redis::start(Persistence::None, &[]).await;
    let mut world = World::with(300).await;
    world.work(settings(&redis, "lost")).await;
    world.some_have_ended().await;
    redis.stop(End::Killed);
    tokio::time::sleep(Duration::from_millis(700)).await;
    redis.start_again().await;
    world.finishes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_kept_everything_is_waited_out() {
    let mut redis = Redis::start(Persistence::AppendOnly, &[]).await;
    let mut world = World::with(300).await;
    world.work(QueueSettings { lock: Duration::from_secs(2), ..settings(&redis, "kept") }).await;
    world.some_have_ended().await;
    redis.stop(End::Killed);
    tokio::time::sleep(Duration::from_millis(700)).await;
    redis.start_again().await;
    world.finishes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_queue_and_one_feeds_it() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let mut world = World::with(300).await;
    for _ in 0..2 {
        world.work(QueueSettings { hold: 20, ..settings(&redis, "shared") }).await;
    }
    world.some_have_ended().await;
    // Whoever feeds stops; the other takes over.
    world.stop_first().await;
    world.finishes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_job_ended_but_whose_record_did_not_is_fed_again() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = settings(&redis, "elsewhere");
    let mut world = World::with(5).await;
    world.feed(settings.clone()).await;
    // Somebody else's worker, which knows nothing of records.
    let mut options = bullmq::WorkerOptions::new();
    options.connection.url = settings.url.clone();
    let taken = Arc::new(Mutex::new(HashMap::<String, u32>::new()));
    let take = taken.clone();
    let processor = move |job: bullmq::Job, _| {
        *take.lock().unwrap().entry(job.id().to_owned()).or_default() += 1;
        async { Ok(serde_json::Value::Null) }
    };
    let other = bullmq::Worker::with_options(&settings.name, processor, options).await.unwrap();
    let twice = |taken: &HashMap<String, u32>| taken.len() == 5 && taken.values().all(|times| *times >= 2);
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while !twice(&taken.lock().unwrap()) {
        assert!(tokio::time::Instant::now() < until, "{:?}", taken.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    other.close(1_000).await.unwrap();
    assert_eq!(world.progress().await.pending, 5);
    world.work(settings).await;
    world.finishes().await;
}
