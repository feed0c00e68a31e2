//! Queue `redis://` on a Redis of its own: what it promises beside the suite of its port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bullmq::types::{BackoffStrategy, JobProgress};
use bullmq::{JobOptions, QueueOptions};
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::queue::bullmq::{BullQueue, Settings, inspect};
use pixmill_engine::checkup::{Diagnose, Severity};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::{Candidate, Failure, Output};
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::queue::{Backoff, Delivered, Queue, Retries};
use pixmill_testkit::queue::{await_room, candidates, suite, take};
use pixmill_testkit::services::redis::{Persistence, Redis};
use serde_json::{Value, json};

/// A queue that works with little.
fn settings(redis: &Redis, name: &str) -> Settings {
    Settings { name: name.into(), window: 100, hold: 100, ..Settings::new(redis.url()) }
}

/// Runs a command, such as `INFO`.
async fn command<T: redis::FromRedisValue>(redis: &Redis, database: u8, words: &[&str]) -> T {
    let client = redis::Client::open(format!("{}/{database}", redis.url())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

async fn open(settings: Settings) -> Arc<dyn Queue> {
    Arc::new(BullQueue::connect(settings).await.unwrap())
}

/// The same queue, as another program sees it.
async fn seen(settings: &Settings) -> bullmq::Queue {
    let mut options = QueueOptions::default();
    options.connection.url = settings.url.clone();
    bullmq::Queue::with_options(&settings.name, options).await.unwrap()
}

async fn within_reason<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn output() -> Output {
    Output { location: "https://cdn.example/1.jpg".into(), bytes_before: 1000, bytes_after: 300, frames: 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let number = AtomicUsize::new(0);
    suite(async || {
        open(settings(&redis, &format!("queue-{}", number.fetch_add(1, Ordering::Relaxed)))).await
    })
    .await;
}

/// Jobs that are held together come by tasks of their own, any first.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_held_one_at_a_time_come_in_order() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let queue = open(Settings { hold: 1, ..settings(&redis, "order") }).await;
    let fed = candidates(0..10);
    assert_eq!(queue.add(fed.clone()).await.unwrap(), 10);
    for candidate in fed {
        let job = take(&queue, 1).await.remove(0);
        assert_eq!(job.image, candidate.image);
        queue.finish(&job.id, Delivered::Completed(output()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_shown_with_reason_value_progress_and_log() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = settings(&redis, "ends");
    let (queue, seen) = (open(settings.clone()).await, seen(&settings).await);
    queue.add(candidates(0..2)).await.unwrap();
    let jobs = take(&queue, 2).await;
    queue.finish(&jobs[0].id, Delivered::Completed(output()));
    let gone = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    queue.finish(&jobs[1].id, Delivered::Failed(gone));
    await_room(&queue, 100).await;

    let job = seen.get_job(jobs[0].id.as_str()).await.unwrap().unwrap();
    assert_eq!(job.id(), format!("{}-1-1", jobs[0].image));
    assert_eq!(job.name(), "process-image");
    // Of jobs that are taken at once any may come first.
    let both = candidates(0..2);
    let fed = both.iter().find(|fed| fed.image == jobs[0].image).unwrap();
    assert_eq!(
        job.data(),
        &json!({"requestId": fed.request.as_str(), "imageId": fed.image.as_str(), "inputUrl": fed.input})
    );
    let value: Value = serde_json::from_str(job.returnvalue()).unwrap();
    assert_eq!(value, json!({"secure_url": "https://cdn.example/1.jpg", "bytes": 300}));
    assert!(matches!(job.progress(), JobProgress::Number(100.0)), "{:?}", job.progress());
    assert_eq!(seen.get_job_logs(job.id(), 0, -1, true).await.unwrap().0.len(), 1);

    let job = seen.get_job(jobs[1].id.as_str()).await.unwrap().unwrap();
    assert!(job.is_failed().await.unwrap());
    assert_eq!(job.failed_reason(), "fetch.status: the server answered 404");
    assert_eq!(job.attempts_made(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_fault_delays_the_job_until_its_time() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = settings(&redis, "delayed");
    let (queue, seen) = (open(settings.clone()).await, seen(&settings).await);
    queue.add(candidates(0..1)).await.unwrap();
    let job = take(&queue, 1).await.remove(0);
    let fault = Fault::transient(Code::FetchStatus, "the server answered 503");
    queue.finish(&job.id, Delivered::Retried { wait: Duration::from_secs(3600), fault });
    let shown = async || seen.get_delayed(0, 9).await.unwrap().into_iter().next();
    let shown = within_reason("a delayed job", shown).await;
    assert_eq!(shown.id(), job.id.as_str());
    assert!((3_500_000..=3_600_000).contains(&shown.delay()), "{}", shown.delay());
    // Records feed the next attempt when its time has come there; the job lives on, so nothing is added.
    let again = Candidate { attempts: 1, ..candidates(0..1).remove(0) };
    assert_eq!(queue.add(vec![again]).await.unwrap(), 0);
    assert_eq!(seen.get_job_counts().await.unwrap().delayed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_ended_jobs_are_kept_to_the_last_thousand() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = Settings { window: 2_000, ..settings(&redis, "kept") };
    let (queue, seen) = (open(settings.clone()).await, seen(&settings).await);
    queue.add(candidates(0..1_100)).await.unwrap();
    for _ in 0..11 {
        for job in take(&queue, 100).await {
            queue.finish(&job.id, Delivered::Completed(output()));
        }
    }
    within_reason("all ended", async || (seen.get_active_count().await.unwrap() == 0).then_some(())).await;
    assert_eq!(seen.get_completed_count().await.unwrap(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_job_comes_with_its_producers_word_on_retries() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = settings(&redis, "foreign");
    let (queue, seen) = (open(settings.clone()).await, seen(&settings).await);
    let data = json!({"requestId": "r", "imageId": "0123456789abcdef01234567", "inputUrl": "http://a/1.jpg"});
    let options = JobOptions {
        attempts: Some(3),
        backoff: Some(BackoffStrategy::Exponential(200)),
        priority: Some(5),
        ..JobOptions::default()
    };
    seen.add("process-image", data).options(options).await.unwrap();
    let job = take(&queue, 1).await.remove(0);
    assert_eq!(job.image.as_str(), "0123456789abcdef01234567");
    assert_eq!(job.candidate, None, "records must be asked");
    let backoff = Some(Backoff::Exponential(Duration::from_millis(200)));
    assert_eq!(job.retries, Some(Retries { attempts: 3, backoff }));
    queue.finish(&job.id, Delivered::PutOff(Duration::from_secs(60)));
    let delayed = async || (seen.get_delayed_count().await.unwrap() == 1).then_some(());
    within_reason("somebody else's job is delayed, not removed", delayed).await;
}

#[test]
fn jobs_of_a_dead_worker_are_recovered() {
    let lives = tokio::runtime::Runtime::new().unwrap();
    let redis = lives.block_on(Redis::start(Persistence::None, &[]));
    let settings = Settings { lock: Duration::from_secs(1), ..settings(&redis, "dead") };
    let dies = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let queue = dies.block_on(open(settings.clone()));
    dies.block_on(async {
        queue.add(candidates(0..5)).await.unwrap();
        take(&queue, 5).await;
    });
    // Nothing of it runs any more: its locks are not extended.
    dies.shutdown_background();
    drop(queue);
    lives.block_on(async {
        let queue = open(settings).await;
        let jobs = take(&queue, 5).await;
        assert!(
            jobs.iter().all(|job| job.candidate.is_none()),
            "what was delivered before must be asked about"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_job_stays_locked() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = Settings { lock: Duration::from_millis(600), ..settings(&redis, "held") };
    let (first, second) = (open(settings.clone()).await, open(settings).await);
    first.add(candidates(0..1)).await.unwrap();
    let held = within_reason("a job", async || {
        let taken = first.take(1);
        (!taken.is_empty() || !second.take(1).is_empty()).then_some(taken)
    })
    .await;
    let (_, other) = if held.is_empty() { (&second, &first) } else { (&first, &second) };
    for _ in 0..200 {
        assert!(other.take(1).is_empty(), "another worker was given the job");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is asked of Redis while jobs are held by a fleet of so many, over ten locks.
async fn commands_of_a_fleet(workers: usize) -> u64 {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = Settings { lock: Duration::from_millis(500), ..settings(&redis, "fleet") };
    let mut fleet = Vec::new();
    for _ in 0..workers {
        fleet.push(open(settings.clone()).await);
    }
    fleet[0].add(candidates(0..60)).await.unwrap();
    let held = AtomicUsize::new(0);
    within_reason("all jobs are held", async || {
        let taken = fleet.iter().map(|queue| queue.take(100).len()).sum::<usize>();
        (held.fetch_add(taken, Ordering::Relaxed) + taken == 60).then_some(())
    })
    .await;
    command::<()>(&redis, 0, &["CONFIG", "RESETSTAT"]).await;
    tokio::time::sleep(settings.lock * 10).await;
    let stats: String = command(&redis, 0, &["INFO", "commandstats"]).await;
    calls(&stats, "sadd") + calls(&stats, "hmget")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dead_workers_hold_is_looked_for_once_however_many_workers_there_are() {
    let (one, eight) = tokio::join!(commands_of_a_fleet(1), commands_of_a_fleet(8));
    assert!(one >= 60, "it is looked for: {one}");
    assert!(eight <= one * 2, "eight workers ask {eight} times, and one {one} times");
}

/// How often a command was called.
fn calls(stats: &str, command: &str) -> u64 {
    let line =
        stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).unwrap_or_default();
    line.split(['=', ',']).nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_not_asked_while_nothing_changes() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let queue = open(settings(&redis, "quiet")).await;
    await_room(&queue, 100).await;
    command::<()>(&redis, 0, &["CONFIG", "RESETSTAT"]).await;
    for _ in 0..10_000 {
        queue.room().await.unwrap();
        assert!(queue.take(100).is_empty());
    }
    let stats: String = command(&redis, 0, &["INFO", "commandstats"]).await;
    assert!(calls(&stats, "llen") <= 3 * 40, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_server_is_told() {
    let redis =
        Redis::start(Persistence::None, &["--requirepass", "right", "--maxmemory-policy", "allkeys-lru"])
            .await;
    let with = |userinfo: &str, rest: &str| {
        Settings::new(redis.url().replace("redis://", &format!("redis://{userinfo}")) + rest)
    };
    for userinfo in ["", ":wrong@", "nobody:right@"] {
        let fault = inspect(&with(userinfo, "")).await.unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::BackendUnavailable, false), "{fault}");
        assert!(fault.message.contains("password"), "{fault}");
        assert!(!fault.message.contains("right") && !fault.message.contains("wrong@"), "{fault}");
    }
    let server = inspect(&with(":right@", "/3")).await.unwrap();
    assert_eq!(server.maxmemory_policy, "allkeys-lru");
    assert!(server.version.starts_with(|digit: char| digit.is_ascii_digit()), "{}", server.version);

    let looked = BullQueue::connect(Settings { hold: 0, ..with(":right@", "") }).await.unwrap();
    let findings = looked.diagnose(SystemClock.wall()).await;
    let verdicts: Vec<_> = findings.iter().map(|finding| (finding.about, finding.severity)).collect();
    let doubtful = ("memory", Severity::Doubtful);
    let well = ["version", "clock", "round trip"].map(|about| (about, Severity::Well));
    assert_eq!(verdicts, [well[0], well[1], doubtful, well[2]], "{findings:?}");
    let client = redis::Client::open(with(":right@", "").url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*doctor*").query_async(&mut connection).await.unwrap();
    assert!(keys.is_empty(), "{keys:?}");

    let nobody = inspect(&Settings::new("redis://127.0.0.1:1")).await.unwrap_err();
    assert_eq!((nobody.code, nobody.transient), (Code::BackendUnavailable, true), "{nobody}");
    assert!(nobody.message.contains("127.0.0.1:1"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_may_hold_colons_as_those_of_node_do() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let queue = open(Settings { prefix: "shop:queues".into(), ..settings(&redis, "images") }).await;
    queue.add(candidates(0..1)).await.unwrap();
    let job = take(&queue, 1).await.remove(0);
    queue.finish(&job.id, Delivered::Completed(output()));
    await_room(&queue, 100).await;
    let ended: usize = command(&redis, 0, &["ZCARD", "shop:queues:images:completed"]).await;
    assert_eq!(ended, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ones_own_must_be_named_to_be_trusted() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) =
        (file("cert.pem", made.cert.pem()), file("key.pem", made.signing_key.serialize_pem()));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let tls = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let _redis = Redis::start(Persistence::None, &tls).await;

    let stranger = Settings::new(format!("rediss://127.0.0.1:{port}"));
    let fault = BullQueue::connect(stranger.clone()).await.err().unwrap();
    assert!(!fault.transient && fault.message.contains("--queue-ca-file"), "{fault}");
    let trusted = Settings { root_certificates: Some(made.cert.pem().into()), ..stranger };
    let queue = open(trusted).await;
    queue.add(candidates(0..3)).await.unwrap();
    assert_eq!(take(&queue, 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_prefix_are_kept() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings =
        Settings { prefix: "mine".into(), url: redis.url() + "/3", ..settings(&redis, "numbered") };
    let queue = open(settings).await;
    queue.add(candidates(0..1)).await.unwrap();
    take(&queue, 1).await;
    let keys: Vec<String> = command(&redis, 3, &["KEYS", "*"]).await;
    assert!(keys.len() > 1 && keys.iter().all(|key| key.starts_with("mine:numbered:")), "{keys:?}");
    assert_eq!(command::<u64>(&redis, 0, &["DBSIZE"]).await, 0);
}
