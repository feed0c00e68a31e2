//! Reading, for whoever wants to know.

use std::collections::HashMap;
use std::fmt::Display;

use async_trait::async_trait;
use mongodb::bson::{self, Bson, Document, doc};
use pixmill_engine::catalogue::record;
use pixmill_engine::checkup::Finding;
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::event::Completion;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::{Progress, Request, RequestStatus};
use pixmill_engine::model::row::{ResultRow, RowError, Slot};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::{FailureGroup, Report};

use super::command::{Reading, aggregate, by_id, find};
use super::document::{as_it_is, at, failure, moment, no_output, said, slot, slot_fields, string, whole};
use super::head::{DROPPING, Head};
use super::id::{made, text};
use super::outbox::{completion_in, events, webhook};
use super::{Mongodb, Shared};

/// The columns of a request that came without a catalogue.
const HEADER: [&str; 3] = ["S. No.", "Product Name", "Input Image Urls"];

#[async_trait]
impl Report for Mongodb {
    async fn look(&self, now: Timestamp) -> Vec<Finding> {
        let looked = self.shared.findings(now).await;
        looked.unwrap_or_else(|fault| vec![Finding::fault("reachable", &fault)])
    }

    async fn request(&self, id: &RequestId) -> Result<Option<Request>, Fault> {
        let fields = doc! { "pixmill.events": 0 };
        let found = by_id(&self.shared.requests(), id.as_str(), fields).await?;
        match found.filter(|document| string(document, "pixmill.unfinished") != DROPPING) {
            Some(document) => self.shared.request(&document).map(Some),
            None => Ok(None),
        }
    }

    async fn progress(&self, id: &RequestId) -> Result<Progress, Fault> {
        self.shared.snapshot(&self.shared.head(id).await?).await
    }

    async fn rows(&self, id: &RequestId, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let head = self.shared.head(id).await?;
        if head.own {
            self.shared.own_rows(&head, first, most).await
        } else {
            self.shared.foreign_rows(&head, first, most).await
        }
    }

    async fn row_errors(&self, id: &RequestId) -> Result<Vec<RowError>, Fault> {
        self.shared.head(id).await?;
        let found = by_id(&self.shared.row_errors(), id.as_str(), doc! {}).await?;
        let Some(errors) = found.as_ref().and_then(|found| found.get_array("errors").ok()) else {
            return Ok(Vec::new());
        };
        Ok(errors.iter().filter_map(Bson::as_document).filter_map(row_error).collect())
    }

    async fn failures(&self, id: &RequestId) -> Result<Vec<FailureGroup>, Fault> {
        let head = self.shared.head(id).await?;
        let failed = doc! {
            "requestId": head.images(),
            "status": ImageStatus::Failed.as_str(),
            "outputUrl": no_output(),
        };
        let group = doc! {
            "_id": "$pixmill.error.code",
            "images": { "$sum": 1 },
            "example": { "$first": "$inputUrl" },
            "ours": { "$first": "$pixmill.error" },
            "error": { "$first": "$error" },
        };
        let pipeline = vec![
            doc! { "$match": failed },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$group": group },
            doc! { "$sort": { "images": -1, "_id": 1 } },
        ];
        let groups = aggregate(&self.shared.images(), pipeline).await?;
        Ok(groups.iter().map(failure_group).collect())
    }

    async fn completions(&self, id: &RequestId) -> Result<Vec<Completion>, Fault> {
        let fields = doc! { "pixmill.events": 1 };
        let found = by_id(&self.shared.requests(), id.as_str(), fields).await?;
        let found = found.ok_or_else(|| super::unknown(id))?;
        Ok(events(&found).filter_map(|event| completion_in(id, event)).collect())
    }
}

fn row_error(error: &Document) -> Option<RowError> {
    Some(RowError {
        line: whole(error, "line")?,
        code: Code::parse(string(error, "code"))?,
        message: string(error, "message").to_owned(),
    })
}

fn failure_group(group: &Document) -> FailureGroup {
    let mut image = doc! { "error": as_it_is(group, "error") };
    if let Ok(ours) = group.get_document("ours") {
        image.insert("pixmill", doc! { "error": ours.clone() });
    }
    let failure = failure(&image);
    FailureGroup {
        code: failure.code,
        images: whole(group, "images").unwrap_or_default(),
        example: string(group, "example").to_owned(),
        message: failure.message,
    }
}

/// What can't be read of a request is nobody's fault but the request's.
fn unreadable(what: &str, why: &dyn Display) -> Fault {
    Fault::permanent(Code::RecipeInvalid, format!("{what} can't be read: {why}")).of(Blame::Request)
}

impl Shared {
    /// A request as its document tells it. A foreign one has no catalogue, and takes the recipe from the settings.
    pub(super) fn request(&self, document: &Document) -> Result<Request, Fault> {
        let no_id = || unreadable("a request", &"its id is neither a text nor an ObjectId");
        let head = Head::of(document).ok_or_else(no_id)?;
        let recipe = match at(document, "pixmill.recipe") {
            Some(recipe) => {
                let told = bson::deserialize_from_bson(recipe.clone());
                told.map_err(|error| unreadable(&format!("the recipe of request {}", head.request), &error))?
            }
            None => self.settings.recipe,
        };
        let header = match said(document, "pixmill.header") {
            Some(header) => header.to_owned(),
            None => record(HEADER),
        };
        let created = moment(document, "createdAt").or_else(|| made(&head.id));
        let completed = moment(document, "pixmill.completedAt");
        let completed = completed.or_else(|| moment(document, "completedAt").filter(|_| !head.own));
        let updated = moment(document, "updatedAt").or(created).unwrap_or_default();
        let tenant = head.tenant.clone();
        Ok(Request {
            tenant,
            updated,
            status: head.status,
            round: head.round,
            recipe,
            header,
            catalogue: string(document, "pixmill.catalogue").to_owned(),
            webhook: webhook(document),
            traceparent: Traceparent::parse(string(document, "pixmill.traceparent")),
            digest: string(document, "pixmill.digest").to_owned(),
            reading: string(document, "pixmill.reading").to_owned(),
            rows: whole(document, "pixmill.rows").unwrap_or_default(),
            row_errors: whole(document, "pixmill.rowErrors").unwrap_or_default(),
            created: created.unwrap_or_default(),
            completed: completed.filter(|_| head.status == RequestStatus::Completed || !head.own),
            foreign: !head.own,
            id: head.request,
        })
    }

    /// Rows of a catalogue. Their images stand in the order of the rows, so one range of them serves all.
    async fn own_rows(&self, head: &Head, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let from = doc! { "requestId": head.images(), "pixmill.row": { "$gte": i64::try_from(first).unwrap_or(i64::MAX) } };
        let fields = doc! { "pixmill.cells": 1, "pixmill.error": 1, "images": 1 };
        let products =
            find(&self.products(), from, Reading { fields, order: doc! { "pixmill.row": 1 }, most }).await?;
        let images: Vec<_> = products.iter().flat_map(images_of).collect();
        let slots = match (images.first(), images.last()) {
            (Some(first), Some(last)) => {
                let range = doc! { "$gte": first.clone(), "$lte": last.clone() };
                self.slots(head, doc! { "_id": range, "requestId": head.images() }).await?
            }
            _ => HashMap::new(),
        };
        let row = |product: &Document| ResultRow {
            cells: string(product, "pixmill.cells").to_owned(),
            error: said(product, "pixmill.error").map(str::to_owned),
            slots: slots_of(product, &slots),
        };
        Ok(products.iter().map(row).collect())
    }

    /// Products of a request that came without a catalogue, as rows of one.
    async fn foreign_rows(&self, head: &Head, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let of_it = doc! { "requestId": head.images() };
        let products = self.products();
        let found = products.find(of_it).sort(doc! { "_id": 1 }).skip(first);
        let found = found.limit(i64::try_from(most).unwrap_or(i64::MAX)).await;
        let products: Vec<Document> = match found {
            Ok(found) => futures::TryStreamExt::try_collect(found).await,
            Err(error) => Err(error),
        }
        .map_err(|error| super::fault::fault(&error))?;
        let images: Vec<_> = products.iter().flat_map(images_of).collect();
        let mut fields = slot_fields();
        fields.insert("inputUrl", 1);
        let reading = Reading { fields, ..Reading::default() };
        let images = find(&self.images(), doc! { "_id": { "$in": images } }, reading).await?;
        let by_id: HashMap<_, _> =
            images.iter().filter_map(|image| Some((text(image.get("_id")?)?, image))).collect();
        let rows = products.iter().zip(first + 1..).map(|(product, number)| {
            let ids = images_of(product);
            let images: Vec<_> = ids.iter().filter_map(|id| by_id.get(&text(id)?)).collect();
            let inputs: Vec<_> = images.iter().map(|image| string(image, "inputUrl")).collect();
            ResultRow {
                cells: record([&number.to_string(), string(product, "name"), &inputs.join(", ")]),
                error: None,
                slots: images.iter().map(|image| slot(image, head.status)).collect(),
            }
        });
        Ok(rows.collect())
    }

    async fn slots(&self, head: &Head, query: Document) -> Result<HashMap<String, Slot>, Fault> {
        let reading = Reading { fields: slot_fields(), ..Reading::default() };
        let images = find(&self.images(), query, reading).await?;
        let slots =
            images.iter().filter_map(|image| Some((text(image.get("_id")?)?, slot(image, head.status))));
        Ok(slots.collect())
    }
}

/// The ids of a product's images, in order.
fn images_of(product: &Document) -> Vec<Bson> {
    match as_it_is(product, "images") {
        Bson::Array(images) => images,
        _ => Vec::new(),
    }
}

fn slots_of(product: &Document, slots: &HashMap<String, Slot>) -> Vec<Slot> {
    images_of(product).iter().filter_map(|id| slots.get(&text(id)?).cloned()).collect()
}
