//! What is to be done: reading it and holding it.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Claim, ImageStatus, Standing};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Backlog, Opened};

use super::claim::{Asked, due, due_in};
use super::clock::Shift;
use super::command::{self, Again, Reading, find};
use super::document::{
    at, candidate, candidate_fields, date, moment, no_output, open, pending, request_id, said, slot,
    slot_fields,
};
use super::field;
use super::head::Head;
use super::id::{later, matching, object_id, text};
use super::page::page;
use super::{Mongodb, Shared, schema};

#[async_trait]
impl Backlog for Mongodb {
    async fn open_requests(&self, known: &[Opened], most: usize) -> Result<Vec<Opened>, Fault> {
        let mut opened = Vec::new();
        for tenant in self.shared.open_tenants().await? {
            let last = known.iter().find(|known| known.tenant == tenant);
            opened.extend(self.shared.opened_after(&tenant, last, most).await?);
        }
        Ok(opened)
    }

    async fn fresh(
        &self,
        request: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<Candidate>, Fault> {
        let heads = self.shared.heads([request]).await?;
        let Some(head) = heads.get(request).filter(|head| head.status.is_open()) else {
            return Ok(Vec::new());
        };
        let mut query = doc! {
            field::REQUEST_ID: head.images(),
            field::STATUS: pending(),
            field::DUE: Bson::Null,
            field::SAME_AS: Bson::Null,
            field::OUTPUT_URL: no_output(),
        };
        if let Some(after) = after {
            query.insert("_id", doc! { "$gt": after_id(after) });
        }
        let reading =
            Reading { fields: candidate_fields(), order: doc! { "_id": 1 }, most, ..Reading::default() };
        let candidate = |document: &Document| candidate(document, head.round, &head.tenant);
        page(&self.shared.images(), &query, reading, &self.shared.widths.images, candidate).await
    }

    async fn due(
        &self,
        request: Option<&RequestId>,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Candidate>, Option<Timestamp>), Fault> {
        let shared = &self.shared;
        let shift = shared.shift(now).await?;
        let its = match request {
            Some(request) => match shared.heads([request]).await?.get(request) {
                Some(head) if head.status.is_open() => Some(head.images()),
                _ => return Ok((Vec::new(), None)),
            },
            None => None,
        };
        let waiting = |due: Document| {
            let status = ImageStatus::Pending.as_str();
            let mut waiting = doc! { field::DUE: due, field::STATUS: status, field::OUTPUT_URL: no_output() };
            waiting.extend(its.clone().map(|its| (field::REQUEST_ID.to_owned(), its)));
            waiting
        };
        let order = doc! { field::DUE: 1, "_id": 1 };
        let reading =
            Reading { fields: candidate_fields(), order: order.clone(), most, ..Reading::default() };
        let reached = date(shift.of_server(now));
        // Of which round and whose they are, their requests tell.
        let due = waiting(doc! { "$lte": reached });
        let due =
            page(&shared.images(), &due, reading, &shared.widths.images, |found| candidate(found, 0, ""))
                .await?;
        let reading = Reading { fields: doc! { field::DUE: 1 }, order, most: 1, skip: 0 };
        let next = find(&shared.images(), waiting(doc! { "$gt": reached }), reading).await?;
        let requests: Vec<_> = due.iter().map(|candidate| candidate.request.clone()).collect();
        let heads = shared.heads(&requests).await?;
        let candidates = due.into_iter().filter_map(|candidate| {
            let head = heads.get(&candidate.request).filter(|head| head.status.is_open() && head.is_fed())?;
            Some(Candidate { round: head.round, tenant: head.tenant.clone(), ..candidate })
        });
        let next = next.first().and_then(|document| moment(document, field::DUE));
        Ok((candidates.collect(), next.map(|next| shift.of_caller(next))))
    }

    async fn standings(&self, images: &[ImageId], now: Timestamp) -> Result<Vec<Standing>, Fault> {
        let shift = self.shared.shift(now).await?;
        let mut fields = candidate_fields();
        fields.extend(slot_fields());
        fields.extend(super::claim::fields());
        let mut documents = self.shared.images_by_id(images, fields).await?;
        let requests: Vec<_> = documents.values().filter_map(request_id).collect();
        let heads = self.shared.heads(&requests).await?;
        let standings = images.iter().map(|image| {
            let document = documents.get(image)?;
            standing(document, heads.get(&request_id(document)?)?, shift)
        });
        let standings: Vec<_> = standings.map(|standing| standing.unwrap_or(Standing::Unknown)).collect();
        let claimable = images.iter().zip(&standings).filter_map(|(image, standing)| match standing {
            Standing::Claimable(..) => documents.remove_entry(image),
            _ => None,
        });
        self.shared.seen.insert(claimable);
        Ok(standings)
    }

    async fn claim(&self, images: &[ImageId], lease: Lease, now: Timestamp) -> Result<Vec<Claim>, Fault> {
        self.claims.call(Asked { images: images.to_vec(), lease, now }).await
    }

    async fn defer(&self, images: &[ImageId], until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let shared = &self.shared;
        let until = shared.shift(now).await?.of_server(until);
        let fields = doc! { field::REQUEST_ID: 1 };
        let documents = shared.images_by_id(images, fields).await?;
        let requests: Vec<_> = documents.values().filter_map(request_id).collect();
        let heads = shared.heads(&requests).await?;
        let statements = documents.values().filter_map(|document| {
            let head = heads.get(&request_id(document)?).filter(|head| head.status.is_open())?;
            let waiting = doc! {
                "_id": document.get("_id")?.clone(),
                field::STATUS: pending(),
                field::SAME_AS: Bson::Null,
                field::OUTPUT_URL: no_output(),
            };
            // A foreign document gets a status, without which it is not found when it is due.
            let put_off =
                doc! { due_in(head.is_fed()): date(until), field::STATUS: ImageStatus::Pending.as_str() };
            Some(command::one(waiting, doc! { "$set": put_off }))
        });
        command::update(&shared.database, schema::IMAGES, statements.collect(), Again::Safe).await.map(|_| ())
    }

    async fn renew(&self, held: &[(ImageId, Token)], until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let until = self.shared.shift(now).await?.of_server(until);
        let statements = held.iter().map(|(image, token)| {
            let id = self.shared.held.id(image).unwrap_or_else(|| matching(image.as_str()));
            let under_lease = doc! { "_id": id, field::LEASE_TOKEN: token.0 };
            command::one(under_lease, doc! { "$set": { field::LEASE_UNTIL: date(until) } })
        });
        let statements = statements.collect();
        command::update(&self.shared.database, schema::IMAGES, statements, Again::Safe).await.map(|_| ())
    }
}

/// Requests are told so long after they were opened: by then every write to which the server gave an earlier time can be
/// read.
const IN_ORDER_AFTER: Duration = Duration::from_millis(100);

/// Tenants that are asked about one after another before those that follow wait for the next time.
const TENANTS: usize = 1_000;

impl Shared {
    /// Tenants of whom something is fed.
    async fn open_tenants(&self) -> Result<Vec<String>, Fault> {
        let mut tenants: Vec<String> = Vec::new();
        while tenants.len() < TENANTS {
            let after = tenants.last().map_or("", String::as_str);
            let reading = Reading {
                fields: doc! { field::FED: 1 },
                order: doc! { field::FED: 1 },
                most: 1,
                ..Reading::default()
            };
            let next = find(&self.requests(), doc! { field::FED: { "$gt": after } }, reading).await?;
            match next.first().and_then(|next| said(next, field::FED)) {
                Some(tenant) => tenants.push(tenant.to_owned()),
                None => break,
            }
        }
        Ok(tenants)
    }

    /// Requests of a tenant whose images are fed, in the order in which they were opened: pixmill's own, and foreign ones
    /// that were taken over.
    async fn opened_after(
        &self,
        tenant: &str,
        last: Option<&Opened>,
        most: usize,
    ) -> Result<Vec<Opened>, Fault> {
        let mut fed = doc! { field::FED: tenant, field::STATUS: open() };
        let mut opened = doc! { "$lt": date(self.settled_time(IN_ORDER_AFTER).await?) };
        if let Some(last) = last {
            opened.insert("$gte", date(Timestamp(last.order)));
            let (same_time, id) = (date(Timestamp(last.order)), last.request.as_str());
            let mut next = later(id);
            next.push(doc! { field::OPENED: { "$gt": same_time } });
            fed.insert("$or", next);
        }
        fed.insert(field::OPENED, opened);
        let reading = Reading {
            fields: doc! { field::OPENED: 1 },
            order: doc! { field::OPENED: 1, "_id": 1 },
            most,
            ..Reading::default()
        };
        let found = find(&self.requests(), fed, reading).await?;
        let opened = found.iter().filter_map(|document| {
            let request = document.get("_id").and_then(text).map(RequestId::from)?;
            let order = moment(document, field::OPENED)?.0;
            Some(Opened { tenant: tenant.to_owned(), request, order })
        });
        Ok(opened.collect())
    }
}

/// How an image stands; none where nobody may see it.
fn standing(document: &Document, head: &Head, shift: Shift) -> Option<Standing> {
    if head.status == RequestStatus::Receiving {
        return None;
    }
    let slot = slot(document, head.status);
    let is = |path: &str| at(document, path).is_some_and(|value| *value != Bson::Null);
    // Without a lease it was left so by another kind of worker.
    let held = is(field::LEASE) || is(field::SAME_AS);
    let due = due(document).map(|due| shift.of_caller(due)).unwrap_or_default();
    let claimable =
        || candidate(document, head.round, "").map(|candidate| Standing::Claimable(candidate, due));
    Some(slot.standing(held, || claimable().unwrap_or(Standing::Unknown)))
}

/// What images may name their request by, for any of these.
pub(super) fn any_of<'h>(heads: impl IntoIterator<Item = &'h Head>) -> Vec<Bson> {
    let ids = heads.into_iter().flat_map(|head| {
        let text = head.request.as_str();
        object_id(text).map(Bson::from).into_iter().chain([Bson::from(text)])
    });
    ids.collect()
}

fn after_id(image: &ImageId) -> Bson {
    object_id(image.as_str()).map_or_else(|| image.as_str().into(), Bson::from)
}
