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
use super::field::{self, inside};
use super::half_done::DROPPING;
use super::head::Head;
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
    tenant: String,
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
        let touched = self.shared.shift(now).await?.of_server(now);
        match self.shared.requests().insert_one(request(&new, images, touched, now)).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {
                return Err(Fault::permanent(Code::RequestState, format!("the id {id} is in use")));
            }
            Err(error) => return Err(fault(&error)),
        }
        let taking = Taking {
            tenant: new.tenant,
            images,
            products: Series::new(now),
            gathered: AsyncMutex::default(),
        };
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
        self.shared.open(request, &taking.tenant, gathered.images, &end, now).await
    }

    async fn discard(&self, request: &RequestId) -> Result<(), Fault> {
        self.shared.drop_intake(request).await.map(|_| ())
    }
}

/// A request that nobody sees yet, touched at a time of the server's.
fn request(new: &NewRequest, images: Series, touched: Timestamp, now: Timestamp) -> Document {
    let mut ours = doc! {
        inside(field::OWN): true,
        inside(field::ROUND): 1_i64,
        inside(field::TENANT): &new.tenant,
        inside(field::HEADER): &new.header,
        inside(field::CATALOGUE): &new.catalogue,
        inside(field::FIRST_IMAGE): images.id(0),
        inside(field::TOUCHED_AT): date(touched),
    };
    if let Some(traceparent) = &new.traceparent {
        ours.insert(inside(field::TRACEPARENT), traceparent.as_str());
    }
    doc! {
        "_id": new.id.as_str(),
        field::STATUS: RequestStatus::Receiving.as_str(),
        field::TOTAL_IMAGES: 0_i64,
        field::PROCESSED_IMAGES: 0_i64,
        field::CREATED_AT: date(now),
        field::UPDATED_AT: date(now),
        field::PIXMILL: ours,
    }
}

/// Matches a request of pixmill's own while it is being taken in.
fn receiving(request: &RequestId) -> Document {
    doc! {
        "_id": request.as_str(),
        field::STATUS: RequestStatus::Receiving.as_str(),
        field::OWN: true,
        field::UNFINISHED: Bson::Null,
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

    /// Says that an intake is under way.
    pub(super) async fn touch_intake(&self, request: &RequestId, now: Timestamp) -> Result<(), Fault> {
        let touched = date(self.shift(now).await?.of_server(now));
        let touch = vec![command::one(receiving(request), doc! { "$set": { field::TOUCHED_AT: touched } })];
        let touched = command::update(&self.database, schema::REQUESTS, touch, Again::Safe).await?;
        if touched.matched == 0 { Err(unknown(request)) } else { Ok(()) }
    }

    async fn write_batch(
        &self,
        request: &RequestId,
        taking: &Taking,
        gathered: &mut Gathered,
        now: Timestamp,
    ) -> Result<(), Fault> {
        self.touch_intake(request, now).await?;
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
            command::one(doc! { "_id": taking.images.id(lead) }, doc! { "$set": { field::FOLLOWED: true } })
        });
        command::update(&self.database, schema::IMAGES, followed.collect(), Again::Safe).await.map(|_| ())
    }

    /// The inputs of images that were written before.
    async fn inputs_of(&self, taking: &Taking, images: &[u32]) -> Result<HashMap<u32, String>, Fault> {
        let mut inputs = HashMap::with_capacity(images.len());
        for some in images.chunks(DOCUMENTS) {
            let ids: Vec<_> = some.iter().map(|number| taking.images.id(*number)).collect();
            let by_id: HashMap<_, _> = ids.iter().zip(some).map(|(id, number)| (*id, *number)).collect();
            let fields = command::Reading { fields: doc! { field::INPUT_URL: 1 }, ..Default::default() };
            for image in command::find(&self.images(), doc! { "_id": { "$in": &ids } }, fields).await? {
                if let (Ok(id), Ok(input)) = (image.get_object_id("_id"), image.get_str(field::INPUT_URL))
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
        tenant: &str,
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
            field::STATUS: RequestStatus::Pending.as_str(),
            field::TOTAL_IMAGES: i64::from(images),
            field::RECIPE: recipe,
            field::DIGEST: &end.digest,
            field::READING: &end.reading,
            field::ROWS: end.rows as i64,
            field::ROW_ERRORS: end.row_errors_total as i64,
        };
        if let Some(webhook) = &end.options.webhook {
            set.insert(field::WEBHOOK, webhook);
        }
        let mut changed = now_in(field::UPDATED_AT);
        if images == 0 {
            set.insert(field::STATUS, RequestStatus::Completed.as_str());
            set.insert(field::COMPLETED_AT, date(now));
            let due = self.shift(now).await?.of_server(now);
            set.insert(field::EVENTS, vec![completion(1, &Progress::default(), due, now)]);
        } else {
            set.insert(field::FED, tenant);
            changed.insert(field::OPENED, true);
        }
        let update = doc! { "$set": set, "$unset": { field::TOUCHED_AT: "" }, "$currentDate": changed };
        let opened = self.change_once(request, receiving(request), update).await?;
        if opened { Ok(()) } else { Err(unknown(request)) }
    }

    /// Deletes an intake; whether there was one.
    pub(super) async fn drop_intake(&self, request: &RequestId) -> Result<bool, Fault> {
        self.intakes.forget(request);
        let drop = vec![command::one(receiving(request), doc! { "$set": { field::UNFINISHED: DROPPING } })];
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
            // What an app added to our request has no row in our catalogue.
            let ours = doc! { field::REQUEST_ID: head.request.as_str(), field::ROW: { "$exists": true } };
            command::delete(&self.database, collection, ours).await?;
        }
        for collection in [schema::DELIVERIES, schema::ORIGINALS] {
            let of_it = doc! { "request": head.request.as_str() };
            command::delete(&self.database, collection, of_it).await?;
        }
        let by_id = doc! { "_id": matching(head.request.as_str()) };
        command::delete(&self.database, schema::ROW_ERRORS, by_id).await?;
        let marked = doc! { "_id": head.id.clone(), field::OWN: true, field::UNFINISHED: DROPPING };
        command::delete(&self.database, schema::REQUESTS, marked).await?;
        self.heads.forget(&head.request);
        Ok(())
    }
}
