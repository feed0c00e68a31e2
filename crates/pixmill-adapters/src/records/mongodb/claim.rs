//! Claiming: what many callers ask for is read together, unless it was when its standing was asked for, then taken by
//! compare-and-set on each document as it was read.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Claim, ImageStatus};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;

use super::clock::now_in;
use super::command::{self, Again, Reading, find};
use super::document::{
    as_it_is, date, image_id, image_status, moment, open, place, request_id, string, whole,
};
use super::gather::Call;
use super::head::Head;
use super::id::object_id;
use super::settle::Held;
use super::{Shared, lock, schema};

/// Images that somebody wants to claim.
pub(super) struct Asked {
    pub(super) images: Vec<ImageId>,
    pub(super) lease: Lease,
    pub(super) now: Timestamp,
}

impl Call for Asked {
    type Answer = Vec<Claim>;

    fn images(&self) -> usize {
        self.images.len()
    }
}

/// An image that can be claimed, and under which lease.
struct Chosen<'d> {
    document: &'d Document,
    image: &'d ImageId,
    lease: Lease,
    now: Timestamp,
}

impl Chosen<'_> {
    fn attempt(&self) -> u32 {
        whole(self.document, "attempts").unwrap_or_default() as u32 + 1
    }

    /// Takes the document if it is as it was read: then nobody else has taken it, ended it, put it off or corrected it.
    fn statement(&self) -> Document {
        let mut unchanged = doc! { "lease": Bson::Null };
        for field in ["_id", "status", "attempts", "due", "outputUrl", "inputUrl", "followed"] {
            unchanged.insert(field, as_it_is(self.document, field));
        }
        let lease = doc! { "token": self.lease.token.0, "until": date(self.lease.until) };
        let set = doc! {
            "status": ImageStatus::Processing.as_str(),
            "attempts": self.attempt(),
            "lease": lease,
            "updatedAt": date(self.now),
        };
        command::one(unchanged, doc! { "$set": set, "$unset": { "due": "" } })
    }

    fn claim(&self, request: &RequestId) -> Claim {
        let (row, position) = place(self.document);
        Claim {
            image: self.image.clone(),
            request: request.clone(),
            row,
            position,
            input: string(self.document, "inputUrl").to_owned(),
            attempt: self.attempt(),
            token: self.lease.token,
        }
    }

    fn held(&self, head: &Head) -> Held {
        Held {
            id: as_it_is(self.document, "_id"),
            request: head.request.clone(),
            token: self.lease.token,
            followed: self.document.get_bool("followed").unwrap_or(false),
        }
    }
}

/// Whether nobody else has the image, it has not ended, and its time has come. One in `processing` without a lease was
/// left so by another kind of worker, whose queue has given it to us.
fn may_be_claimed(document: &Document, now: Timestamp) -> bool {
    !image_status(document).is_end()
        && document.get("lease").is_none_or(|lease| *lease == Bson::Null)
        && document.get("sameAs").is_none()
        && document.get_str("inputUrl").is_ok()
        && moment(document, "due").is_none_or(|due| due <= now)
}

/// What claiming reads of a document.
pub(super) fn fields() -> Document {
    doc! {
        "requestId": 1, "inputUrl": 1, "status": 1, "outputUrl": 1, "attempts": 1, "lease": 1, "due": 1, "sameAs": 1,
        "followed": 1, "row": 1, "position": 1,
    }
}

/// Images remembered that were seen and not claimed yet.
const SEEN: usize = 1_000;

/// Images as they were when their standing was asked for, so that claiming them costs no second look. One that has
/// changed since is not won, and asked about again.
#[derive(Debug, Default)]
pub(super) struct SeenImages(Mutex<HashMap<ImageId, Document>>);

impl SeenImages {
    /// Remembers images. Most are claimed soon; what was left from others makes way.
    pub(super) fn insert(&self, images: impl IntoIterator<Item = (ImageId, Document)>) {
        let mut seen = lock(&self.0);
        if seen.len() >= SEEN {
            seen.clear();
        }
        seen.extend(images);
    }

    fn take(&self, image: &ImageId) -> Option<Document> {
        lock(&self.0).remove(image)
    }
}

impl Shared {
    /// Claims for many callers; an image that several of them want goes to the first.
    pub(super) async fn claim_batch(&self, batch: Vec<Asked>) -> Result<Vec<Vec<Claim>>, Fault> {
        let documents = self.to_be_claimed(batch.iter().flat_map(|asked| &asked.images)).await?;
        let heads = self.open_heads(&documents, batch.first().map(|asked| asked.now)).await?;
        let mut taken = HashSet::new();
        let chosen: Vec<Vec<(Chosen<'_>, &Head)>> = batch
            .iter()
            .map(|asked| {
                let chosen = asked.images.iter().filter_map(|image| {
                    let document = documents.get(image)?;
                    let head = heads.get(&request_id(document)?).filter(|head| head.status.is_open())?;
                    if !may_be_claimed(document, asked.now) || !taken.insert(image) {
                        return None;
                    }
                    Some((Chosen { document, image, lease: asked.lease, now: asked.now }, head))
                });
                chosen.collect()
            })
            .collect();
        let won = self.take(&chosen.iter().flatten().map(|(chosen, _)| chosen).collect::<Vec<_>>()).await?;
        fail::fail_point!("after_claim_commit");
        let mut claims = Vec::with_capacity(batch.len());
        let mut begun: HashMap<&RequestId, &Head> = HashMap::new();
        for chosen in &chosen {
            let mut claimed = Vec::with_capacity(chosen.len());
            for (one, head) in chosen.iter().filter(|(one, _)| won.contains(one.image)) {
                self.held.insert(one.image.clone(), one.held(head));
                begun.insert(&head.request, head);
                claimed.push(one.claim(&head.request));
            }
            claims.push(claimed);
        }
        self.begin(begun.into_values()).await?;
        Ok(claims)
    }

    /// Documents of images as they were seen a moment ago, or as they are.
    async fn to_be_claimed(
        &self,
        images: impl Iterator<Item = &ImageId>,
    ) -> Result<HashMap<ImageId, Document>, Fault> {
        let (mut documents, mut unseen) = (HashMap::new(), Vec::new());
        for image in images {
            match self.seen.take(image) {
                Some(document) => _ = documents.insert(image.clone(), document),
                None => unseen.push(image),
            }
        }
        unseen.retain(|image| !documents.contains_key(*image));
        documents.extend(self.images_by_id(unseen, fields()).await?);
        Ok(documents)
    }

    /// Documents of images, by their ids.
    pub(super) async fn images_by_id<'i>(
        &self,
        images: impl IntoIterator<Item = &'i ImageId>,
        fields: Document,
    ) -> Result<HashMap<ImageId, Document>, Fault> {
        let mut ids: Vec<Bson> = Vec::new();
        for image in images {
            // What reads like an ObjectId may be a string.
            ids.extend(object_id(image.as_str()).map(Bson::from));
            ids.push(image.as_str().into());
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let reading = Reading { fields, ..Reading::default() };
        let mut found = HashMap::new();
        for document in find(&self.images(), doc! { "_id": { "$in": ids } }, reading).await? {
            let Some(image) = image_id(&document) else { continue };
            if matches!(document.get("_id"), Some(Bson::ObjectId(_))) || !found.contains_key(&image) {
                found.insert(image, document);
            }
        }
        Ok(found)
    }

    /// The requests of images; a foreign one that was completed before one of these images appeared opens a new round.
    async fn open_heads(
        &self,
        images: &HashMap<ImageId, Document>,
        now: Option<Timestamp>,
    ) -> Result<HashMap<RequestId, Head>, Fault> {
        let requests: HashSet<_> = images.values().filter_map(request_id).collect();
        let mut heads = self.heads(&requests).await?;
        let Some(now) = now else { return Ok(heads) };
        for head in heads.values_mut().filter(|head| !head.own && head.status == RequestStatus::Completed) {
            let is_late = |document: &Document| {
                request_id(document).as_ref() == Some(&head.request) && may_be_claimed(document, now)
            };
            let late: Vec<_> =
                images.iter().filter(|(_, document)| is_late(document)).map(|(image, _)| image).collect();
            // What was seen before the request was completed may have ended since, as the last of all.
            if self.images_by_id(late, fields()).await?.values().any(is_late) {
                *head = self.reopen_late(head).await?;
            }
        }
        Ok(heads)
    }

    /// Takes images, and says which were still as they had been read.
    async fn take(&self, chosen: &[&Chosen<'_>]) -> Result<HashSet<ImageId>, Fault> {
        let statements: Vec<_> = chosen.iter().map(|one| one.statement()).collect();
        let all = statements.len() as u64;
        let written = command::update(&self.database, schema::IMAGES, statements, Again::Safe).await?;
        if written.matched == all {
            return Ok(chosen.iter().map(|one| one.image.clone()).collect());
        }
        let images = chosen.iter().map(|one| one.image);
        let now = self.images_by_id(images, doc! { "lease.token": 1 }).await?;
        let is_ours = |one: &&&Chosen<'_>| {
            now.get(one.image).and_then(token_in).is_some_and(|token| token == one.lease.token)
        };
        Ok(chosen.iter().filter(is_ours).map(|one| one.image.clone()).collect())
    }

    /// The first claim makes its request `processing`.
    async fn begin(&self, requests: impl Iterator<Item = &Head>) -> Result<(), Fault> {
        let mut statements = Vec::new();
        for head in requests.filter(|head| head.status == RequestStatus::Pending) {
            self.heads.forget(&head.request);
            statements.push(command::one(
                doc! { "_id": head.id.clone(), "status": open() },
                doc! {
                    "$set": { "status": RequestStatus::Processing.as_str() },
                    "$currentDate": now_in("updatedAt"),
                },
            ));
        }
        command::update(&self.database, schema::REQUESTS, statements, Again::Safe).await.map(|_| ())
    }
}

/// The token under which an image is held.
pub(super) fn token_in(document: &Document) -> Option<Token> {
    document.get_document("lease").ok()?.get_i64("token").ok().map(Token)
}
