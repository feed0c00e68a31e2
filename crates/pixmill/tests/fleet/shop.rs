//! A shop that runs the Node stack: it writes documents as Mongoose does, and adds jobs to BullMQ.

use bullmq::types::BackoffStrategy;
use bullmq::{BulkJob, JobOptions, Queue, QueueOptions};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use pixmill_engine::model::id::RequestId;
use pixmill_testkit::checker::Expected;
use serde_json::{Value, json};

use crate::seeded;
use crate::stack::{Order, QUEUE, Stack, ends};

/// What a shop's requests look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// The id is a UUID, and the status is told.
    Uuid,
    /// The id is an ObjectId, there is no status, and the total is written last.
    ObjectId,
}

impl Stack {
    /// Writes the documents of a request of so many rows. Its jobs are not added yet.
    pub(crate) async fn documents(&self, rows: usize, habit: Habit) -> Order {
        let rows: Vec<_> = (0..rows).map(|number| seeded::row(&self.origin.url(""), number)).collect();
        self.documents_of(&rows, habit).await
    }

    /// The same for a request of these URLs, given how each must end.
    pub(crate) async fn documents_of(&self, rows: &[(Vec<String>, Vec<Expected>)], habit: Habit) -> Order {
        let ends = ends(rows);
        let (id, request): (Bson, String) = match habit {
            Habit::Uuid => {
                let id = RequestId::new();
                (id.as_str().into(), id.as_str().to_owned())
            }
            Habit::ObjectId => {
                let id = ObjectId::new();
                (id.into(), id.to_hex())
            }
        };
        let now = DateTime::now();
        let mut head =
            doc! { "_id": &id, "processedImages": 0, "createdAt": now, "updatedAt": now, "__v": 0 };
        if habit == Habit::Uuid {
            head.extend(doc! { "status": "pending", "totalImages": ends.len() as i32 });
        }
        self.insert("requests", vec![head]).await;
        let (mut products, mut images, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (urls, _)) in rows.iter().enumerate() {
            let (product, ids): (_, Vec<_>) =
                (ObjectId::new(), urls.iter().map(|_| ObjectId::new()).collect());
            for (image, url) in ids.iter().zip(urls) {
                images.push(doc! {
                    "_id": image, "requestId": &id, "productId": product, "inputUrl": url, "outputUrl": Bson::Null, "__v": 0,
                });
                jobs.push(json!({ "requestId": request, "imageId": image.to_hex(), "inputUrl": url }));
            }
            products.push(doc! {
                "_id": product, "requestId": &id, "name": format!("SKU {number}"), "images": ids, "__v": 0,
            });
        }
        self.insert("products", products).await;
        self.insert("images", images).await;
        if habit == Habit::ObjectId {
            let total = doc! { "$set": { "totalImages": ends.len() as i32 } };
            let requests = self.database.collection::<Document>("requests");
            requests.update_one(doc! { "_id": &id }, total).await.expect("it is written");
        }
        Order { request: request.as_str().into(), id, ends, jobs }
    }

    async fn insert(&self, collection: &str, documents: Vec<Document>) {
        let collection = self.database.collection::<Document>(collection);
        collection.insert_many(documents).await.expect("they are written");
    }

    /// Adds jobs with these data; every other one says how often it is to be tried.
    pub(crate) async fn add_jobs(&self, data: impl IntoIterator<Item = &Value>) {
        let jobs = data.into_iter().enumerate().map(|(number, data)| {
            let tried = JobOptions {
                attempts: Some(1_000),
                backoff: Some(BackoffStrategy::Fixed(100)),
                ..JobOptions::default()
            };
            let options = if number % 2 == 0 { tried } else { JobOptions::default() };
            BulkJob::with_options("process-image", data, options)
        });
        self.queue().await.add_bulk(jobs.collect()).await.expect("Redis takes them");
    }

    /// The queue, as another program sees it.
    pub(crate) async fn queue(&self) -> Queue {
        let mut options = QueueOptions::default();
        options.connection.url = self.redis.url();
        Queue::with_options(QUEUE, options).await.expect("Redis is there")
    }
}
