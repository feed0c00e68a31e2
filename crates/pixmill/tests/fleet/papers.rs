//! Applications that keep their work in MongoDB: the tables of `examples/stacks`, with producers and readers on Node.

use std::path::PathBuf;
use std::process::Command;

use mongodb::bson::{Document, doc};
use pixmill_testkit::origin::{self, Origin};
use pixmill_testkit::services::mongodb::database;
use pixmill_testkit::services::node::Node;
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::sink::{Reply, Sink};
use pixmill_testkit::storage::cloudinary::Cloudinary;
use pixmill_testkit::storage::standin::Running;
use serde_json::{Value, json};

use crate::seeded;
use crate::server::{Process, Server};
use crate::stack::LEASE;

/// An application with its backends.
struct App {
    table: &'static str,
    server: Server,
    redis: Redis,
    database: String,
    origin: Origin,
    sink: Sink,
    cloudinary: Running<Cloudinary>,
    /// Where its processes run.
    folder: tempfile::TempDir,
}

impl App {
    async fn start(table: &'static str) -> Self {
        let redis = Redis::start(Persistence::AppendOnly, &[]).await;
        let cloudinary = Cloudinary::start().expect("the stand-in starts");
        let database = database().await;
        let sink = Sink::start(|_| Reply::from(200)).expect("a sink");
        let server = Server::new()
            .told("REDIS_URL", redis.url())
            .told("MONGODB_URI", &database)
            .told("CLOUDINARY_URL", cloudinary.address())
            .told("HOOK_URL", sink.url("/hook"))
            .told("HOOK_KEY", "key-of-the-shop");
        let origin = Origin::start(origin::Settings::serving(seeded::pictures())).expect("the origin starts");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("uploads")).expect("it can be made");
        App { table, server, redis, database, origin, sink, cloudinary, folder }
    }

    fn command(&self) -> Command {
        let table = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/stacks").join(self.table);
        let mut command = self.server.command(&["--role", "worker", "--attempts", "2"]);
        command.arg("--config").arg(table).current_dir(self.folder.path());
        command.env("WEBHOOK_URL", self.sink.url("/told"));
        command.env("PIXMILL_TEST_LEASE_MS", LEASE.as_millis().to_string());
        command
    }

    fn worker(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Runs a command of `papers.mjs`.
    async fn node(&self, arguments: &[&str]) -> Value {
        let environment = [("REDIS_URL", self.redis.url()), ("MONGODB_URI", self.database.clone())];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let said = Node::run(include_str!("papers.mjs"), arguments, &environment).await;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}: {}", self.server.said()))
    }

    /// Two products: one with two pictures, one with one that is gone and one that is there.
    fn products(&self) -> Value {
        let url = |path: &str| self.origin.url(path);
        json!([[url("/caps.jpg?1"), url("/caps.jpg?2")], [url("/no-such.jpg"), url("/caps.jpg?3")]])
    }

    /// Hands a request of those in and waits for its end.
    async fn give(&self, shape: &str, more: &str) -> Value {
        self.node(&["give", shape, &self.products().to_string(), more]).await
    }

    fn is_output(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|output| output.starts_with(&self.cloudinary.url("")))
    }

    /// A file of results, in lines.
    fn csv(&self, folder: &str, request: &Value) -> Vec<String> {
        let file = self.folder.path().join(folder).join(format!("{}.csv", request.as_str().expect("an id")));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        text.lines().map(str::to_owned).collect()
    }

    /// What receivers were told at a path, once there is so much.
    async fn told(&self, path: &str, count: usize) -> Vec<Value> {
        for _ in 0..600 {
            let heard = self.sink.heard();
            let bodies: Vec<_> = heard.iter().filter(|one| one.path == path).collect();
            if bodies.len() >= count {
                return bodies.iter().map(|one| serde_json::from_str(&one.body).expect("JSON")).collect();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{} were told of: {}", self.sink.heard().len(), self.server.said());
    }

    async fn collection(&self, name: &str) -> mongodb::Collection<Document> {
        let client = mongodb::Client::with_uri_str(&self.database).await.expect("MongoDB is there");
        client.default_database().expect("the address names it").collection(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_inserted_and_the_request_completes_though_its_total_comes_last() {
    let app = App::start("inserted-images.toml").await;
    let worker = app.worker();
    let seen = app.give("inserted", "").await;
    let images = seen["images"].as_array().expect("images");
    assert_eq!((images.len(), &seen["known"], &seen["failed"]), (3, &json!(true), &json!(1)), "{seen}");
    assert!(images.iter().all(|image| app.is_output(&image["outputUrl"]) && image["__v"] == 0), "{seen}");
    let request = &seen["request"];
    assert_eq!((&request["processedImages"], &request["totalImages"]), (&json!(3), &json!(4)), "{seen}");
    let csv = app.csv("csv_outputs", &seen["requestId"]);
    assert_eq!(csv[0], "S.No,Product Name,Input Image Urls,Output Image Urls");
    assert_eq!(
        (csv.len(), csv[1].matches("http").count(), csv[2].matches("http").count()),
        (3, 4, 2),
        "{csv:?}"
    );
    assert!(csv[2].starts_with("2,Product 1,"), "{csv:?}");
    let told = app.told("/told", 1).await;
    let body = json!({ "requestId": seen["requestId"], "status": "completed", "processedImages": 3, "totalImages": 4 });
    assert_eq!(told, [body]);
    worker.signal("TERM");
    assert!(worker.stopped(), "{}", app.server.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_insert_each_image_once_and_complete_its_request_once() {
    let app = App::start("inserted-images.toml").await;
    let _workers = [app.worker(), app.worker()];
    let urls: Vec<_> = (0..24).map(|number| app.origin.url(&format!("/caps.jpg?n={number}"))).collect();
    let products = json!([urls]).to_string();
    let seen = app.node(&["give", "inserted", &products]).await;
    assert_eq!(seen["images"].as_array().map(Vec::len), Some(24), "{seen}");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(app.told("/told", 1).await.len(), 1, "one event a completion");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_leaves_each_image_once_and_each_picture_counted_once() {
    let app = App::start("product-webhooks.toml").await;
    let killed = app.worker();
    let urls: Vec<_> =
        (0..16).map(|number| app.origin.url(&format!("/x/slow/400/caps.jpg?n={number}"))).collect();
    let products = json!([urls]).to_string();
    let asked = ["give", "webhooks", &products];
    let giving = app.node(&asked);
    let killing = async {
        while app.sink.heard().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        killed.signal("KILL");
        drop(killed);
        app.worker()
    };
    let (seen, _next) = tokio::join!(giving, killing);
    assert_eq!(seen["request"]["processed"], 16, "{seen}");
    let told = app.told("/hook", 16).await;
    assert!(told.iter().all(|body| body["success"] == true && app.is_output(&body["outputUrl"])), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_a_picture_has_the_key_of_the_environment() {
    let app = App::start("product-webhooks.toml").await;
    let _worker = app.worker();
    let seen = app.give("webhooks", "").await;
    assert_eq!(seen["request"]["processed"], 4, "{seen}");
    let told = app.told("/hook", 4).await;
    assert!(app.sink.heard().iter().all(|one| one.header("x-api-key") == "key-of-the-shop"));
    let failed: Vec<_> = told.iter().filter(|body| body["success"] == false).collect();
    assert_eq!((failed.len(), &failed[0]["productOid"]), (1, &json!(2)), "{told:?}");
    assert!(failed[0]["error"].as_str().is_some_and(|error| error.starts_with("fetch.status: ")), "{told:?}");
    let said = app.server.said();
    assert!(!said.contains("key-of-the-shop"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_lists_of_addresses_get_lists_of_outputs() {
    let app = App::start("documents-with-arrays.toml").await;
    let _worker = app.worker();
    let seen = app.give("arrays", "").await;
    let (first, second) = (&seen["documents"][0], &seen["documents"][1]);
    assert!(app.is_output(&first["outputUrls"][0]) && app.is_output(&first["outputUrls"][1]), "{seen}");
    assert!(second["outputUrls"][0] == "" && app.is_output(&second["outputUrls"][1]), "{seen}");
    for _ in 0..200 {
        if app.folder.path().join("outputs").is_dir() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let csv = app.csv("outputs", &seen["requestId"]);
    assert_eq!(
        (csv.len(), csv[1].matches("http").count(), csv[2].matches("http").count()),
        (3, 4, 3),
        "{csv:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_go_to_their_places_in_arrays_and_a_webhook_has_the_products() {
    let app = App::start("positions-in-arrays.toml").await;
    let _worker = app.worker();
    let seen = app.give("positions", &app.sink.url("/products")).await;
    let products = &seen["request"]["products"];
    for (product, index, there) in [(0, 0, true), (0, 1, true), (1, 0, false), (1, 1, true)] {
        let output = &products[product]["outputImageUrls"][index];
        assert!(if there { app.is_output(output) } else { output == "" }, "{product} {index}: {seen}");
    }
    let told = app.told("/products", 1).await;
    assert_eq!((&told[0]["status"], &told[0]["products"]), (&json!("COMPLETED"), products), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_a_job_is_waited_for_and_counted_and_what_failed_is_an_empty_text() {
    let app = App::start("product-a-job.toml").await;
    let _worker = app.worker();
    let seen = app.give("product", "").await;
    assert_eq!(seen["request"]["processedProducts"], 2, "{seen}");
    let second = &seen["products"][1];
    assert!(second["outputImageUrls"][0] == "" && app.is_output(&second["outputImageUrls"][1]), "{seen}");
    assert_eq!(
        (&second["status"], &second["requestId"]),
        (&json!("completed"), &seen["requestId"]),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_lists_in_a_job_are_pushed_once_each() {
    let app = App::start("lists-in-the-job.toml").await;
    let _worker = app.worker();
    let seen = app.give("lists", "").await;
    let pushed =
        |product: usize| seen["products"][product]["outputUrls"].as_array().cloned().expect("a list");
    assert_eq!((pushed(0).len(), pushed(1).len()), (2, 1), "{seen}");
    assert!(pushed(0).iter().chain(&pushed(1)).all(|output| app.is_output(output)), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_file_become_documents_and_no_file_elsewhere_is_read() {
    let app = App::start("file-a-job.toml").await;
    let _worker = app.worker();
    let folder = app.folder.path().to_string_lossy().into_owned();
    let seen = app.give("file", &folder).await;
    let request = &seen["request"];
    assert_eq!((&request["totalImages"], &request["failedImages"]), (&json!(4), &json!(1)), "{seen}");
    let second = &seen["products"][1];
    assert_eq!(
        (&second["productName"], &second["serialNumber"]),
        (&json!("Product 1"), &json!("2")),
        "{seen}"
    );
    assert!(second["outputImageUrls"][0] == "processing_failed", "{seen}");
    assert!(app.is_output(&second["outputImageUrls"][1]), "{seen}");
    assert_eq!(app.csv("outputs", &seen["requestId"]).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_name_no_document_are_left_to_others_and_strangers_documents_stay_as_they_are() {
    let app = App::start("product-a-job.toml").await;
    let requests = app.collection("requests").await;
    let strangers =
        [doc! { "kind": "refund", "status": "pending" }, doc! { "requestId": "other", "status": "pending" }];
    requests.insert_many(strangers.clone()).await.expect("they are written");
    // Added long ago: what they name is not waited for.
    let jobs = json!([
        { "requestId": { "$ne": null }, "productId": "507f1f77bcf86cd799439011" },
        { "requestId": "r", "productId": "not an id" },
        { "orderId": 7 },
    ]);
    app.node(&["add", "product-jobs", &jobs.to_string()]).await;
    let _worker = app.worker();
    let seen = app.give("product", "").await;
    assert_eq!(seen["request"]["status"], "completed", "those behind are taken: {seen}");
    let counts = app.node(&["counts", "product-jobs"]).await;
    assert_eq!((&counts["waiting"], &counts["failed"]), (&json!(3), &json!(0)), "{counts}");
    let taken = app.node(&["work", "product-jobs", "3"]).await;
    assert_eq!(taken.as_array().map(Vec::len), Some(3), "{taken}");
    let left = requests.count_documents(doc! { "status": "pending", "pixmill": { "$exists": false } }).await;
    assert_eq!(left.expect("MongoDB is there"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_change_wins_over_what_was_made_of_the_old_addresses() {
    let app = App::start("product-a-job.toml").await;
    let (products, requests) = (app.collection("products").await, app.collection("requests").await);
    let id = mongodb::bson::oid::ObjectId::new();
    let slow = app.origin.url("/x/slow/2000/caps.jpg");
    requests
        .insert_one(doc! { "requestId": "r", "totalProducts": 1, "processedProducts": 0 })
        .await
        .expect("written");
    products.insert_one(doc! { "_id": id, "inputImageUrls": [&slow] }).await.expect("written");
    let _worker = app.worker();
    let jobs = json!([{ "requestId": "r", "productId": id.to_hex() }]);
    app.node(&["add", "product-jobs", &jobs.to_string()]).await;
    while app.origin.log().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let other = doc! { "$set": { "inputImageUrls": ["http://shop/other.jpg"] } };
    products.update_one(doc! { "_id": id }, other).await.expect("written");
    while requests.count_documents(doc! { "status": "completed" }).await.expect("MongoDB is there") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let document =
        products.find_one(doc! { "_id": id }).await.expect("MongoDB is there").expect("it is there");
    assert!(!document.contains_key("outputImageUrls"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_adopt_proposes_takes_nothing_and_works_the_queue_off() {
    let app = App::start("").await;
    let given = app.give("product", "at once").await;
    let adopted = Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(["adopt", "--queue", "product-jobs", "--database", &app.database])
        .env("REDIS_URL", app.redis.url())
        .current_dir(app.folder.path())
        .output()
        .expect("it starts");
    let table = String::from_utf8(adopted.stdout).expect("text");
    assert!(adopted.status.success(), "{table}{}", String::from_utf8_lossy(&adopted.stderr));
    for line in
        ["filter = { _id = \"oid($.productId)\" }", "# - fetch http://127.0.0.1", "# Look at this before:"]
    {
        assert!(table.contains(line), "{line}: {table}");
    }
    let counts = app.node(&["counts", "product-jobs"]).await;
    assert_eq!((&counts["waiting"], &counts["active"]), (&json!(2), &json!(0)), "{counts}");
    let file = app.folder.path().join("proposed.toml");
    std::fs::write(&file, &table).expect("it can be written");
    let mut command = app.server.command(&["--role", "worker", "--attempts", "2"]);
    let _worker = Process::start(command.arg("--config").arg(&file).current_dir(app.folder.path()));
    let seen = app.node(&["end", given["requestId"].as_str().expect("an id")]).await;
    assert_eq!(seen["request"]["processedProducts"], 2, "{seen}");
    assert!(app.is_output(&seen["products"][0]["outputImageUrls"][1]), "{seen}");
}
