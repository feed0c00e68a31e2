//! The queue beside the Node library and bull-board.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::queue::bullmq::{BullQueue, Settings};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::{Failure, Output};
use pixmill_engine::port::queue::{Backoff, Delivered, Queue, Retries};
use pixmill_testkit::queue::{await_room, candidates, take};
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::{Persistence, Redis};
use serde_json::{Value, json};

/// Runs a command of `interop/queue.mjs`.
async fn node(redis: &Redis, command: &str, name: &str, argument: &str) -> Value {
    let (module, url) = (include_str!("interop/queue.mjs"), redis.url());
    let said = Node::run(module, &[command, name, argument], &[("REDIS_URL", &url)]).await;
    serde_json::from_str(&said).unwrap()
}

fn settings(redis: &Redis, name: &str) -> Settings {
    Settings { name: name.into(), window: 100, hold: 100, ..Settings::new(redis.url()) }
}

async fn open(settings: Settings) -> Arc<dyn Queue> {
    Arc::new(BullQueue::connect(settings).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_node_adds_are_taken_as_they_are() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let data = |image: &str| json!({"requestId": "r", "imageId": image, "inputUrl": "http://a/1.jpg"});
    let jobs = json!([
        {"name": "process-image", "data": data("plain")},
        {"name": "process-image", "data": data("retried"),
         "opts": {"attempts": 3, "backoff": {"type": "exponential", "delay": 200}, "jobId": "mine"}},
        {"name": "process-image", "data": data("urgent"), "opts": {"priority": 1}},
        {"name": "process-image", "data": data("late"), "opts": {"delay": 300}},
    ]);
    let ids = node(&redis, "add", "added", &jobs.to_string()).await;
    let queue = open(settings(&redis, "added")).await;
    let taken = take(&queue, 4).await;
    let images: BTreeSet<_> = taken.iter().map(|job| job.image.as_str()).collect();
    assert_eq!(images, BTreeSet::from(["plain", "retried", "urgent", "late"]));
    for job in &taken {
        assert!(ids.as_array().unwrap().contains(&json!(job.id.as_str())), "{ids}: {job:?}");
        let retries = (job.id.as_str() == "mine").then_some(Retries {
            attempts: 3,
            backoff: Some(Backoff::Exponential(Duration::from_millis(200))),
        });
        assert_eq!((job.retries, &job.candidate), (retries, &None));
        let output =
            Output { location: "https://cdn/1.jpg".into(), bytes_before: 9, bytes_after: 5, frames: 1 };
        queue.finish(&job.id, Delivered::Completed(output));
    }
    await_room(&queue, 100).await;
    let shown = node(&redis, "show", "added", "").await;
    assert_eq!((&shown["counts"]["completed"], &shown["counts"]["failed"]), (&json!(4), &json!(0)));
    assert_eq!(
        shown["jobs"]["completed"][0]["returnvalue"],
        json!({"secure_url": "https://cdn/1.jpg", "bytes": 5})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_and_told_as_the_node_library_does() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let data = json!({"requestId": "r", "imageId": "i", "inputUrl": "http://a/1.jpg"});
    let jobs = json!([{"name": "process-image", "data": data, "opts": {"attempts": 2, "jobId": "mine"}}]);
    node(&redis, "add", "counted", &jobs.to_string()).await;
    let queue = open(settings(&redis, "counted")).await;
    let job = take(&queue, 1).await.remove(0);
    let fault = Fault::transient(Code::FetchTimeout, "no answer within 30 s");
    queue.finish(&job.id, Delivered::Retried { wait: Duration::from_millis(1), fault });
    let job = take(&queue, 1).await.remove(0);
    let gone = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    queue.finish(&job.id, Delivered::Failed(gone));
    await_room(&queue, 100).await;
    let shown = node(&redis, "show", "counted", "").await;
    let failed = &shown["jobs"]["failed"][0];
    assert_eq!((&failed["attemptsMade"], &failed["attemptsStarted"]), (&json!(2), &json!(2)), "{failed}");
    let traces: Vec<_> = failed["stacktrace"].as_array().unwrap().iter().map(|one| one.as_str()).collect();
    assert_eq!(traces.len(), 2, "{failed}");
    assert!(traces[0].unwrap().contains("no answer") && traces[1].unwrap().contains("404"), "{failed}");
    let told: Vec<_> = shown["events"].as_array().unwrap().iter().map(|one| one.as_str()).collect();
    assert_eq!(told.last(), Some(&Some("retries-exhausted")), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_pixmill_adds_are_taken_by_node() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let queue = open(Settings { hold: 0, ..settings(&redis, "fed") }).await;
    queue.add(candidates(0..50)).await.unwrap();
    let taken = node(&redis, "take", "fed", "50").await;
    let images: BTreeSet<_> = taken
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["data"]["imageId"].as_str().unwrap().to_owned())
        .collect();
    let fed = candidates(0..50);
    assert_eq!(images, fed.iter().map(|candidate| candidate.image.as_str().to_owned()).collect());
    // Several are taken at once, so any may be the first to be begun.
    let first = taken.as_array().unwrap().iter().find(|job| job["data"]["imageId"] == fed[0].image.as_str());
    let first = first.expect("it was taken");
    assert_eq!(first["name"], "process-image");
    assert_eq!(first["id"], json!(format!("{}-1-1", fed[0].image)));
    assert_eq!(first["data"]["inputUrl"], json!(fed[0].input));
    assert_eq!(first["data"]["requestId"], json!(fed[0].request.as_str()));
    // What ended in Redis alone can be fed again.
    assert_eq!(queue.add(candidates(0..50)).await.unwrap(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn bull_board_shows_each_state() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let queue = open(Settings { hold: 4, ..settings(&redis, "shown") }).await;
    queue.add(candidates(0..6)).await.unwrap();
    let jobs = take(&queue, 4).await;
    let output =
        Output { location: "https://cdn/1.jpg".into(), bytes_before: 900, bytes_after: 500, frames: 1 };
    queue.finish(&jobs[0].id, Delivered::Completed(output));
    let gone = Failure { code: Code::FetchStatus, message: "the server answered 404".into() };
    queue.finish(&jobs[1].id, Delivered::Failed(gone));
    let fault = Fault::transient(Code::FetchTimeout, "no answer within 30 s");
    queue.finish(&jobs[2].id, Delivered::Retried { wait: Duration::from_secs(600), fault });
    take(&queue, 2).await;
    await_room(&queue, 96).await;
    let shown = node(&redis, "show", "shown", "").await;
    let board = &shown["board"];
    let counts =
        ["completed", "failed", "delayed", "active", "waiting"].map(|state| shown["counts"][state].clone());
    assert_eq!(counts, [1, 1, 1, 3, 0].map(|count| json!(count)), "{shown}");

    let completed = &board["completed"][0];
    assert_eq!(completed["returnValue"], json!({"secure_url": "https://cdn/1.jpg", "bytes": 500}));
    assert_eq!((&completed["progress"], &completed["isFailed"]), (&json!(100), &json!(false)));
    assert!(completed["logs"][0].as_str().unwrap().contains("500"), "{completed}");

    let failed = &board["failed"][0];
    assert_eq!(failed["failedReason"], "fetch.status: the server answered 404");
    assert!(
        failed["logs"][0].as_str().unwrap().contains("404") && failed["stacktrace"].is_array(),
        "{failed}"
    );

    let delayed = &board["delayed"][0];
    assert!(delayed["logs"][0].as_str().unwrap().contains("fetch.timeout"), "{delayed}");
    assert!(delayed["delay"].as_i64().unwrap() > 500_000, "{delayed}");
}
