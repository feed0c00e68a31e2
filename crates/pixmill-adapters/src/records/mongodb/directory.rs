//! What clients ask for: requests, and what was done for them.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::{DEFAULT_TENANT, Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Directory, RequestView, Usage};

use super::backlog::any_of;
use super::command::{Reading, aggregate, broken, by_id, find};
use super::document::{as_it_is, date, ends, no_output, open, request_status, whole};
use super::fault::fault;
use super::head::{self, CANCELLING, DROPPING, Head};
use super::id::earlier;
use super::outbox::delivery_in;
use super::{Mongodb, Shared, unknown};

#[async_trait]
impl Directory for Mongodb {
    async fn view(&self, id: &RequestId) -> Result<Option<RequestView>, Fault> {
        let found = by_id(&self.shared.requests(), id.as_str(), doc! { "events": 0 }).await?;
        let head = found.as_ref().and_then(Head::of).filter(is_shown);
        match (found, head) {
            (Some(document), Some(head)) => self.shared.request_view(&document, &head).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn requests_of(
        &self,
        tenant: &str,
        status: Option<RequestStatus>,
        before: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<RequestView>, Fault> {
        let requests = self.shared.requests();
        let mut conditions = vec![shown(), doc! { "tenant": of_tenant(tenant) }];
        conditions.extend(status.map(|status| doc! { "status": shown_as(status) }));
        if let Some(before) = before {
            let last = by_id(&requests, before.as_str(), doc! { "createdAt": 1 }).await?;
            conditions.push(listed_after(&last.ok_or_else(|| unknown(before))?));
        }
        let order = doc! { "createdAt": -1, "_id": -1 };
        let reading = Reading { fields: doc! { "events": 0 }, order, most };
        let mut views = Vec::new();
        for document in find(&requests, doc! { "$and": conditions }, reading).await? {
            let head = Head::of(&document).ok_or_else(|| broken("the id of a request"))?;
            views.push(self.shared.request_view(&document, &head).await?);
        }
        Ok(views)
    }

    async fn images(
        &self,
        id: &RequestId,
        status: Option<ImageStatus>,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        match self.shared.shown_head(id).await? {
            Some(head) => self.shared.images_of(&head, status, after, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn failed(
        &self,
        id: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        match self.shared.shown_head(id).await? {
            Some(head) => self.shared.failed_images(&head, after, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn ended_since(
        &self,
        id: &RequestId,
        moment: &Moment,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        match self.shared.shown_head(id).await? {
            Some(head) => self.shared.ended_images(&head, moment, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn deliveries_of(
        &self,
        tenant: &str,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        let mut query = doc! { "tenant": tenant };
        if let Some(request) = request {
            query.insert("request", request.as_str());
        }
        if let Some(before) = before {
            query.insert("_id", doc! { "$lt": before });
        }
        let reading = Reading { order: doc! { "_id": -1 }, most, ..Reading::default() };
        find(&self.shared.deliveries(), query, reading).await?.iter().map(delivery_in).collect()
    }

    async fn delivery_of(&self, tenant: &str, id: &str) -> Result<Option<Delivery>, Fault> {
        let found = self.shared.deliveries().find_one(doc! { "_id": id, "tenant": tenant }).await;
        found.map_err(|error| fault(&error))?.as_ref().map(delivery_in).transpose()
    }

    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Usage, Fault> {
        let mut created = doc! { "$lt": date(until) };
        // Not every time that can be written is a date that every server reads, and nothing is that old.
        if from > Timestamp::default() {
            created.insert("$gte", date(from));
        }
        let which = doc! { "$and": [shown(), { "tenant": of_tenant(tenant), "createdAt": created }] };
        let mut usage = Usage::default();
        for (_, requests, progress) in self.shared.sums(which).await? {
            usage.requests += requests;
            usage.progress += progress;
        }
        Ok(usage)
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        let (mut by_status, mut all) = (Vec::<(RequestStatus, u64)>::new(), Progress::default());
        for (status, requests, progress) in self.shared.sums(shown()).await? {
            match by_status.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += requests,
                None => by_status.push((status, requests)),
            }
            all += progress;
        }
        let processing = self.shared.processing_images().await?.min(all.pending);
        all.pending -= processing;
        all.processing += processing;
        Ok((by_status, all))
    }
}

/// Matches requests that clients may see.
fn shown() -> Document {
    doc! { "status": { "$ne": RequestStatus::Receiving.as_str() }, "unfinished": { "$ne": DROPPING } }
}

fn is_shown(head: &Head) -> bool {
    head.status != RequestStatus::Receiving && head.unfinished != DROPPING
}

/// Matches the tenant of a request; apps name none.
fn of_tenant(tenant: &str) -> Bson {
    if tenant == DEFAULT_TENANT { doc! { "$in": [Bson::Null, tenant] }.into() } else { tenant.into() }
}

/// Matches what a request's document says when it stands so.
fn shown_as(status: RequestStatus) -> Bson {
    match status {
        RequestStatus::Pending => {
            let others = RequestStatus::ALL.into_iter().filter(|other| *other != status);
            doc! { "$nin": others.map(RequestStatus::as_str).collect::<Vec<_>>() }.into()
        }
        status => status.as_str().into(),
    }
}

/// Matches requests that are listed after one, latest first. Those that don't say when they were made come last.
fn listed_after(last: &Document) -> Document {
    let created = as_it_is(last, "createdAt");
    let mut same_time = earlier(&as_it_is(last, "_id"));
    match created {
        Bson::Null => doc! { "createdAt": Bson::Null, "$or": same_time },
        created => {
            same_time.push(doc! { "createdAt": { "$ne": created.clone() } });
            doc! { "createdAt": { "$not": { "$gt": created } }, "$or": same_time }
        }
    }
}

impl Shared {
    /// A request that clients may see, as it is now.
    async fn shown_head(&self, id: &RequestId) -> Result<Option<Head>, Fault> {
        let found = by_id(&self.requests(), id.as_str(), head::fields()).await?;
        Ok(found.as_ref().and_then(Head::of).filter(is_shown))
    }

    /// A request and how far it is. What has ended tells what was counted in the write that ended it; the rest is a
    /// moment old at most.
    async fn request_view(&self, document: &Document, head: &Head) -> Result<RequestView, Fault> {
        let told = head.own && !head.status.is_open() && head.unfinished != CANCELLING;
        let progress = if told { counted(document, head.status) } else { self.snapshot(head).await? };
        Ok(RequestView { request: self.request(document)?, progress })
    }

    /// How many requests there are and how far they are, by what they say their status is, from their counters.
    async fn sums(&self, which: Document) -> Result<Vec<(RequestStatus, u64, Progress)>, Fault> {
        let mut group = doc! { "_id": "$status", "requests": { "$sum": 1 } };
        for counter in COUNTERS {
            group.insert(counter, doc! { "$sum": format!("${counter}") });
        }
        let groups =
            aggregate(&self.requests(), vec![doc! { "$match": which }, doc! { "$group": group }]).await?;
        let sums = groups.iter().map(|group| {
            let status = request_status(&doc! { "status": as_it_is(group, "_id") });
            (status, whole(group, "requests").unwrap_or_default(), counted(group, status))
        });
        Ok(sums.collect())
    }

    /// Images that somebody works on, over all open requests.
    async fn processing_images(&self) -> Result<u64, Fault> {
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let requests = find(&self.requests(), doc! { "status": open() }, reading).await?;
        let heads: Vec<_> = requests.iter().filter_map(Head::of).collect();
        if heads.is_empty() {
            return Ok(0);
        }
        let processing = doc! {
            "requestId": { "$in": any_of(&heads) },
            "status": ImageStatus::Processing.as_str(),
            "outputUrl": no_output(),
        };
        self.images().count_documents(processing).await.map_err(|error| fault(&error))
    }
}

/// The counters in a request's document that say how far it is.
const COUNTERS: [&str; 6] =
    ["totalImages", "completedImages", "failedImages", "cancelledImages", "bytesBefore", "bytesAfter"];

/// How far requests of this status are that have these counters.
fn counted(counters: &Document, status: RequestStatus) -> Progress {
    let mut progress = ends(counters);
    let total = whole(counters, "totalImages").unwrap_or_default();
    let unended = total.saturating_sub(progress.ended());
    let left =
        if status == RequestStatus::Cancelled { &mut progress.cancelled } else { &mut progress.pending };
    *left += unended;
    progress
}
