//! Reading requests and attempts to deliver, a page at a time. Images have a file of their own.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageView;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::port::records::page::{Bytes, Page};
use pixmill_engine::port::records::{
    DeliveryQuery, ImageQuery, Reading, RequestQuery, RequestView, Requests,
};

use super::command::{self, by_id, find};
use super::delivery::delivery_in;
use super::directory::{counted, of_tenant, shown};
use super::document::{as_it_is, at};
use super::field;
use super::half_done::{CANCELLING, DROPPING};
use super::head::{self, Head};
use super::id::earlier;
use super::{Mongodb, Shared, odd, schema, unknown};

#[async_trait]
impl Reading for Mongodb {
    async fn read_requests(&self, query: RequestQuery, most: usize) -> Result<Vec<RequestView>, Fault> {
        match query.which {
            Requests::One(id) => Ok(self.shared.one(&id, query.progress).await?.into_iter().collect()),
            Requests::Of { tenant, status, before } => {
                self.shared.requests_of(&tenant, status, before.as_ref(), most).await
            }
        }
    }

    async fn read_images(
        &self,
        request: &RequestId,
        query: ImageQuery,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let found = by_id(&self.shared.requests(), request.as_str(), head::fields()).await?;
        match found.as_ref().and_then(Head::of).filter(is_shown) {
            Some(head) => self.shared.images_of(&head, &query, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn read_deliveries(&self, query: DeliveryQuery, most: usize) -> Result<Vec<Delivery>, Fault> {
        let mut said = doc! { "event": { "$type": "string" }, "at": { "$type": "date" } };
        let request = query.request.map(|request| request.to_string());
        for (name, value) in [("tenant", query.tenant), ("request", request)] {
            said.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        let id = query.id.map(Bson::from);
        let before = query.before.map(|before| doc! { "$lt": before }.into());
        let ids: Vec<_> = id.into_iter().chain(before).map(|id: Bson| doc! { "_id": id }).collect();
        if !ids.is_empty() {
            said.insert("$and", ids);
        }
        let latest_first =
            command::Reading { order: doc! { "_id": -1 }, most, ..command::Reading::default() };
        let found = find(&self.shared.deliveries(), said, latest_first).await?;
        // One that can't be read is passed over.
        Ok(found.iter().filter_map(delivery_in).collect())
    }
}

fn is_shown(head: &Head) -> bool {
    head.status != RequestStatus::Receiving && head.unfinished != DROPPING
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
    doc! { field::CREATED_AT: if dated { date } else { doc! { "$not": date } } }
}

impl Shared {
    /// The request of this id, unless it is being deleted.
    async fn one(&self, id: &RequestId, progress: bool) -> Result<Option<RequestView>, Fault> {
        let found = by_id(&self.requests(), id.as_str(), doc! { field::EVENTS: 0 }).await?;
        let Some(document) = found else { return Ok(None) };
        let Some(head) = Head::of(&document).filter(|head| head.unfinished != DROPPING) else {
            return Ok(None);
        };
        if progress {
            return self.request_view(&document, &head).await.map(Some);
        }
        Ok(Some(RequestView { request: self.request(&document)?, progress: Progress::default() }))
    }

    async fn requests_of(
        &self,
        tenant: &str,
        status: Option<RequestStatus>,
        before: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<RequestView>, Fault> {
        let mut conditions = vec![shown(), doc! { field::TENANT: of_tenant(tenant) }];
        conditions.extend(status.map(|status| doc! { field::STATUS: shown_as(status) }));
        let mut last = match before {
            Some(before) => {
                let fields = doc! { field::CREATED_AT: 1 };
                let last = by_id(&self.requests(), before.as_str(), fields).await?;
                Some(last.ok_or_else(|| unknown(before))?)
            }
            None => None,
        };
        let (mut views, mut listed) = (Page::new(most), 0);
        // What can't be read is passed over, and what comes after it fills the page.
        while !views.is_full() {
            let wanted = self.widths.requests.answer(most - listed);
            let found = self.listed(&conditions, last.as_ref(), wanted).await?;
            let mut bytes = 0;
            for document in &found {
                if let Some(view) = self.readable_view(document).await? {
                    bytes += view.bytes();
                    listed += 1;
                    views.push(view);
                }
                if views.is_full() {
                    break;
                }
            }
            self.widths.requests.saw(found.len(), bytes);
            if found.len() < wanted {
                break;
            }
            last = found.into_iter().next_back();
        }
        Ok(views.into_items())
    }

    /// Documents of requests, latest first: those after a certain one.
    async fn listed(
        &self,
        conditions: &[Document],
        last: Option<&Document>,
        most: usize,
    ) -> Result<Vec<Document>, Fault> {
        let reading = |order, most| command::Reading {
            fields: doc! { field::EVENTS: 0 },
            order,
            most,
            ..command::Reading::default()
        };
        let created = last.and_then(|last| last.get_datetime(field::CREATED_AT).ok());
        let mut found = Vec::new();
        if last.is_none() || created.is_some() {
            let mut conditions = conditions.to_vec();
            conditions.push(dated(true));
            if let (Some(created), Some(last)) = (created, last) {
                let mut after = earlier(&as_it_is(last, "_id"));
                after.push(doc! { field::CREATED_AT: { "$lt": *created } });
                conditions.push(doc! { field::CREATED_AT: { "$lte": *created }, "$or": after });
            }
            let order = doc! { field::CREATED_AT: -1, "_id": -1 };
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

    /// A request and how far it is. What has ended tells what was counted in the write that ended it; the rest is a
    /// moment old at most.
    async fn request_view(&self, document: &Document, head: &Head) -> Result<RequestView, Fault> {
        let told = head.own && !head.status.is_open() && head.unfinished != CANCELLING;
        let progress = if told { told_in(document, head.status) } else { self.snapshot(head).await? };
        Ok(RequestView { request: self.request(document)?, progress })
    }
}

/// How far a request is, by the counters in its document.
fn told_in(document: &Document, status: RequestStatus) -> Progress {
    let mut counters = at(document, field::PIXMILL).and_then(Bson::as_document).cloned().unwrap_or_default();
    counters.insert(field::TOTAL_IMAGES, as_it_is(document, field::TOTAL_IMAGES));
    counted(&counters, status)
}
