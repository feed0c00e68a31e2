//! Taking a catalogue in. Rows gather until a batch is worth a few round trips.

mod batch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mongodb::bson::{self, Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{NewRequest, Progress, RequestStatus};
use pixmill_engine::model::row::NewRow;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Intake, IntakeEnd};
use tokio::sync::Mutex as AsyncMutex;

use self::batch::{Batch, Inputs};
use super::clock::now_in;
use super::command::{self, Again};
use super::document::date;
use super::fault::{fault, is_duplicate};
use super::head::{DROPPING, Head};
use super::id::{Series, matching};
use super::outbox::completion;
use super::{Mongodb, Shared, lock, schema, unknown};

/// Documents in one message at most.
const DOCUMENTS: usize = 2_000;

/// Intakes under way in this process.
#[derive(Default)]
pub(super) struct Intakes(Mutex<HashMap<RequestId, Arc<Taking>>>);

/// One intake under way.
struct Taking {
    images: Series,
    products: Series,
    gathered: AsyncMutex<Gathered>,
}

/// Rows that wait for more, and what is known of those that were written.
#[derive(Default)]
struct Gathered {
    batch: Batch,
    rows: u32,
    images: u32,
    inputs: Inputs,
    /// Something could not be written, or whoever appended was stopped midway: there may be a gap.
    broken: Option<Fault>,
}

impl Intakes {
    fn find(&self, request: &RequestId) -> Result<Arc<Taking>, Fault> {
        lock(&self.0).get(request).cloned().ok_or_else(|| unknown(request))
    }

    fn forget(&self, request: &RequestId) {
        lock(&self.0).remove(request);
    }
}

#[async_trait]
impl Intake for Mongodb {
    async fn begin(&self, new: NewRequest, now: Timestamp) -> Result<(), Fault> {
        let id = new.id.clone();
        let images = Series::new(now);
        match self.shared.requests().insert_one(request(&new, images, now)).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {
                return Err(Fault::permanent(Code::RequestState, format!("the id {id} is in use")));
            }
            Err(error) => return Err(fault(&error)),
        }
        let taking = Taking { images, products: Series::new(now), gathered: AsyncMutex::default() };
        lock(&self.shared.intakes.0).insert(id, Arc::new(taking));
        Ok(())
    }

    async fn append(&self, request: &RequestId, rows: Vec<NewRow>, now: Timestamp) -> Result<(), Fault> {
        let taking = self.shared.intakes.find(request)?;
        let mut gathered = taking.gathered.lock().await;
        gathered.batch.add(rows, now);
        if let Some(broken) = gathered.broken.clone() {
            return Err(broken);
        }
        if gathered.batch.is_full(now) {
            self.shared.write_rows(request, &taking, &mut gathered, now).await
        } else {
            Ok(())
        }
    }

    async fn open(&self, request: &RequestId, end: IntakeEnd, now: Timestamp) -> Result<(), Fault> {
        let taking = self.shared.intakes.find(request)?;
        // An intake that could not be opened can only be discarded.
        self.shared.intakes.forget(request);
        let mut gathered = taking.gathered.lock().await;
        if let Some(broken) = gathered.broken.clone() {
            return Err(broken);
        }
        self.shared.write_rows(request, &taking, &mut gathered, now).await?;
        self.shared.open(request, gathered.images, &end, now).await
    }

    async fn discard(&self, request: &RequestId) -> Result<(), Fault> {
        self.shared.drop_intake(request).await.map(|_| ())
    }
}

/// A request that nobody sees yet.
fn request(new: &NewRequest, images: Series, now: Timestamp) -> Document {
    let mut request = doc! {
        "_id": new.id.as_str(),
        "status": RequestStatus::Receiving.as_str(),
        "totalImages": 0_i64,
        "processedImages": 0_i64,
        "createdAt": date(now),
        "updatedAt": date(now),
        schema::MADE_BY: schema::PIXMILL,
        "round": 1,
        "tenant": &new.tenant,
        "header": &new.header,
        "catalogue": &new.catalogue,
        "firstImage": images.id(0),
        "touchedAt": date(now),
    };
    if let Some(traceparent) = &new.traceparent {
        request.insert("traceparent", traceparent.as_str());
    }
    request
}

/// Matches a request of pixmill's own while it is being taken in.
fn receiving(request: &RequestId) -> Document {
    doc! {
        "_id": request.as_str(),
        "status": RequestStatus::Receiving.as_str(),
        schema::MADE_BY: schema::PIXMILL,
        "unfinished": Bson::Null,
    }
}

impl Shared {
    /// Writes what has gathered. Where that breaks off, the intake is broken.
    async fn write_rows(
        &self,
        request: &RequestId,
        taking: &Taking,
        gathered: &mut Gathered,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let interrupted = format!("the intake of request {request} broke off");
        gathered.broken = Some(Fault::permanent(Code::RequestState, interrupted));
        let written = self.write_batch(request, taking, gathered, now).await;
        gathered.broken = written.clone().err();
        written
    }

    async fn write_batch(
        &self,
        request: &RequestId,
        taking: &Taking,
        gathered: &mut Gathered,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let touch = vec![command::one(receiving(request), doc! { "$set": { "touchedAt": date(now) } })];
        let touched = command::update(&self.database, schema::REQUESTS, touch, Again::Safe).await?;
        if touched.matched == 0 {
            return Err(unknown(request));
        }
        let rows = std::mem::take(&mut gathered.batch).rows;
        let earlier = self.inputs_of(taking, &gathered.inputs.earlier(&rows)).await?;
        let documents = batch::documents(request, taking, gathered, rows, &earlier)?;
        for (collection, documents) in
            [(self.products(), documents.products), (self.images(), documents.images)]
        {
            for some in documents.chunks(DOCUMENTS) {
                collection.insert_many(some).await.map_err(|error| fault(&error))?;
            }
        }
        let followed = documents.followed.into_iter().map(|lead| {
            command::one(doc! { "_id": taking.images.id(lead) }, doc! { "$set": { "followed": true } })
        });
        command::update(&self.database, schema::IMAGES, followed.collect(), Again::Safe).await.map(|_| ())
    }

    /// The inputs of images that were written before.
    async fn inputs_of(&self, taking: &Taking, images: &[u32]) -> Result<HashMap<u32, String>, Fault> {
        let mut inputs = HashMap::with_capacity(images.len());
        for some in images.chunks(DOCUMENTS) {
            let ids: Vec<_> = some.iter().map(|number| taking.images.id(*number)).collect();
            let by_id: HashMap<_, _> = ids.iter().zip(some).map(|(id, number)| (*id, *number)).collect();
            let fields = command::Reading { fields: doc! { "inputUrl": 1 }, ..Default::default() };
            for image in command::find(&self.images(), doc! { "_id": { "$in": &ids } }, fields).await? {
                if let (Ok(id), Ok(input)) = (image.get_object_id("_id"), image.get_str("inputUrl"))
                    && let Some(number) = by_id.get(&id)
                {
                    inputs.insert(*number, input.to_owned());
                }
            }
        }
        Ok(inputs)
    }

    async fn open(
        &self,
        request: &RequestId,
        images: u32,
        end: &IntakeEnd,
        now: Timestamp,
    ) -> Result<(), Fault> {
        if !end.row_errors.is_empty() {
            let errors = end.row_errors.iter().map(|error| {
                doc! { "line": error.line as i64, "code": error.code.as_str(), "message": &error.message }
            });
            let errors = doc! { "_id": request.as_str(), "errors": errors.collect::<Vec<_>>() };
            self.row_errors().insert_one(errors).await.map_err(|error| fault(&error))?;
        }
        let recipe = bson::serialize_to_bson(&end.options.recipe).map_err(|error| {
            Fault::permanent(Code::RecipeInvalid, format!("the recipe can't be kept: {error}"))
        })?;
        let mut set = doc! {
            "status": RequestStatus::Pending.as_str(),
            "recipe": recipe,
            "totalImages": i64::from(images),
            "digest": &end.digest,
            "reading": &end.reading,
            "rows": end.rows as i64,
            "rowErrors": end.row_errors_total as i64,
        };
        if let Some(webhook) = &end.options.webhook {
            set.insert("webhookUrl", webhook);
        }
        if images == 0 {
            set.insert("status", RequestStatus::Completed.as_str());
            set.insert("completedAt", date(now));
            set.insert("events", vec![completion(1, &Progress::default(), now)]);
        }
        let update = doc! { "$set": set, "$unset": { "touchedAt": "" }, "$currentDate": now_in("updatedAt") };
        let open = command::one(receiving(request), update);
        let opened = command::update(&self.database, schema::REQUESTS, vec![open], Again::Safe).await?;
        self.heads.forget(request);
        // Sent twice, the first sending may have opened it.
        if opened.matched == 1 || opened.twice { Ok(()) } else { Err(unknown(request)) }
    }

    /// Deletes an intake; whether there was one.
    pub(super) async fn drop_intake(&self, request: &RequestId) -> Result<bool, Fault> {
        self.intakes.forget(request);
        let drop = vec![command::one(receiving(request), doc! { "$set": { "unfinished": DROPPING } })];
        let dropped = command::update(&self.database, schema::REQUESTS, drop, Again::Safe).await?;
        if dropped.matched == 0 {
            return Ok(false);
        }
        let head = self.head(request).await?;
        self.delete(&head).await.map(|()| true)
    }

    /// Deletes a request that is marked so, itself last.
    pub(super) async fn delete(&self, head: &Head) -> Result<(), Fault> {
        for collection in [schema::IMAGES, schema::PRODUCTS] {
            command::delete(&self.database, collection, doc! { "requestId": head.images() }).await?;
        }
        let told = doc! { "request": head.request.as_str() };
        command::delete(&self.database, schema::DELIVERIES, told).await?;
        let by_id = doc! { "_id": matching(head.request.as_str()) };
        command::delete(&self.database, schema::ROW_ERRORS, by_id).await?;
        let marked = doc! { "_id": head.id.clone(), "unfinished": DROPPING };
        command::delete(&self.database, schema::REQUESTS, marked).await?;
        self.heads.forget(&head.request);
        Ok(())
    }
}
