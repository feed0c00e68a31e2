//! Redis, MongoDB and Cloudinary's stand-in, each the test's own, and a server on them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::records::mongodb::{Mongodb, Settings};
use pixmill_engine::model::row::ResultRow;
use pixmill_engine::port::clock::Clock;
use pixmill_testkit::checker::{Expected, check_rows};
use pixmill_testkit::services::End;
use pixmill_testkit::services::mongodb::Mongodb as MongodbServer;
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::storage::cloudinary::Cloudinary;
use pixmill_testkit::storage::standin::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

pub(crate) struct Stack {
    pub(crate) server: Server,
    pub(crate) cloudinary: Arc<Running<Cloudinary>>,
    redis: Redis,
    mongodb: MongodbServer,
}

impl Stack {
    /// Starts it all, with nothing in it.
    pub(crate) async fn start(persistence: Persistence) -> Self {
        let redis = Redis::start(persistence, &[]).await;
        let mongodb = MongodbServer::start(&[]).await;
        let cloudinary = Arc::new(Cloudinary::start().expect("the stand-in starts"));
        let address = mongodb.url("shop");
        let records = Mongodb::connect(&address, Settings::default(), SystemClock.now()).await;
        let records = Arc::new(records.expect("MongoDB is there"));
        let environment = vec![
            ("REDIS_URL", redis.url()),
            ("MONGODB_URI", address),
            ("CLOUDINARY_URL", cloudinary.address()),
        ];
        let server = Server::on(records.clone(), records, environment);
        Stack { server, cloudinary, redis, mongodb }
    }

    /// Ends Redis and starts it again.
    pub(crate) async fn restart_redis(&mut self, how: End) {
        self.redis.stop(how);
        self.redis.start_again().await;
    }

    /// Has Redis forget everything.
    pub(crate) async fn flush_redis(&mut self) {
        let place = self.redis.url();
        let place = place.strip_prefix("redis://").expect("an address");
        let mut stream = TcpStream::connect(place).await.expect("Redis is there");
        stream.write_all(b"FLUSHALL\r\n").await.expect("it listens");
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(&answer, b"+OK");
    }

    /// Ends MongoDB as an operator does, and starts it again.
    pub(crate) async fn restart_mongodb(&mut self) {
        self.mongodb.stop(End::Asked);
        self.mongodb.start_again().await;
    }

    /// What is wrong with a request's results and with what Cloudinary holds.
    pub(crate) fn check(&self, results: &[ResultRow], expected: &[Vec<Expected>]) -> Vec<String> {
        let assets = self.cloudinary.service().assets();
        let mut wrong = check_rows(results, expected, |location| {
            let asset = assets.iter().find(|(id, _)| location.contains(id.as_str()));
            asset.map(|(_, asset)| asset.bytes.to_vec())
        });
        let mut named: Vec<_> = results.iter().flat_map(|row| &row.slots).collect();
        named.retain(|slot| slot.output.is_some());
        let named =
            |id: &str| named.iter().any(|slot| slot.output.as_ref().is_some_and(|o| o.location.contains(id)));
        wrong.extend(assets.keys().filter(|id| !named(id)).map(|id| format!("{id} belongs to no image")));
        wrong
    }
}
