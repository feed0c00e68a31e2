//! Jobs that are not for pixmill: they stay as they are, byte for byte, whatever their queue and however they wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::queue::bullmq::{BullQueue, Settings};
use pixmill_adapters::queue::strangers::LeftAlone;
use pixmill_engine::checkup::Severity;
use pixmill_engine::model::image::Output;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::queue::{Delivered, Queue};
use pixmill_testkit::queue::{candidates, take};
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::{Persistence, Redis};
use serde_json::{Value, json};

/// Short, so that what is done with locks that expired is done several times while a test looks on.
const LOCK: Duration = Duration::from_millis(400);

fn settings(redis: &Redis, name: &str) -> Settings {
    Settings { name: name.into(), window: 100, hold: 50, lock: LOCK, ..Settings::new(redis.url()) }
}

async fn open(settings: &Settings) -> Arc<dyn Queue> {
    Arc::new(BullQueue::connect(settings.clone()).await.unwrap())
}

async fn add(redis: &Redis, name: &str, jobs: &Value) {
    let (module, url) = (include_str!("interop/queue.mjs"), redis.url());
    Node::run(module, &["add", name, &jobs.to_string()], &[("REDIS_URL", &url)]).await;
}

async fn connection(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Every key of the server, with what it holds.
async fn dump(redis: &Redis) -> BTreeMap<String, Vec<u8>> {
    let mut connection = connection(redis).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut dump = BTreeMap::new();
    // One key is pixmill's own: it tells the fleet who looks for what dead workers hold.
    for key in keys.into_iter().filter(|key| !key.ends_with(":pixmill-looks")) {
        let held = redis::cmd("DUMP").arg(&key).query_async::<Vec<u8>>(&mut connection).await.unwrap();
        dump.insert(key, held);
    }
    dump
}

/// Jobs of every kind that is not for pixmill, so many of each.
fn strange(each: usize) -> Value {
    let kinds = [
        json!({"name": "imageProcessing", "data": {"productId": "p", "inputUrl": "http://a/1.jpg", "requestId": "r"}}),
        json!({"name": "send-mail", "data": {"requestId": "r", "imageId": "i", "inputUrl": "http://a/1.jpg"}}),
        json!({"name": "process-image", "data": {"requestId": "r", "imageId": 7, "inputUrl": "http://a/1.jpg"},
            "opts": {"attempts": 3, "removeOnFail": true}}),
        json!({"name": "process-image", "data": {"data": [{"url": "http://a/1.jpg"}]}, "opts": {"priority": 5}}),
        json!({"name": "process-image", "data": "text", "opts": {"delay": 1}}),
        json!({"name": "report", "data": null, "opts": {"delay": 1, "priority": 2}}),
        json!({"name": "process-image", "data": {}, "opts": {"lifo": true}}),
        json!({"name": "later", "data": {"at": 1}, "opts": {"delay": 600_000}}),
        json!({"name": "process-image", "data": {"requestId": "", "imageId": "i", "inputUrl": ""}}),
        json!({"name": "process-image", "data": [1, 2]}),
    ];
    kinds.iter().flat_map(|kind| std::iter::repeat_n(kind.clone(), each)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_jobs_of_other_kinds_stay_byte_for_byte_as_they_were_and_are_counted() {
    let redis = Redis::start(Persistence::None, &[]).await;
    add(&redis, "theirs", &strange(50)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (before, settings) = (dump(&redis).await, settings(&redis, "theirs"));
    let queues = [open(&settings).await, open(&settings).await];
    tokio::time::sleep(LOCK * 6).await;
    for queue in &queues {
        assert!(queue.take(100).is_empty());
        queue.room().await.unwrap();
        queue.close().await;
    }
    assert_eq!(before.len(), 500 + 8, "jobs, and what they wait in");
    assert!(dump(&redis).await == before, "something was changed");
    let counts = settings.strangers.counts();
    // Those that are due much later are not looked at.
    assert_eq!(counts.iter().map(|left| left.jobs).sum::<u64>(), 450, "{counts:?}");
    assert!(counts.contains(&LeftAlone { name: "send-mail".into(), jobs: 50 }), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fit_are_taken_from_among_others_which_stay_where_they_are() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = settings(&redis, "mixed");
    add(&redis, "mixed", &strange(20)).await;
    let queue = open(&settings).await;
    // Behind 140 that wait and before as many that come while the worker is at it.
    queue.add(candidates(0..30)).await.unwrap();
    let jobs = take(&queue, 30).await;
    add(&redis, "mixed", &strange(20)).await;
    for job in jobs {
        let output =
            Output { location: "https://cdn/1.jpg".into(), bytes_before: 9, bytes_after: 5, frames: 1 };
        queue.finish(&job.id, Delivered::Completed(output));
    }
    tokio::time::sleep(LOCK * 4).await;
    queue.close().await;
    let mut connection = connection(&redis).await;
    let mut begun = 0;
    for key in dump(&redis).await.into_keys() {
        let number = key.strip_prefix("bull:mixed:").and_then(|id| id.parse::<u64>().ok());
        if number.is_some() {
            let touched: (bool, bool) = redis::pipe()
                .hexists(&key, "ats")
                .hexists(&key, "failedReason")
                .query_async(&mut connection)
                .await
                .unwrap();
            begun += usize::from(touched != (false, false));
        }
    }
    assert_eq!(begun, 0, "jobs of others were begun");
    let (waiting, completed): (usize, usize) = redis::pipe()
        .llen("bull:mixed:wait")
        .zcard("bull:mixed:completed")
        .query_async(&mut connection)
        .await
        .unwrap();
    // Seven of the ten kinds wait without a priority or a delay.
    assert_eq!((waiting, completed), (2 * 20 * 6, 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_other_workers_hold_are_theirs_even_when_their_locks_are_gone() {
    let redis = Redis::start(Persistence::None, &[]).await;
    add(&redis, "held", &strange(1)).await;
    let mut connection = connection(&redis).await;
    // As a worker of Node leaves it that was killed.
    let ends = &["bull:held:wait", "bull:held:active"];
    redis::cmd("RPOPLPUSH").arg(ends).query_async::<String>(&mut connection).await.unwrap();
    let before = dump(&redis).await;
    let queue = open(&settings(&redis, "held")).await;
    tokio::time::sleep(LOCK * 5).await;
    queue.close().await;
    assert!(dump(&redis).await == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_lists_the_queues_and_whether_their_newest_jobs_can_be_read_and_changes_nothing() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let fits =
        json!([{"name": "process-image", "data": {"requestId": "r", "imageId": "i", "inputUrl": "u"}}]);
    add(&redis, "fitting", &fits).await;
    add(&redis, "mails", &json!([{"name": "send", "data": {"to": "x"}}])).await;
    let before = dump(&redis).await;
    let looked = async |name: &str| {
        let queue = open(&Settings { hold: 0, ..settings(&redis, name) }).await;
        let mut findings = queue.diagnose(Timestamp(0)).await;
        findings.retain(|finding| finding.about == "queues");
        findings
    };
    let findings = looked("fitting").await;
    assert_eq!(
        findings.iter().map(|one| one.severity).collect::<Vec<_>>(),
        [Severity::Well; 2],
        "{findings:?}"
    );
    assert!(
        findings[0].told.contains("'fitting': 1 jobs wait") && findings[0].told.contains("the newest fits")
    );
    assert!(findings[1].told.contains("jobs called 'send' with the keys to"), "{findings:?}");
    assert_eq!(looked("mails").await[0].severity, Severity::Doubtful);
    assert!(dump(&redis).await == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_bull_made_is_left_alone() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let mut connection = connection(&redis).await;
    let data = json!({"requestId": "r", "imageId": "i", "inputUrl": "http://a/1.jpg"}).to_string();
    redis::pipe()
        .hset_multiple("bull:old:1", &[("name", "process-image"), ("data", &data), ("opts", "{}")])
        .lpush("bull:old:wait", "1")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
    let before = dump(&redis).await;
    let queue = open(&settings(&redis, "old")).await;
    tokio::time::sleep(LOCK * 3).await;
    assert!(queue.take(10).is_empty());
    queue.close().await;
    assert!(dump(&redis).await == before, "something was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_gives_nothing_until_it_is_resumed_and_urgent_jobs_come_first() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let settings = Settings { hold: 1, ..settings(&redis, "paused") };
    let data = |image: &str| json!({"requestId": "r", "imageId": image, "inputUrl": "http://a/1.jpg"});
    let job = |image: &str, priority: u32| json!({"name": "process-image", "data": data(image), "opts": {"priority": priority}});
    let mut connection = connection(&redis).await;
    redis::cmd("HSET")
        .arg("bull:paused:meta")
        .arg("paused")
        .arg(1)
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
    add(&redis, "paused", &json!([job("third", 9), job("second", 3), job("first", 1)])).await;
    let queue = open(&settings).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(queue.take(10).is_empty(), "it is paused");
    redis::cmd("HDEL")
        .arg("bull:paused:meta")
        .arg("paused")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
    for image in ["first", "second", "third"] {
        let job = take(&queue, 1).await.remove(0);
        assert_eq!(job.image.as_str(), image);
        let output =
            Output { location: "https://cdn/1.jpg".into(), bytes_before: 9, bytes_after: 5, frames: 1 };
        queue.finish(&job.id, Delivered::Completed(output));
    }
}
