//! What clients ask for: requests, and what was done for them.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::{DEFAULT_TENANT, Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::page::{Bytes, Page};
use pixmill_engine::port::records::{Directory, Oldest, RequestView, Usage};

use super::command::{Reading, aggregate, by_id, find};
use super::document::{as_it_is, at, date, ends, moment, no_output, request_status, whole};
use super::fault::fault;
use super::head::{self, CANCELLING, DROPPING, Head};
use super::id::earlier;
use super::outbox::{delivery_in, events};
use super::{Mongodb, Shared, lock, odd, schema, unknown};

#[async_trait]
impl Directory for Mongodb {
    async fn view(&self, id: &RequestId) -> Result<Option<RequestView>, Fault> {
        let found = by_id(&self.shared.requests(), id.as_str(), doc! { "pixmill.events": 0 }).await?;
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
        let mut conditions = vec![shown(), doc! { "pixmill.tenant": of_tenant(tenant) }];
        conditions.extend(status.map(|status| doc! { "status": shown_as(status) }));
        let mut last = match before {
            Some(before) => {
                let fields = doc! { "createdAt": 1 };
                let last = by_id(&self.shared.requests(), before.as_str(), fields).await?;
                Some(last.ok_or_else(|| unknown(before))?)
            }
            None => None,
        };
        let (mut views, mut listed) = (Page::new(most), 0);
        // What can't be read is passed over, and what comes after it fills the page.
        while !views.is_full() {
            let wanted = self.shared.widths.requests.answer(most - listed);
            let found = self.shared.listed(&conditions, last.as_ref(), wanted).await?;
            let mut bytes = 0;
            for document in &found {
                if let Some(view) = self.shared.readable_view(document).await? {
                    bytes += view.bytes();
                    listed += 1;
                    views.push(view);
                }
                if views.is_full() {
                    break;
                }
            }
            self.shared.widths.requests.saw(found.len(), bytes);
            if found.len() < wanted {
                break;
            }
            last = found.into_iter().next_back();
        }
        Ok(views.into_items())
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

    async fn image(&self, id: &RequestId, image: &ImageId) -> Result<Option<ImageView>, Fault> {
        match self.shared.shown_head(id).await? {
            Some(head) => self.shared.image_of(&head, image).await,
            None => Ok(None),
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
        self.shared.deliveries_like(query, most).await
    }

    async fn delivery_of(&self, tenant: &str, id: &str) -> Result<Option<Delivery>, Fault> {
        let found = self.shared.deliveries().find_one(doc! { "_id": id, "tenant": tenant }).await;
        Ok(found.map_err(|error| fault(&error))?.as_ref().and_then(delivery_in))
    }

    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Usage, Fault> {
        let mut created = doc! { "$lt": date(until) };
        // Not every time that can be written is a date that every server reads, and nothing is that old.
        if from > Timestamp::default() {
            created.insert("$gte", date(from));
        }
        let which = doc! { "$and": [shown(), { "pixmill.tenant": of_tenant(tenant), "createdAt": created }] };
        let mut usage = Usage::default();
        for (_, requests, progress) in self.shared.sums(which).await? {
            usage.requests += requests;
            usage.progress += progress;
        }
        Ok(usage)
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        if let Some(census) = self.shared.census.recall() {
            return Ok(census);
        }
        let began = Instant::now();
        let census = self.shared.counted_census().await?;
        self.shared.census.remember(&census, began.elapsed());
        Ok(census)
    }

    async fn oldest(&self) -> Result<Oldest, Fault> {
        let first = |field: &str, query: Document| {
            let order = doc! { field: 1 };
            let reading = Reading { fields: order.clone(), order, most: 1, ..Reading::default() };
            async move { find(&self.shared.requests(), query, reading).await.map(|mut found| found.pop()) }
        };
        let date = doc! { "$type": "date" };
        let open = [RequestStatus::Pending, RequestStatus::Processing].map(RequestStatus::as_str).to_vec();
        let open = doc! { "status": { "$in": open }, "createdAt": &date };
        let open = first("createdAt", open).await?;
        let due = first("pixmill.events.due", doc! { "pixmill.events.due": date }).await?;
        Ok(Oldest {
            open: open.and_then(|open| moment(&open, "createdAt")),
            due: due.and_then(|due| events(&due).filter_map(|event| moment(event, "due")).min()),
        })
    }
}

/// How many requests there are by status, and how far all their images are.
type Counted = (Vec<(RequestStatus, u64)>, Progress);

/// A count that took so long is made again at once.
const QUICK: Duration = Duration::from_millis(50);

/// One that took longer stands so many times as long, so that counting costs a hundredth of the time however much there
/// is.
const SHARE: u32 = 100;

/// The last census.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<Option<(Counted, Instant)>>);

impl Census {
    fn recall(&self) -> Option<Counted> {
        lock(&self.0).as_ref().filter(|(_, until)| Instant::now() < *until).map(|(census, _)| census.clone())
    }

    fn remember(&self, census: &Counted, took: Duration) {
        if took > QUICK {
            *lock(&self.0) = Some((census.clone(), Instant::now() + took * SHARE));
        }
    }
}

/// Matches requests that clients may see.
fn shown() -> Document {
    doc! { "status": { "$ne": RequestStatus::Receiving.as_str() }, "pixmill.unfinished": { "$ne": DROPPING } }
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

/// Matches requests that say when they were made, and those that don't: they are listed after all others.
fn dated(dated: bool) -> Document {
    let date = doc! { "$type": "date" };
    doc! { "createdAt": if dated { date } else { doc! { "$not": date } } }
}

impl Shared {
    /// A request that clients may see, as it is now.
    async fn shown_head(&self, id: &RequestId) -> Result<Option<Head>, Fault> {
        let found = by_id(&self.requests(), id.as_str(), head::fields()).await?;
        Ok(found.as_ref().and_then(Head::of).filter(is_shown))
    }

    /// Documents of requests, latest first: those after a certain one.
    async fn listed(
        &self,
        conditions: &[Document],
        last: Option<&Document>,
        most: usize,
    ) -> Result<Vec<Document>, Fault> {
        let reading =
            |order, most| Reading { fields: doc! { "pixmill.events": 0 }, order, most, ..Reading::default() };
        let created = last.and_then(|last| last.get_datetime("createdAt").ok());
        let mut found = Vec::new();
        if last.is_none() || created.is_some() {
            let mut conditions = conditions.to_vec();
            conditions.push(dated(true));
            if let (Some(created), Some(last)) = (created, last) {
                let mut after = earlier(&as_it_is(last, "_id"));
                after.push(doc! { "createdAt": { "$lt": *created } });
                conditions.push(doc! { "createdAt": { "$lte": *created }, "$or": after });
            }
            let order = doc! { "createdAt": -1, "_id": -1 };
            found = find(&self.requests(), doc! { "$and": conditions }, reading(order, most)).await?;
        }
        if found.len() < most {
            let mut conditions = conditions.to_vec();
            conditions.push(dated(false));
            if let (None, Some(last)) = (created, last) {
                conditions.push(doc! { "$or": earlier(&as_it_is(last, "_id")) });
            }
            let order = doc! { "_id": -1 };
            let rest = reading(order, most - found.len());
            found.extend(find(&self.requests(), doc! { "$and": conditions }, rest).await?);
        }
        Ok(found)
    }

    /// A request and how far it is; none for one that can't be read, which is told of once.
    async fn readable_view(&self, document: &Document) -> Result<Option<RequestView>, Fault> {
        let Some(head) = Head::of(document) else { return Ok(None) };
        match self.request_view(document, &head).await {
            Err(fault) if fault.blame == Blame::Request => {
                odd::tell(schema::REQUESTS, document, &fault.message);
                Ok(None)
            }
            view => view.map(Some),
        }
    }

    /// Counts everything there is.
    async fn counted_census(&self) -> Result<Counted, Fault> {
        let (mut by_status, mut all) = (Vec::<(RequestStatus, u64)>::new(), Progress::default());
        for (status, requests, progress) in self.sums(shown()).await? {
            match by_status.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += requests,
                None => by_status.push((status, requests)),
            }
            all += progress;
        }
        let processing = self.processing_images().await?.min(all.pending);
        all.pending -= processing;
        all.processing += processing;
        Ok((by_status, all))
    }

    /// A request and how far it is. What has ended tells what was counted in the write that ended it; the rest is a
    /// moment old at most.
    async fn request_view(&self, document: &Document, head: &Head) -> Result<RequestView, Fault> {
        let told = head.own && !head.status.is_open() && head.unfinished != CANCELLING;
        let progress = if told { told_in(document, head.status) } else { self.snapshot(head).await? };
        Ok(RequestView { request: self.request(document)?, progress })
    }

    /// How many requests there are and how far they are, by what they say their status is, from their counters.
    async fn sums(&self, which: Document) -> Result<Vec<(RequestStatus, u64, Progress)>, Fault> {
        let mut group = doc! { "_id": "$status", "requests": { "$sum": 1 } };
        group.insert("totalImages", sum_of("totalImages"));
        for counter in COUNTERS {
            group.insert(counter, sum_of(&format!("pixmill.{counter}")));
        }
        let groups =
            aggregate(&self.requests(), vec![doc! { "$match": which }, doc! { "$group": group }]).await?;
        let sums = groups.iter().map(|group| {
            let status = request_status(&doc! { "status": as_it_is(group, "_id") });
            (status, whole(group, "requests").unwrap_or_default(), counted(group, status))
        });
        Ok(sums.collect())
    }

    /// Images that somebody of ours works on.
    async fn processing_images(&self) -> Result<u64, Fault> {
        let held = doc! { "pixmill.lease.until": { "$exists": true }, "outputUrl": no_output() };
        self.images().count_documents(held).await.map_err(|error| fault(&error))
    }
}

/// What pixmill counts in a request's document.
const COUNTERS: [&str; 5] =
    ["completedImages", "failedImages", "cancelledImages", "bytesBefore", "bytesAfter"];

/// The largest number that is taken for a count: an app may keep anything there, and no document spoils a sum.
const MOST: f64 = 1e15;

/// Sums a field up, as far as it holds numbers that can be counts.
fn sum_of(path: &str) -> Document {
    let value = format!("${path}");
    let is_count = doc! { "$and": [{ "$gte": [&value, 0] }, { "$lte": [&value, MOST] }] };
    doc! { "$sum": { "$cond": [is_count, &value, 0] } }
}

/// How far a request is, by the counters in its document.
fn told_in(document: &Document, status: RequestStatus) -> Progress {
    let mut counters = at(document, "pixmill").and_then(Bson::as_document).cloned().unwrap_or_default();
    counters.insert("totalImages", as_it_is(document, "totalImages"));
    counted(&counters, status)
}

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
