//! Applications whose jobs have shapes of their own: the tables of `examples/stacks`, with producers and readers on Node.

use std::process::Command;

use pixmill_testkit::origin::{self, Origin};
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::storage::cloudinary::Cloudinary;
use pixmill_testkit::storage::standin::Running;
use serde_json::{Value, json};

use crate::seeded;
use crate::server::{Process, Server};
use crate::stack::LEASE;

const LISTS: (&str, &str) = ("catalogue-a-job.toml", "optimise-images");
const PICTURES: (&str, &str) = ("picture-a-job.toml", "product-images");

/// An application with its backends.
struct App {
    table: &'static str,
    queue: &'static str,
    server: Server,
    redis: Redis,
    origin: Origin,
    cloudinary: Running<Cloudinary>,
}

impl App {
    async fn start((table, queue): (&'static str, &'static str)) -> Self {
        let redis = Redis::start(Persistence::AppendOnly, &[]).await;
        let cloudinary = Cloudinary::start().expect("the stand-in starts");
        let server =
            Server::new().told("REDIS_URL", redis.url()).told("CLOUDINARY_URL", cloudinary.address());
        let origin = Origin::start(origin::Settings::serving(seeded::pictures())).expect("the origin starts");
        App { table, queue, server, redis, origin, cloudinary }
    }

    fn command(&self) -> Command {
        let table = format!("{}/../../examples/stacks/{}", env!("CARGO_MANIFEST_DIR"), self.table);
        let mut command = self.server.command(&["--role", "worker", "--attempts", "2"]);
        command.args(["--config", &table]).env("PIXMILL_TEST_LEASE_MS", LEASE.as_millis().to_string());
        command
    }

    fn worker(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Runs a command of `tables.mjs` on the queue.
    async fn node(&self, command: &str, arguments: &[&str]) -> Value {
        let arguments = [&[command, self.queue], arguments].concat();
        let said =
            Node::run(include_str!("tables.mjs"), &arguments, &[("REDIS_URL", &self.redis.url())]).await;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}: {}", self.server.said()))
    }

    /// How often something was fetched.
    fn fetched(&self, part: &str) -> usize {
        self.origin.log().iter().filter(|entry| entry.path.contains(part)).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_a_job_returns_a_list_of_what_became_of_each_picture() {
    let app = App::start(LISTS).await;
    let worker = app.worker();
    let [good, gone] = ["/caps.jpg?list", "/no-such.jpg"].map(|path| app.origin.url(path));
    let jobs = json!([
        { "data": [{ "url": format!(" {good}\n"), "metadata": { "sku": 7 } }, { "url": gone }, { "url": "" }] },
        { "data": [] },
        { "data": [{ "url": gone }] },
    ]);
    let ends = app.node("give", &["optimise", &jobs.to_string()]).await;
    let list = &ends[0]["value"];
    assert_eq!((&ends[0]["state"], list.as_array().map(Vec::len)), (&json!("completed"), Some(3)), "{ends}");
    assert_eq!((&list[0]["url"], &list[0]["metadata"]), (&json!(good), &json!({ "sku": 7 })), "{ends}");
    assert!(list[0]["error"].is_null() && list[1]["optimisedUrl"].is_null(), "{ends}");
    let output = list[0]["optimisedUrl"].as_str().expect("it is stored");
    assert!(output.starts_with(&app.cloudinary.url("")), "{ends}");
    for (item, code) in [(1, "fetch.status: "), (2, "url.invalid: ")] {
        assert!(list[item]["error"].as_str().is_some_and(|told| told.starts_with(code)), "{ends}");
    }
    assert_eq!((&ends[1]["state"], &ends[1]["value"]), (&json!("completed"), &json!([])), "{ends}");
    assert_eq!(ends[2]["state"], "failed", "{ends}");
    assert!(ends[2]["reason"].as_str().is_some_and(|told| told.starts_with("fetch.status: ")), "{ends}");
    worker.signal("TERM");
    assert!(worker.stopped(), "{}", app.server.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_a_job_returns_what_the_application_waits_for_and_a_retry_starts_it_anew() {
    let app = App::start(PICTURES).await;
    let _worker = app.worker();
    let data = |url: &str| json!({ "url": app.origin.url(url), "requestId": "r-1", "productOid": "p-9" });
    let jobs = json!([data("/caps.jpg"), data("/no-such.jpg")]);
    let ends = app.node("give", &["compress", &jobs.to_string()]).await;
    let value = &ends[0]["value"];
    assert_eq!((&value["requestId"], &value["productOid"]), (&json!("r-1"), &json!("p-9")), "{ends}");
    assert!(value["outputUrl"].is_string(), "{ends}");
    assert_eq!((&ends[1]["state"], &ends[1]["attempts"]), (&json!("failed"), &json!(1)), "{ends}");
    let id = ends[1]["id"].as_str().expect("an id");
    let before = app.fetched("no-such");
    let again = app.node("again", &[id, &data("/no-such.jpg").to_string()]).await;
    assert_eq!((&again["state"], &again["attempts"]), (&json!("failed"), &json!(2)), "{again}");
    assert!(app.fetched("no-such") > before, "it was fetched anew");
    let edited = app.node("again", &[id, &data("/caps.jpg?edited").to_string()]).await;
    assert!(edited["value"]["outputUrl"].is_string(), "{edited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_do_not_fit_their_table_are_left_to_the_applications_own_worker() {
    let app = App::start(PICTURES).await;
    let _worker = app.worker();
    let strange = json!([{ "link": "x" }, { "url": "x" }]);
    app.node("add", &["mail", &strange.to_string()]).await;
    let without = json!([{ "requestId": "r" }]);
    app.node("add", &["compress", &without.to_string()]).await;
    let url = app.origin.url("/caps.jpg");
    let ends = app.node("give", &["compress", &json!([{ "url": url }]).to_string()]).await;
    assert_eq!(ends[0]["state"], "completed", "those behind are taken: {ends}");
    let taken = app.node("work", &["3"]).await;
    assert_eq!(taken.as_array().map(Vec::len), Some(3), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_worker_that_was_killed_end_once_each_at_the_next() {
    let app = App::start(LISTS).await;
    let item = |number: usize| json!({ "url": app.origin.url(&format!("/caps.jpg?n={number}")) });
    let jobs: Vec<_> = (0..12).map(|job| json!({ "data": [item(2 * job), item(2 * job + 1)] })).collect();
    let ids = app.node("add", &["optimise", &Value::from(jobs).to_string()]).await;
    let killed = app.worker();
    while app.fetched("n=") < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    killed.signal("KILL");
    drop(killed);
    let _next = app.worker();
    let ends = app.node("ends", &[&ids.to_string()]).await;
    for end in ends.as_array().expect("ends") {
        assert_eq!(end["state"], "completed", "{ends}");
        let list = end["value"].as_array().expect("a list");
        assert!(list.len() == 2 && list.iter().all(|one| one["optimisedUrl"].is_string()), "{end}");
        assert_eq!(end["attempts"], 1, "{end}");
    }
}
