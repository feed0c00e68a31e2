//! The crash loop of a server on Redis and MongoDB.

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use pixmill_testkit::services::mongodb::database;
use pixmill_testkit::services::redis::{Persistence, Redis};

use crate::api::server_on_mongodb;
use crate::server::Server;
use crate::upload::{self, ROWS, differing};

struct Backends {
    database: Database,
    /// Ends when it is dropped.
    _redis: Redis,
}

async fn start() -> (Server, Backends) {
    let (redis, address) = (Redis::start(Persistence::AppendOnly, &[]).await, database().await);
    let client = Client::with_uri_str(&address).await.expect("MongoDB is there");
    let database = client.default_database().expect("the address names it");
    (server_on_mongodb(vec![("REDIS_URL", redis.url())], address).await, Backends { database, _redis: redis })
}

async fn left_behind(_: &Server, Backends { database, .. }: &Backends) -> Vec<String> {
    let request =
        database.collection::<Document>("requests").find_one(doc! {}).await.expect("MongoDB can be read");
    let id = request.expect("a request").get("_id").expect("an id").clone();
    let mut counted = Vec::new();
    for (what, collection, query, right) in [
        ("requests", "requests", doc! {}, 1),
        ("rows", "products", doc! {}, ROWS as i64),
        ("images under way", "images", doc! { "status": { "$in": ["pending", "processing"] } }, 0),
        ("images held", "images", doc! { "pixmill.lease": { "$exists": true } }, 0),
        ("images of no request", "images", doc! { "requestId": { "$ne": id } }, 0),
        ("requests with an event", "requests", doc! { "pixmill.events": { "$size": 1 } }, 1),
        ("events under way", "requests", doc! { "pixmill.events.due": { "$exists": true } }, 0),
        ("keys", "pixmill_boards", doc! { "board": "intakes" }, 1),
    ] {
        let found = database.collection::<Document>(collection).count_documents(query).await;
        counted.push((what, found.expect("MongoDB can be read") as i64, right));
    }
    differing(counted)
}

#[test]
fn an_upload_makes_one_request_and_one_event_on_redis_and_mongodb_too() {
    upload::play_all("Redis and MongoDB", start, left_behind);
}
