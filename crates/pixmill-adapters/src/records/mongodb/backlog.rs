//! What is to be done: reading it and holding it.

use std::collections::HashMap;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Claim, ImageStatus, Standing};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Backlog;

use super::claim::Asked;
use super::command::{self, Again, Reading, find};
use super::document::{
    candidate, candidate_fields, date, moment, no_output, open, pending, request_id, slot, slot_fields,
};
use super::head::Head;
use super::id::{matching, object_id};
use super::{Mongodb, Shared, head, schema};

#[async_trait]
impl Backlog for Mongodb {
    async fn open_requests(&self) -> Result<Vec<RequestId>, Fault> {
        Ok(self.shared.fed().await?.into_iter().map(|head| head.request).collect())
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
            "requestId": head.images(),
            "status": pending(),
            "due": Bson::Null,
            "sameAs": Bson::Null,
            "outputUrl": no_output(),
        };
        if let Some(after) = after {
            query.insert("_id", doc! { "$gt": after_id(after) });
        }
        let reading = Reading { fields: candidate_fields(), order: doc! { "_id": 1 }, most };
        let found = find(&self.shared.images(), query, reading).await?;
        Ok(found.iter().filter_map(|document| candidate(document, head.round)).collect())
    }

    async fn due(
        &self,
        request: Option<&RequestId>,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Candidate>, Option<Timestamp>), Fault> {
        let heads = match request {
            Some(request) => {
                let heads = self.shared.heads([request]).await?;
                heads.into_values().filter(|head| head.status.is_open()).collect()
            }
            None => self.shared.fed().await?,
        };
        if heads.is_empty() {
            return Ok((Vec::new(), None));
        }
        let waiting = |due: Document| {
            doc! {
                "due": due,
                "requestId": { "$in": any_of(&heads) },
                "status": ImageStatus::Pending.as_str(),
                "outputUrl": no_output(),
            }
        };
        let order = doc! { "due": 1, "_id": 1 };
        let reading = Reading { fields: candidate_fields(), order: order.clone(), most };
        let due = find(&self.shared.images(), waiting(doc! { "$lte": date(now) }), reading).await?;
        let reading = Reading { fields: doc! { "due": 1 }, order, most: 1 };
        let next = find(&self.shared.images(), waiting(doc! { "$gt": date(now) }), reading).await?;
        let rounds: HashMap<_, _> = heads.iter().map(|head| (&head.request, head.round)).collect();
        let due = due.iter().filter_map(|document| candidate(document, *rounds.get(&request_id(document)?)?));
        Ok((due.collect(), next.first().and_then(|document| moment(document, "due"))))
    }

    async fn standings(&self, images: &[ImageId]) -> Result<Vec<Standing>, Fault> {
        let mut fields = candidate_fields();
        fields.extend(slot_fields());
        fields.extend(super::claim::fields());
        let mut documents = self.shared.images_by_id(images, fields).await?;
        let requests: Vec<_> = documents.values().filter_map(request_id).collect();
        let heads = self.shared.heads(&requests).await?;
        let standings = images.iter().map(|image| {
            let document = documents.get(image)?;
            standing(document, heads.get(&request_id(document)?)?)
        });
        let standings: Vec<_> = standings.map(|standing| standing.unwrap_or(Standing::Unknown)).collect();
        let claimable = images.iter().zip(&standings).filter_map(|(image, standing)| match standing {
            Standing::Claimable(..) => documents.remove_entry(image),
            _ => None,
        });
        self.shared.seen.insert(claimable);
        Ok(standings)
    }

    async fn lead(&self, lease: Lease, now: Timestamp) -> Result<bool, Fault> {
        self.shared.lead(lease, now).await
    }

    async fn claim(&self, images: &[ImageId], lease: Lease, now: Timestamp) -> Result<Vec<Claim>, Fault> {
        self.claims.call(Asked { images: images.to_vec(), lease, now }).await
    }

    async fn defer(&self, images: &[ImageId], until: Timestamp) -> Result<(), Fault> {
        let shared = &self.shared;
        let fields = doc! { "requestId": 1 };
        let documents = shared.images_by_id(images, fields).await?;
        let requests: Vec<_> = documents.values().filter_map(request_id).collect();
        let heads = shared.heads(&requests).await?;
        let is_open = |document: &&Document| {
            let request = request_id(document);
            request.and_then(|request| heads.get(&request)).is_some_and(|head| head.status.is_open())
        };
        let statements = documents.values().filter(is_open).filter_map(|document| {
            let waiting = doc! {
                "_id": document.get("_id")?.clone(),
                "status": pending(),
                "sameAs": Bson::Null,
                "outputUrl": no_output(),
            };
            // A foreign document gets a status, without which it is not found when it is due.
            let put_off = doc! { "due": date(until), "status": ImageStatus::Pending.as_str() };
            Some(command::one(waiting, doc! { "$set": put_off }))
        });
        command::update(&shared.database, schema::IMAGES, statements.collect(), Again::Safe).await.map(|_| ())
    }

    async fn renew(&self, held: &[(ImageId, Token)], until: Timestamp) -> Result<(), Fault> {
        let statements = held.iter().map(|(image, token)| {
            let id = self.shared.held.id(image).unwrap_or_else(|| matching(image.as_str()));
            let under_lease = doc! { "_id": id, "lease.token": token.0 };
            command::one(under_lease, doc! { "$set": { "lease.until": date(until) } })
        });
        let statements = statements.collect();
        command::update(&self.shared.database, schema::IMAGES, statements, Again::Safe).await.map(|_| ())
    }
}

impl Shared {
    /// Requests whose images are fed, oldest first: pixmill's own, and foreign ones that were taken over.
    async fn fed(&self) -> Result<Vec<Head>, Fault> {
        let mut fields = head::fields();
        fields.insert("createdAt", 1);
        let reading = Reading { fields, order: doc! { "createdAt": 1, "_id": 1 }, most: 0 };
        let open = find(&self.requests(), doc! { "status": open() }, reading).await?;
        let heads = open.iter().filter_map(Head::of);
        Ok(heads.filter(|head| head.own || head.adopted).collect())
    }
}

/// How an image stands; none where nobody may see it.
fn standing(document: &Document, head: &Head) -> Option<Standing> {
    if head.status == RequestStatus::Receiving {
        return None;
    }
    let slot = slot(document, head.status);
    let is = |name: &str| document.get(name).is_some_and(|value| *value != Bson::Null);
    Some(match (slot.status, slot.output, slot.failure) {
        (_, Some(output), _) => Standing::Completed(output),
        (_, _, Some(failure)) => Standing::Failed(failure),
        (ImageStatus::Cancelled, ..) => Standing::Cancelled,
        // Without a lease it was left so by another kind of worker.
        _ if is("lease") || is("sameAs") => Standing::Held,
        _ => {
            Standing::Claimable(candidate(document, head.round)?, moment(document, "due").unwrap_or_default())
        }
    })
}

/// What images may name their request by, for any of these.
pub(super) fn any_of(heads: &[Head]) -> Vec<Bson> {
    let ids = heads.iter().flat_map(|head| {
        let text = head.request.as_str();
        object_id(text).map(Bson::from).into_iter().chain([Bson::from(text)])
    });
    ids.collect()
}

fn after_id(image: &ImageId) -> Bson {
    object_id(image.as_str()).map_or_else(|| image.as_str().into(), Bson::from)
}
