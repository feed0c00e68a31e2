//! Holds what MongoDB, Cloudinary, the queue and the receiver say in the end against what was ordered: none lost, none
//! doubled, each told once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bullmq::Job;
use mongodb::bson::{Bson, Document, doc};
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::origin::HttpOrigin;
use pixmill_engine::port::origin::{Hop, Origin};
use pixmill_testkit::checker::Expected;
use serde_json::Value;

use crate::stack::{Order, Stack};

impl Stack {
    /// What is wrong, in words.
    pub(crate) async fn wrong(&self, orders: &[&Order]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut outputs = BTreeMap::new();
        for order in orders {
            let images = self.images(order).await;
            wrong.extend(wrong_images(&images, &order.ends));
            for image in images.iter().filter(|image| is(image, "completed")) {
                wrong.extend(self.wrong_output(image).await);
                let url = image.get_str("inputUrl").unwrap_or_default();
                let names = outputs.insert(output(image).to_owned(), (order.id.clone(), url.to_owned()));
                if names.is_some_and(|other| other != (order.id.clone(), url.to_owned())) {
                    wrong.push(format!("{} is the output of two images", output(image)));
                }
            }
            wrong.extend(self.wrong_request(order, &images).await);
            wrong.extend(self.wrong_jobs(order, &images).await);
        }
        for id in self.cloudinary.service().assets().keys() {
            if !outputs.keys().any(|output| output.contains(&format!("/{id}."))) {
                wrong.push(format!("{id} belongs to no image"));
            }
        }
        wrong
    }

    /// The documents of an order's images.
    pub(crate) async fn images(&self, order: &Order) -> Vec<Document> {
        self.all("images", doc! { "requestId": &order.id }).await
    }

    /// The documents that match, in the order of their ids.
    pub(crate) async fn all(&self, collection: &str, query: Document) -> Vec<Document> {
        let collection = self.database.collection::<Document>(collection);
        let mut cursor = collection.find(query).sort(doc! { "_id": 1 }).await.expect("MongoDB can be read");
        let mut documents = Vec::new();
        while cursor.advance().await.expect("MongoDB can be read") {
            documents.push(cursor.deserialize_current().expect("a document"));
        }
        documents
    }

    /// Jobs that have not ended.
    pub(crate) async fn jobs_left(&self) -> u64 {
        let queue = self.queue().await;
        let counts = queue.get_job_counts().await;
        queue.close().await;
        // One that can't be asked now may have some.
        counts.map_or(1, |jobs| jobs.waiting + jobs.paused + jobs.prioritized + jobs.active + jobs.delayed)
    }

    /// Jobs that ended otherwise than their images.
    async fn wrong_jobs(&self, order: &Order, images: &[Document]) -> Vec<String> {
        let queue = self.queue().await;
        let mut ended = queue.get_completed(0, -1).await.expect("Redis can be read");
        ended.extend(queue.get_failed(0, -1).await.expect("Redis can be read"));
        ended.retain(|job| job.data()["requestId"] == order.request.as_str());
        queue.close().await;
        let as_the_image = |job: &Job, image: &Document| match kept(image).get_document("error") {
            Ok(error) => {
                job.failed_reason() == format!("{}: {}", text(error, "code"), text(error, "message"))
            }
            Err(_) => {
                let told: Value = serde_json::from_str(job.returnvalue()).unwrap_or_default();
                told["secure_url"] == output(image) && told["bytes"] == number(kept(image), "bytesAfter")
            }
        };
        let by_id: HashMap<_, _> = images.iter().map(|image| (id_of(image), image)).collect();
        let theirs = ended.iter().filter_map(|job| Some((job, by_id.get(job.data()["imageId"].as_str()?)?)));
        let wrong = theirs.filter(|(job, image)| !as_the_image(job, image));
        wrong
            .map(|(job, image)| {
                format!("job {} says {} {}: {image}", job.id(), job.returnvalue(), job.failed_reason())
            })
            .collect()
    }

    /// What a browser finds where an image's output should be.
    async fn wrong_output(&self, image: &Document) -> Option<String> {
        let location = output(image);
        let Some(bytes) = download(location).await else { return Some(format!("{location} can't be read")) };
        let whole = bytes.starts_with(b"\xff\xd8") && bytes.ends_with(b"\xff\xd9");
        let right = whole && number(kept(image), "bytesAfter") == bytes.len() as i64;
        (!right).then(|| format!("{location} has {} bytes: {image}", bytes.len()))
    }

    /// Its counters equal its images, and its completion is one event, told under one id.
    async fn wrong_request(&self, order: &Order, images: &[Document]) -> Vec<String> {
        let Some(request) = self.all("requests", doc! { "_id": &order.id }).await.pop() else {
            return vec![format!("{} is lost", order.request)];
        };
        let count = |status: &str| images.iter().filter(|image| is(image, status)).count() as i64;
        let sum = |name: &str| images.iter().map(|image| number(kept(image), name).max(0)).sum::<i64>();
        let (completed, failed) = (count("completed"), count("failed"));
        let theirs = [("totalImages", images.len() as i64), ("processedImages", completed + failed)];
        let right = [
            ("completedImages", completed),
            ("failedImages", failed),
            ("bytesBefore", sum("bytesBefore")),
            ("bytesAfter", sum("bytesAfter")),
            ("round", 1),
        ];
        let differ = theirs.into_iter().filter(|(name, right)| number(&request, name) != *right);
        let differ =
            differ.chain(right.into_iter().filter(|(name, right)| number(kept(&request), name) != *right));
        let mut wrong: Vec<_> =
            differ.map(|(name, right)| format!("{name} should be {right}: {request}")).collect();
        if !is(&request, "completed") {
            wrong.push(format!("should be completed: {request}"));
        }
        let events = kept(&request).get_array("events").cloned().unwrap_or_default();
        let ids: BTreeSet<_> =
            events.iter().filter_map(Bson::as_document).map(|event| text(event, "id")).collect();
        if events.len() != 1 || ids != self.told_of(order) {
            wrong.push(format!("told were {:?}: {request}", self.told_of(order)));
        }
        wrong
    }

    /// The ids under which an order's completion was told.
    fn told_of(&self, order: &Order) -> BTreeSet<String> {
        let heard = self.sink.heard();
        let of_it = heard.iter().filter(|heard| {
            let body: Value = serde_json::from_str(&heard.body).expect("JSON");
            body["requestId"] == order.request.as_str()
        });
        of_it.map(|heard| heard.header("webhook-id").to_owned()).collect()
    }
}

/// Each image that was ordered is there once and has ended as it must.
fn wrong_images(images: &[Document], ends: &[(String, Expected)]) -> Vec<String> {
    let mut left: HashMap<&str, Vec<Expected>> = HashMap::new();
    for (url, end) in ends {
        left.entry(url).or_default().push(*end);
    }
    let mut wrong = Vec::new();
    for image in images {
        let ended_well = match left.get_mut(text(image, "inputUrl").as_str()).and_then(Vec::pop) {
            Some(Expected::Completed) => is(image, "completed") && !kept(image).contains_key("error"),
            Some(Expected::Failed(code)) => {
                let told = kept(image).get_document("error").map(|error| text(error, "code"));
                is(image, "failed") && told.is_ok_and(|told| told == code) && output(image).is_empty()
            }
            None => false,
        };
        if !ended_well || kept(image).contains_key("lease") {
            wrong.push(format!("not as ordered: {image}"));
        }
    }
    left.retain(|_, ends| !ends.is_empty());
    wrong.extend(left.keys().map(|url| format!("{url} is lost")));
    wrong
}

async fn download(location: &str) -> Option<Vec<u8>> {
    let browser = HttpOrigin::new(Guard::new(["127.0.0.0/8".parse().expect("a range")]), 1);
    let mut answer = browser.get(&Hop::first(location.parse().ok()?)).await.ok()?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.body.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
    }
    (answer.status == 200).then_some(bytes)
}

fn is(document: &Document, status: &str) -> bool {
    document.get_str("status").is_ok_and(|told| told == status)
}

/// What pixmill keeps in a document.
pub(crate) fn kept(document: &Document) -> &Document {
    document.get_document("pixmill").expect("pixmill's part")
}

fn id_of(image: &Document) -> String {
    image.get_object_id("_id").map(|id| id.to_hex()).unwrap_or_default()
}

fn output(image: &Document) -> &str {
    image.get_str("outputUrl").unwrap_or_default()
}

fn text(document: &Document, name: &str) -> String {
    document.get_str(name).unwrap_or_default().to_owned()
}

/// A whole number of whatever type; -1 where there is none.
fn number(document: &Document, name: &str) -> i64 {
    match document.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => -1,
    }
}
