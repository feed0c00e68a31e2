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

use super::clock::{Shift, now_in};
use super::command::{self, Again, Reading, find};
use super::document::{
    as_it_is, at, date, few, flag, image_id, image_status, moment, number, place, request_id, string,
};
use super::field;
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
    shift: Shift,
}

impl Chosen<'_> {
    fn attempt(&self) -> u32 {
        few(self.document, field::ATTEMPTS).unwrap_or_default().saturating_add(1)
    }

    /// Takes the document if it is as it was read: then nobody else has taken it, ended it, put it off or corrected it.
    fn statement(&self) -> Document {
        let mut unchanged = doc! { field::LEASE: Bson::Null };
        let theirs = ["_id", field::STATUS, field::OUTPUT_URL, field::INPUT_URL];
        let ours = [field::ATTEMPTS, field::DUE, field::WAIT, field::FOLLOWED];
        for name in theirs.into_iter().chain(ours) {
            unchanged.insert(name, as_it_is(self.document, name));
        }
        let until = self.shift.of_server(self.lease.until);
        let lease = doc! { "token": self.lease.token.0, "until": date(until) };
        let set = doc! {
            field::STATUS: ImageStatus::Processing.as_str(),
            field::ATTEMPTS: i64::from(self.attempt()),
            field::LEASE: lease,
            field::UPDATED_AT: date(self.now),
        };
        command::one(unchanged, doc! { "$set": set, "$unset": { field::DUE: "", field::WAIT: "" } })
    }

    fn claim(&self, request: &RequestId) -> Claim {
        let (row, position) = place(self.document);
        Claim {
            image: self.image.clone(),
            request: request.clone(),
            row,
            position,
            input: string(self.document, field::INPUT_URL).to_owned(),
            attempt: self.attempt(),
            token: self.lease.token,
        }
    }

    fn held(&self, head: &Head) -> Held {
        Held {
            id: as_it_is(self.document, "_id"),
            request: head.request.clone(),
            token: self.lease.token,
            followed: flag(self.document, field::FOLLOWED),
            fed: head.is_fed(),
        }
    }
}

/// Whether nobody else has the image, it has not ended, and its time, as the server tells it, has come. One in
/// `processing` without a lease was left so by another kind of worker, whose queue has given it to us.
fn may_be_claimed(document: &Document, now: Timestamp) -> bool {
    let none = |path| at(document, path).is_none_or(|value| *value == Bson::Null);
    !image_status(document).is_end()
        && none(field::LEASE)
        && none(field::SAME_AS)
        && document.get_str(field::INPUT_URL).is_ok()
        && due(document).is_none_or(|due| due <= now)
}

/// When an image that was put back may be claimed again. Those that nobody of ours feeds only wait for their job: they
/// are not among what is due.
pub(super) fn due(document: &Document) -> Option<Timestamp> {
    moment(document, field::DUE).max(moment(document, field::WAIT))
}

/// Where it is written down when an image that was put back may be claimed again.
pub(super) fn due_in(fed: bool) -> &'static str {
    if fed { field::DUE } else { field::WAIT }
}

/// What claiming reads of a document.
pub(super) fn fields() -> Document {
    doc! {
        field::REQUEST_ID: 1, field::INPUT_URL: 1, field::STATUS: 1, field::OUTPUT_URL: 1, field::ATTEMPTS: 1, field::LEASE: 1,
        field::DUE: 1, field::WAIT: 1, field::SAME_AS: 1, field::FOLLOWED: 1, field::ROW: 1,
        field::POSITION: 1,
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
        let Some(shift) = batch.first().map(|asked| self.shift(asked.now)) else { return Ok(Vec::new()) };
        let shift = shift.await?;
        let documents = self.to_be_claimed(batch.iter().flat_map(|asked| &asked.images)).await?;
        let heads = self.open_heads(&documents, shift.of_server(batch[0].now)).await?;
        let mut taken = HashSet::new();
        let chosen: Vec<Vec<(Chosen<'_>, &Head)>> = batch
            .iter()
            .map(|asked| {
                let chosen = asked.images.iter().filter_map(|image| {
                    let document = documents.get(image)?;
                    let head = heads.get(&request_id(document)?).filter(|head| head.status.is_open())?;
                    if !may_be_claimed(document, shift.of_server(asked.now)) || !taken.insert(image) {
                        return None;
                    }
                    Some((Chosen { document, image, lease: asked.lease, now: asked.now, shift }, head))
                });
                chosen.collect()
            })
            .collect();
        let won = self.take(&chosen.iter().flatten().map(|(chosen, _)| chosen).collect::<Vec<_>>()).await?;
        pixmill_engine::fail_point!("after_claim_commit");
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
        if let Err(fault) = self.begin(begun.into_values()).await {
            // The claims stand. The next one says so, and a request is completed from either state.
            tracing::debug!(%fault, "a request that was begun could not be told so");
        }
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
        now: Timestamp,
    ) -> Result<HashMap<RequestId, Head>, Fault> {
        let requests: HashSet<_> = images.values().filter_map(request_id).collect();
        let mut heads = self.heads(&requests).await?;
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
        let now = self.images_by_id(images, doc! { field::LEASE_TOKEN: 1 }).await?;
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
                doc! { "_id": head.id.clone(), field::STATUS: { "$nin": begun_or_closed() } },
                doc! {
                    "$set": { field::STATUS: RequestStatus::Processing.as_str() },
                    "$currentDate": now_in(field::UPDATED_AT),
                },
            ));
        }
        command::update(&self.database, schema::REQUESTS, statements, Again::Safe).await.map(|_| ())
    }
}

/// What requests say whose images have been claimed, or are not to be. Whoever gave the job of one that says something
/// else wants it done.
fn begun_or_closed() -> Vec<&'static str> {
    let all = RequestStatus::ALL.into_iter().filter(|status| *status != RequestStatus::Pending);
    all.map(RequestStatus::as_str).collect()
}

/// The token under which an image is held.
pub(super) fn token_in(document: &Document) -> Option<Token> {
    number(document, field::LEASE_TOKEN).map(Token)
}
