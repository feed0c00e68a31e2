//! Bad input to the stack: each is told in words, costs only itself, and touches nothing else.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use mongodb::Client;
use mongodb::bson::doc;
use pixmill_adapters::clock::SystemClock;
use pixmill_engine::port::clock::Clock;
use pixmill_testkit::services::End;
use pixmill_testkit::services::mongodb::Mongodb;
use pixmill_testkit::services::redis::{Persistence, Redis};
use serde_json::{Value, json};

use crate::faults::node;
use crate::server::{Process, Server};
use crate::shop::Habit;
use crate::stack::Stack;

/// What a worker says that ends with this code, on a backend that is set by an environment variable.
fn refusal(code: i32, name: &str, address: &str) -> String {
    let server = Server::new();
    let mut command = server.command(&["--role", "worker"]);
    let output = command.env(name, address).stderr(Stdio::piped()).output().expect("pixmill runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("hush"), "a password was told: {said}");
    said
}

#[test]
fn an_address_that_cannot_be_read_ends_a_worker_with_what_is_wrong_with_it() {
    for (name, address, told) in [
        ("REDIS_URL", "redis://:hush@h:port", "redis://:PASSWORD@HOST:6379/0"),
        ("MONGODB_URI", "mongodb://u:hush@h:port/shop", "the port must be an integer"),
        ("CLOUDINARY_URL", "cloudinary://key:hush@", "cloudinary://KEY:SECRET@CLOUD"),
    ] {
        let said = refusal(2, name, address);
        assert!(said.contains("config.invalid") && said.contains(told), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_or_a_missing_right_ends_a_worker_with_what_to_do() {
    let redis = Redis::start(Persistence::None, &["--requirepass", "hush"]).await;
    for userinfo in ["", ":hush-hush@", "nobody:hush@"] {
        let said = refusal(1, "REDIS_URL", &redis.url().replace("//", &format!("//{userinfo}")));
        assert!(said.contains("Redis at 127.0.0.1") && said.contains("password"), "{said}");
    }
    let mut mongodb = Mongodb::start(&[]).await;
    let client = Client::with_uri_str(mongodb.url("shop")).await.expect("MongoDB is there");
    for (database, name, role) in [("admin", "root", "root"), ("shop", "reader", "read")] {
        let user = doc! { "createUser": name, "pwd": "hush", "roles": [role] };
        client.database(database).run_command(user).await.expect("a user is made");
    }
    mongodb.stop(End::Asked);
    mongodb.start_again_with(&["--auth"]).await;
    let said = refusal(1, "MONGODB_URI", &mongodb.url_of("reader:hush-hush@", "shop"));
    assert!(said.contains("MongoDB") && said.contains("password"), "{said}");
    let said = refusal(1, "MONGODB_URI", &mongodb.url_of("reader:hush@", "shop"));
    assert!(said.contains("indexes of 'requests'") && said.contains("readWrite"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_throws_jobs_away_is_warned_of() {
    let redis = Redis::start(Persistence::None, &["--maxmemory-policy", "allkeys-lru"]).await;
    let server = Server::new();
    let mut command = server.command(&["--role", "worker"]);
    let mut worker = Process::start(command.env("REDIS_URL", redis.url()).stderr(Stdio::piped()));
    let lines = BufReader::new(worker.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    let warning = lines.find(|line| line["policy"] == "allkeys-lru").expect("it warns");
    assert_eq!(warning["level"], "WARN");
    assert!(
        warning["message"].as_str().is_some_and(|said| said.contains("set maxmemory-policy to noeviction"))
    );
    assert!(lines.any(|line| line["message"] == "ready"), "it works all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_do_not_fit_stay_and_those_of_images_that_nobody_knows_fail_with_a_reason() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    let (order, bystander) =
        (stack.documents(2, Habit::Uuid).await, stack.documents(1, Habit::ObjectId).await);
    let others = &bystander.jobs[0];
    let (request, url) = (order.request.as_str(), stack.origin.url("/caps.jpg?odd"));
    let strange = [
        ("process-image", json!({})),
        ("process-image", Value::Null),
        ("process-image", json!({ "requestId": request, "imageId": 7, "inputUrl": url })),
        ("process-image", json!({ "requestId": request, "imageId": "i".repeat(300), "inputUrl": url })),
        ("imageProcessing", json!({ "requestId": request, "productId": "p", "inputUrl": url })),
    ];
    // Whose document might still come is waited for.
    let long_ago = SystemClock.wall().0 - 61_000;
    let unknown = [
        (
            json!({ "requestId": "no-such", "imageId": "no-such", "inputUrl": url }),
            "job.unknown: there is no image no-such",
        ),
        (
            json!({ "requestId": request, "imageId": others["imageId"], "inputUrl": url }),
            "job.unknown: image",
        ),
    ];
    let before = stack.images(&bystander).await;
    let named =
        strange.iter().map(|(name, data)| json!({ "name": name, "data": data, "opts": { "attempts": 5 } }));
    let known = unknown.iter().map(|(data, _)| {
        json!({ "name": "process-image", "data": data, "opts": { "attempts": 5, "timestamp": long_ago } })
    });
    node(&stack, "add", &Value::from_iter(named.chain(known)).to_string()).await;
    stack.add_jobs(&order.jobs).await;
    let worker = stack.worker();
    stack.server.wait_for(&order.request).await;
    let queue = stack.queue().await;
    stack
        .until("jobs of unknown images have failed", async || {
            let failed = queue.get_failed(0, 99).await.unwrap();
            unknown.iter().all(|(data, _)| failed.iter().any(|job| job.data() == data))
        })
        .await;
    let board = node(&stack, "show", "").await["board"].take();
    let failed = board["failed"].as_array().expect("jobs");
    for (data, reason) in &unknown {
        let found = failed.iter().find(|job| job["data"] == *data);
        let found = found.unwrap_or_else(|| panic!("{data} has not failed: {board}"));
        assert!(found["failedReason"].as_str().is_some_and(|told| told.starts_with(reason)), "{found}");
    }
    let waiting = board["waiting"].as_array().expect("jobs");
    assert_eq!(waiting.len(), strange.len(), "{board}");
    assert!(waiting.iter().all(|job| job["attempts"] == 0 && job["processedOn"].is_null()), "{board}");
    assert_eq!(stack.images(&bystander).await, before);
    assert_eq!(stack.all("requests", doc! {}).await.len(), 2);
    assert!(stack.origin.log().iter().all(|entry| !entry.path.contains("odd")), "nothing was fetched");
    let said = stack.server.said();
    let told = said.matches("left alone on queue").count();
    // Two of the five are of one kind but for what they hold.
    assert!((4..=5).contains(&told), "each kind is told of once: {told} in {said}");
    queue.drain(false).await.unwrap();
    stack.add_jobs(&bystander.jobs).await;
    stack.finish(&[&order, &bystander], [worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_come_after_their_jobs_are_waited_for() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    let worker = stack.worker();
    let order = stack.documents(1, Habit::Uuid).await;
    let images = stack.database.collection::<mongodb::bson::Document>("images");
    let documents = stack.images(&order).await;
    images.delete_many(doc! { "requestId": &order.id }).await.unwrap();
    stack.add_jobs(&order.jobs).await;
    let queue = stack.queue().await;
    let all = order.jobs.len() as u64;
    stack.until("all jobs wait", async || queue.get_delayed_count().await.unwrap() == all).await;
    images.insert_many(documents).await.unwrap();
    stack.finish(&[&order], [worker]).await;
}
