//! Redis, MongoDB and Cloudinary's stand-in, an origin and a webhook's receiver, and workers on them.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::records::mongodb::{Mongodb, Settings};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::port::clock::Clock;
use pixmill_testkit::checker::Expected;
use pixmill_testkit::origin::{self, Origin};
use pixmill_testkit::services::mongodb::database;
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::sink::{Reply, Sink};
use pixmill_testkit::storage::cloudinary::Cloudinary;
use pixmill_testkit::storage::standin::Running;
use serde_json::Value;

use crate::seeded;
use crate::server::{Process, Server};

/// Short, so that what a dead or frozen worker held is soon free; longer than a busy machine makes a live one wait.
pub(crate) const LEASE: Duration = Duration::from_millis(4_000);

/// How long anything is waited for, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The queue's name, where nobody set one.
pub(crate) const QUEUE: &str = "image-processing";

/// What whoever hands a request in knows of it.
pub(crate) struct Order {
    pub(crate) request: RequestId,
    /// Its id as its document has it.
    pub(crate) id: Bson,
    /// The URL of each of its images, and how that must end.
    pub(crate) ends: Vec<(String, Expected)>,
    /// The data of the jobs that a shop adds for them; pixmill adds its own.
    pub(crate) jobs: Vec<Value>,
}

pub(crate) struct Stack {
    pub(crate) server: Server,
    pub(crate) redis: Redis,
    pub(crate) database: mongodb::Database,
    pub(crate) cloudinary: Running<Cloudinary>,
    pub(crate) origin: Origin,
    pub(crate) sink: Sink,
}

impl Stack {
    /// Starts it, on a database of a server that tests share.
    pub(crate) async fn start(persistence: Persistence) -> Self {
        Stack::on(persistence, &database().await, |_| 200).await
    }

    /// Starts it on a database that nobody has used; the receiver answers its nth call with a status.
    pub(crate) async fn on(
        persistence: Persistence,
        mongodb: &str,
        status: impl Fn(usize) -> u16 + Send + 'static,
    ) -> Self {
        let redis = Redis::start(persistence, &[]).await;
        let cloudinary = Cloudinary::start().expect("the stand-in starts");
        let records = Mongodb::connect(mongodb, Settings::default(), SystemClock.wall()).await;
        let records = Arc::new(records.expect("MongoDB is there"));
        let client = Client::with_uri_str(mongodb).await.expect("MongoDB is there");
        let environment = vec![
            ("REDIS_URL", redis.url()),
            ("MONGODB_URI", mongodb.to_owned()),
            ("CLOUDINARY_URL", cloudinary.address()),
        ];
        Stack {
            server: Server::on(records.clone(), records, environment),
            redis,
            database: client.default_database().expect("the address names it"),
            cloudinary,
            origin: Origin::start(origin::Settings::serving(seeded::pictures())).expect("the origin starts"),
            sink: Sink::start(move |call| Reply::from(status(call))).expect("a sink"),
        }
    }

    /// A worker to be.
    pub(crate) fn command(&self) -> Command {
        let webhook = self.sink.url("/");
        let arguments = ["--role", "worker", "--attempts", "1000", "--webhook-url", &webhook];
        let mut command = self.server.command(&arguments);
        command.env("PIXMILL_TEST_LEASE_MS", LEASE.as_millis().to_string());
        command
    }

    /// A worker.
    pub(crate) fn worker(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Hands a catalogue of so many rows in to pixmill.
    pub(crate) async fn accept(&self, rows: usize) -> Order {
        let rows: Vec<_> = (0..rows).map(|number| seeded::row(&self.origin.url(""), number)).collect();
        let lines = rows.iter().map(|(urls, _)| format!("\"{}\"\n", urls.join(", ")));
        let request =
            self.server.accept(&("Input Image Urls\n".to_owned() + &lines.collect::<String>()), None).await;
        let id = request.as_str().into();
        Order { request, id, ends: ends(&rows), jobs: Vec::new() }
    }

    /// Waits until some images of an order have ended and others have not, unless they were too quick.
    pub(crate) async fn until_some_ended(&self, order: &Order) {
        self.until("some images have ended", async || {
            let ended = doc! { "requestId": &order.id, "status": { "$in": ["completed", "failed"] } };
            let ended =
                self.database.collection::<mongodb::bson::Document>("images").count_documents(ended).await;
            ended.is_ok_and(|ended| ended >= 6)
        })
        .await;
    }

    /// Waits until the orders have ended and been told of and no job is left, stops the workers, and holds what came of
    /// it all against what should.
    ///
    /// # Panics
    /// When something is wrong.
    pub(crate) async fn finish(&self, orders: &[&Order], workers: impl IntoIterator<Item = Process>) {
        self.until_over(orders).await;
        let workers: Vec<_> = workers.into_iter().collect();
        workers.iter().for_each(|worker| worker.signal("TERM"));
        for worker in workers {
            assert!(worker.stopped(), "a worker gave up: {}", self.server.said());
        }
        let wrong = self.wrong(orders).await;
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", self.server.said());
    }

    /// Waits until the orders have ended and been told of and no job is left.
    pub(crate) async fn until_over(&self, orders: &[&Order]) {
        for order in orders {
            self.server.wait_for(&order.request).await;
            self.server.wait_until_told(&order.request).await;
        }
        self.until("no job is left", async || self.jobs_left().await == 0).await;
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it is not within a minute or two.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !is_so().await {
            assert!(began.elapsed() < PATIENCE, "not so: {what}: {}", self.server.said());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Image by image.
pub(crate) fn ends(rows: &[(Vec<String>, Vec<Expected>)]) -> Vec<(String, Expected)> {
    rows.iter().flat_map(|(urls, ends)| urls.iter().cloned().zip(ends.iter().copied())).collect()
}
