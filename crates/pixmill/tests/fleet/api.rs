//! The HTTP API on Redis and MongoDB, and what a process that answers calls does for workers elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mongodb::bson::doc;
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::records::mongodb::{Mongodb, Settings};
use pixmill_engine::port::clock::Clock;
use pixmill_testkit::collector::Collector;
use pixmill_testkit::services::mongodb::database;
use pixmill_testkit::services::redis::{Persistence, Redis};

use crate::caller::Caller;
use crate::server::Server;
use crate::stack::{Order, QUEUE, Stack, ends};
use crate::{cases, operating, seeded};

/// Does what a case says on Redis and MongoDB.
async fn on_redis_and_mongodb(case: impl FnOnce(&Server) + Send + 'static) {
    let redis = Redis::start(Persistence::None, &[]).await;
    on_mongodb(vec![("REDIS_URL", redis.url())], case).await;
}

async fn on_mongodb(environment: Vec<(&'static str, String)>, case: impl FnOnce(&Server) + Send + 'static) {
    let server = server_on_mongodb(environment, database().await).await;
    tokio::task::spawn_blocking(move || case(&server)).await.expect("the case holds");
}

/// A server's state on a database that nobody has used.
pub(crate) async fn server_on_mongodb(
    mut environment: Vec<(&'static str, String)>,
    address: String,
) -> Server {
    let records = Mongodb::connect(&address, Settings::default(), SystemClock.wall()).await;
    let records = Arc::new(records.expect("MongoDB is there"));
    environment.push(("MONGODB_URI", address));
    Server::on(records.clone(), records, environment)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_taken_in_whatever_form_it_comes_in() {
    on_redis_and_mongodb(cases::a_catalogue_is_taken_in_whatever_form_it_comes_in).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_images_are_corrected_and_retried() {
    on_redis_and_mongodb(cases::failed_images_are_corrected_and_retried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_miss_nothing_and_see_nothing_twice() {
    on_redis_and_mongodb(cases::watchers_miss_nothing_and_see_nothing_twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_comes_back_with_its_outputs_in_place() {
    on_redis_and_mongodb(cases::a_catalogue_comes_back_with_its_outputs_in_place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_body_make_one_request() {
    on_redis_and_mongodb(cases::a_key_and_a_body_make_one_request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_requests_alone() {
    on_redis_and_mongodb(cases::a_tenant_sees_its_own_requests_alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_tell_that_they_live_and_their_absence_is_told() {
    on_redis_and_mongodb(operating::workers_tell_that_they_live_and_their_absence_is_told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_paused_is_left_alone_by_every_worker() {
    on_redis_and_mongodb(operating::a_host_that_is_paused_is_left_alone_by_every_worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_of_hosts_keys_and_the_system_is_the_same() {
    on_mongodb(Vec::new(), operating::a_hosts_limit_and_pause_stand_until_they_are_taken_back).await;
    on_mongodb(Vec::new(), operating::keys_are_made_and_revoked_by_those_who_may_and_it_is_written_down)
        .await;
    on_mongodb(Vec::new(), operating::the_system_is_told_without_its_secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_requests_are_deleted_with_their_outputs() {
    on_mongodb(Vec::new(), cases::cancelled_requests_are_deleted_with_their_outputs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_answer_as_one() {
    on_redis_and_mongodb(cases::two_processes_answer_as_one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_long_ago_is_forgotten_with_its_outputs() {
    on_redis_and_mongodb(cases::what_ended_long_ago_is_forgotten_with_its_outputs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_clients_upload_to_its_webhook() {
    let redis = Redis::start(Persistence::None, &[]).await;
    let collector = Collector::start().expect("the collector starts");
    let environment = vec![("REDIS_URL", redis.url()), ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())];
    on_mongodb(environment, move |server| {
        cases::one_trace_leads_from_the_clients_upload_to_its_webhook(server, &collector);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_calls_feeds_workers_elsewhere_again_and_again_and_works_on_nothing() {
    let stack = Stack::start(Persistence::AppendOnly).await;
    let api = Caller::start(&stack.server, &["--role", "api"]);
    let rows: Vec<_> = (0..6).map(|number| seeded::row(&stack.origin.url(""), number)).collect();
    let lines = rows.iter().map(|(urls, _)| format!("\"{}\"\n", urls.join(", ")));
    let id =
        api.post_csv("/v1/requests", &("Input Image Urls\n".to_owned() + &lines.collect::<String>())).id();
    let order = Order { request: id.as_str().into(), id: id.into(), ends: ends(&rows), jobs: Vec::new() };
    // Somebody else's worker, which ends jobs and writes nothing down.
    let taken = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let take = taken.clone();
    let processor = move |job: bullmq::Job, _| {
        let image = job.data()["imageId"].as_str().unwrap_or_default().to_owned();
        *take.lock().unwrap().entry(image).or_default() += 1;
        async { Ok(serde_json::Value::Null) }
    };
    let mut options = bullmq::WorkerOptions::new();
    options.connection.url = stack.redis.url();
    let careless = bullmq::Worker::with_options(QUEUE, processor, options).await.expect("Redis is there");
    let leads = doc! { "requestId": &order.id, "pixmill.sameAs": { "$exists": false } };
    let leads = stack.all("images", leads).await.len();
    stack
        .until("every image is fed again", async || {
            let taken = taken.lock().unwrap();
            taken.len() == leads && taken.values().all(|times| *times >= 2)
        })
        .await;
    careless.close(1_000).await.expect("it ends");
    assert!(stack.origin.log().is_empty(), "nobody has fetched anything");
    let worker = stack.worker();
    stack.finish(&[&order], [worker]).await;
    api.process.signal("TERM");
    assert_eq!(api.process.exit_code(), Some(0));
}
