//! Reading, for whoever wants to know.

use std::collections::HashMap;
use std::fmt::Display;

use async_trait::async_trait;
use mongodb::bson::{self, Bson, Document, doc};
use pixmill_engine::catalogue::record;
use pixmill_engine::checkup::{Diagnose, Finding};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::event::Completion;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::{Request, RequestStatus};
use pixmill_engine::model::row::{ResultRow, RowError, Slot};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::page::{Bytes, Page};
use pixmill_engine::port::records::{FailureGroup, Report};

use super::command::{Reading, aggregate, by_id, find};
use super::document::{as_it_is, at, failure, moment, no_output, said, slot, slot_fields, string, whole};
use super::fault::fault;
use super::field::{self, inside};
use super::head::Head;
use super::id::{made, text};
use super::outbox::{completion_in, events, webhook};
use super::page::page;
use super::{Mongodb, Shared};

/// The columns of a request that came without a catalogue.
const HEADER: [&str; 3] = ["S. No.", "Product Name", "Input Image Urls"];

#[async_trait]
impl Diagnose for Mongodb {
    async fn diagnose(&self, now: Timestamp) -> Vec<Finding> {
        let looked = self.shared.findings(now).await;
        looked.unwrap_or_else(|fault| vec![Finding::fault("reachable", &fault)])
    }
}

#[async_trait]
impl Report for Mongodb {
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
            field::REQUEST_ID: head.images(),
            field::STATUS: ImageStatus::Failed.as_str(),
            field::OUTPUT_URL: no_output(),
        };
        let group = doc! {
            "_id": field::value(field::ERROR) + ".code",
            "images": { "$sum": 1 },
            "example": { "$first": field::value(field::INPUT_URL) },
            "ours": { "$first": field::value(field::ERROR) },
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

    async fn noted(&self, id: &RequestId) -> Result<u64, Fault> {
        let head = self.shared.head(id).await?;
        let noted = doc! { field::REQUEST_ID: head.images(), field::FRAMES: { "$exists": true } };
        self.shared.images().count_documents(noted).await.map_err(|error| fault(&error))
    }

    async fn completions(&self, id: &RequestId) -> Result<Vec<Completion>, Fault> {
        let fields = doc! { field::EVENTS: 1 };
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
        image.insert(field::PIXMILL, doc! { "error": ours.clone() });
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
        let recipe = match at(document, field::RECIPE) {
            Some(recipe) => {
                let told = bson::deserialize_from_bson(recipe.clone());
                told.map_err(|error| unreadable(&format!("the recipe of request {}", head.request), &error))?
            }
            None => self.settings.recipe,
        };
        let header = match said(document, field::HEADER) {
            Some(header) => header.to_owned(),
            None => record(HEADER),
        };
        let created = moment(document, field::CREATED_AT).or_else(|| made(&head.id));
        let completed = moment(document, field::COMPLETED_AT);
        let completed =
            completed.or_else(|| moment(document, inside(field::COMPLETED_AT)).filter(|_| !head.own));
        let updated = moment(document, field::UPDATED_AT).or(created).unwrap_or_default();
        let tenant = head.tenant.clone();
        Ok(Request {
            tenant,
            updated,
            status: head.status,
            round: head.round,
            recipe,
            header,
            catalogue: string(document, field::CATALOGUE).to_owned(),
            webhook: webhook(document),
            traceparent: Traceparent::parse(string(document, field::TRACEPARENT)),
            digest: string(document, field::DIGEST).to_owned(),
            reading: string(document, field::READING).to_owned(),
            rows: whole(document, field::ROWS).unwrap_or_default(),
            row_errors: whole(document, field::ROW_ERRORS).unwrap_or_default(),
            created: created.unwrap_or_default(),
            completed: completed.filter(|_| head.status == RequestStatus::Completed || !head.own),
            foreign: !head.own,
            id: head.request,
        })
    }

    /// Rows of a catalogue. Their images stand in the order of the rows, so one range of them serves all.
    async fn own_rows(&self, head: &Head, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let from = doc! { field::REQUEST_ID: head.images(), field::ROW: { "$gte": i64::try_from(first).unwrap_or(i64::MAX) } };
        let fields = doc! { field::CELLS: 1, field::ERROR: 1, "images": 1 };
        let reading = Reading { fields, order: doc! { field::ROW: 1 }, most, ..Reading::default() };
        let rows = page(&self.products(), &from, reading, &self.widths.products, OwnRow::of).await?;
        let images: Vec<_> = rows.iter().flat_map(|row| &row.images).collect();
        let slots = match (images.first(), images.last()) {
            (Some(first), Some(last)) => {
                let range = doc! { "$gte": (*first).clone(), "$lte": (*last).clone() };
                self.slots(head, doc! { "_id": range, field::REQUEST_ID: head.images() }).await?
            }
            _ => HashMap::new(),
        };
        let row = |row: OwnRow| ResultRow {
            slots: row.images.iter().filter_map(|id| slots.get(&text(id)?).cloned()).collect(),
            cells: row.cells,
            error: row.error,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Products of a request that came without a catalogue, as rows of one.
    async fn foreign_rows(&self, head: &Head, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let of_it = doc! { field::REQUEST_ID: head.images() };
        let fields = doc! { "name": 1, "images": 1 };
        let reading = Reading { fields, order: doc! { "_id": 1 }, most, skip: first };
        let products =
            page(&self.products(), &of_it, reading, &self.widths.products, |found| Some(Product::of(found)))
                .await?;
        let (mut rows, mut numbers) = (Page::new(most), first + 1..);
        let mut products = products.into_iter().peekable();
        while !rows.is_full()
            && let Some(next) = products.next()
        {
            // As many together as have no more images than are to be read at a time.
            let at_a_time = self.widths.images.answer(usize::MAX);
            let (mut some, mut images) = (Vec::new(), next.images.len());
            some.push(next);
            while let Some(next) = products.next_if(|next| images + next.images.len() <= at_a_time) {
                images += next.images.len();
                some.push(next);
            }
            let ids: Vec<_> = some.iter().flat_map(|product| product.images.iter().cloned()).collect();
            let images = self.foreign_images(ids).await?;
            for (product, number) in some.iter().zip(&mut numbers) {
                rows.push(product.as_row(number, &images, head));
            }
        }
        Ok(rows.into_items())
    }

    async fn foreign_images(&self, ids: Vec<Bson>) -> Result<HashMap<String, Document>, Fault> {
        let mut fields = slot_fields();
        fields.insert(field::INPUT_URL, 1);
        let reading = Reading { fields, ..Reading::default() };
        let images = find(&self.images(), doc! { "_id": { "$in": ids } }, reading).await?;
        let bytes =
            images.iter().map(|image| size_of::<Document>() + string(image, field::INPUT_URL).len()).sum();
        self.widths.images.saw(images.len(), bytes);
        Ok(images.into_iter().filter_map(|image| Some((text(image.get("_id")?)?, image))).collect())
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

/// A product that came without a catalogue, before its images are read.
struct Product {
    name: String,
    images: Vec<Bson>,
}

impl Product {
    fn of(document: &Document) -> Self {
        Product { name: string(document, "name").to_owned(), images: images_of(document) }
    }

    /// The row that a catalogue would have for it.
    fn as_row(&self, number: u64, images: &HashMap<String, Document>, head: &Head) -> ResultRow {
        let images: Vec<_> = self.images.iter().filter_map(|id| images.get(&text(id)?)).collect();
        let inputs: Vec<_> = images.iter().map(|image| string(image, field::INPUT_URL)).collect();
        ResultRow {
            cells: record([number.to_string().as_str(), &self.name, &inputs.join(", ")]),
            error: None,
            slots: images.iter().map(|image| slot(image, head.status)).collect(),
        }
    }
}

impl Bytes for Product {
    fn bytes(&self) -> usize {
        size_of::<ResultRow>() + self.name.len() + self.images.len() * SLOT_BYTES
    }
}

/// About what an image takes among those of its row.
const SLOT_BYTES: usize = 256;

/// A row of a catalogue before its images are read.
struct OwnRow {
    cells: String,
    error: Option<String>,
    images: Vec<Bson>,
}

impl OwnRow {
    fn of(product: &Document) -> Option<Self> {
        Some(OwnRow {
            cells: string(product, field::CELLS).to_owned(),
            error: said(product, field::ERROR).map(str::to_owned),
            images: images_of(product),
        })
    }
}

/// What is read of its images counts too, about.
impl Bytes for OwnRow {
    fn bytes(&self) -> usize {
        let error = self.error.as_ref().map_or(0, String::len);
        size_of::<ResultRow>() + self.cells.len() + error + self.images.len() * SLOT_BYTES
    }
}
