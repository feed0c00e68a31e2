//! What must be known of a request before its images are touched. Remembered for a moment, so that a batch costs no
//! look at it; what this process changes is forgotten at once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::RequestStatus;

use pixmill_engine::model::request::DEFAULT_TENANT;
use uuid::Uuid;

use super::command::{self, Again, Reading, by_id, find};
use super::document::{
    addable, as_it_is, at, few, flag, is_known, is_own, number, request_status, said, string, whole,
};
use super::field;
use super::half_done::GOING;
use super::id::{matching, text};
use super::{Shared, lock, odd, schema, unknown};

/// How long another process's change may go unnoticed.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Requests that are remembered.
const MOST: usize = 10_000;

/// A request as far as its images are concerned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    /// Its id as it stands in the document.
    pub(super) id: Bson,
    /// The same as text.
    pub(super) request: RequestId,
    /// Where it stands.
    pub(super) status: RequestStatus,
    /// It says so in words that pixmill knows. Where it does not, it is left alone unless a job names an image of it.
    pub(super) known: bool,
    /// Whose it is.
    pub(super) tenant: String,
    /// From 1.
    pub(super) round: u32,
    /// pixmill made it.
    pub(super) own: bool,
    /// A foreign request that was taken over: pixmill feeds its images.
    pub(super) adopted: bool,
    /// How many images it says it has.
    pub(super) total: u64,
    /// What is being done to it as a whole; empty for nothing.
    pub(super) unfinished: String,
    /// The id that its first image has, where they are one series.
    pub(super) first_image: Option<ObjectId>,
}

/// The fields of a [`Head`].
pub(super) fn fields() -> Document {
    doc! {
        field::STATUS: 1, field::TOTAL_IMAGES: 1, field::ROUND: 1, field::OWN: 1, field::TENANT: 1,
        field::UNFINISHED: 1, field::ADOPTED: 1, field::FIRST_IMAGE: 1,
    }
}

impl Head {
    /// What a document says; none where it can't be one of a request, which is told of.
    pub(super) fn of(document: &Document) -> Option<Head> {
        let id = as_it_is(document, "_id");
        let Some(request) = text(&id) else {
            odd::tell(schema::REQUESTS, document, "ids are texts or ObjectIds");
            return None;
        };
        Some(Head {
            request: RequestId::from(request),
            id,
            status: request_status(document),
            known: is_known(document),
            tenant: said(document, field::TENANT).unwrap_or(DEFAULT_TENANT).to_owned(),
            round: few(document, field::ROUND).unwrap_or(1),
            own: is_own(document),
            adopted: flag(document, field::ADOPTED),
            total: whole(document, field::TOTAL_IMAGES).unwrap_or_default(),
            unfinished: string(document, field::UNFINISHED).to_owned(),
            first_image: at(document, field::FIRST_IMAGE).and_then(Bson::as_object_id),
        })
    }

    /// Whether pixmill feeds its images while it is open: it made the request, or took it over.
    pub(super) fn is_fed(&self) -> bool {
        self.own || self.adopted
    }

    /// Whether it can only be deleted.
    pub(super) fn is_going(&self) -> bool {
        GOING.contains(&self.unfinished.as_str())
    }

    /// Matches the request while it is in the round that was read.
    pub(super) fn in_round(&self) -> Document {
        let round = match self.round {
            1 => doc! { "$in": [Bson::Null, 1] }.into(),
            round => Bson::from(i64::from(round)),
        };
        doc! { "_id": self.id.clone(), field::ROUND: round }
    }

    /// What `pixmill.unfinished` says in it, for a compare-and-set.
    pub(super) fn unfinished_as_it_is(&self) -> Bson {
        if self.unfinished.is_empty() { Bson::Null } else { self.unfinished.as_str().into() }
    }

    /// Matches the images of the request.
    pub(super) fn images(&self) -> Bson {
        matching(self.request.as_str())
    }

    /// Matches those of them that pixmill can change, all at once.
    pub(super) fn changeable(&self) -> Document {
        doc! { field::REQUEST_ID: self.images(), field::PIXMILL: addable() }
    }
}

/// Heads that were read, and when.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<RequestId, (Head, Instant)>>);

impl Heads {
    /// Something of the request was changed here.
    pub(super) fn forget(&self, request: &RequestId) {
        lock(&self.0).remove(request);
    }

    fn remember(&self, head: Head) {
        let mut heads = lock(&self.0);
        if heads.len() >= MOST {
            heads.retain(|_, (_, read)| read.elapsed() < REMEMBERED);
        }
        heads.insert(head.request.clone(), (head, Instant::now()));
    }

    fn recall(&self, request: &RequestId) -> Option<Head> {
        let heads = lock(&self.0);
        heads.get(request).filter(|(_, read)| read.elapsed() < REMEMBERED).map(|(head, _)| head.clone())
    }
}

impl Shared {
    /// A request as it is now.
    ///
    /// # Errors
    /// `request.not_found`, and those of the server.
    pub(super) async fn head(&self, request: &RequestId) -> Result<Head, Fault> {
        let found = by_id(&self.requests(), request.as_str(), fields()).await?;
        let head = found.as_ref().and_then(Head::of).ok_or_else(|| unknown(request))?;
        self.heads.remember(head.clone());
        Ok(head)
    }

    /// Changes a request that is as it is said to be, together with others that may try the same; whether it was changed
    /// here. Each try has a mark of its own, so that a lost answer says nothing wrong.
    pub(super) async fn change_once(
        &self,
        request: &RequestId,
        as_it_is: Document,
        mut update: Document,
    ) -> Result<bool, Fault> {
        let mark = (Uuid::new_v4().as_u64_pair().1 & (i64::MAX as u64)) as i64;
        let set = update.entry("$set".to_owned()).or_insert_with(|| Document::new().into());
        if let Bson::Document(set) = set {
            set.insert(field::CHANGED, mark);
        }
        let change = vec![command::one(as_it_is, update)];
        let written = command::update(&self.database, schema::REQUESTS, change, Again::Safe).await?;
        self.heads.forget(request);
        self.watch.forget(request);
        if !written.may_be_ours() {
            return Ok(written.matched == 1);
        }
        let found = by_id(&self.requests(), request.as_str(), doc! { field::CHANGED: 1 }).await?;
        Ok(found.is_some_and(|found| number(&found, field::CHANGED) == Some(mark)))
    }

    /// Requests as they were a moment ago at most; those that are unknown are left out.
    pub(super) async fn heads<'r>(
        &self,
        requests: impl IntoIterator<Item = &'r RequestId>,
    ) -> Result<HashMap<RequestId, Head>, Fault> {
        let mut heads = HashMap::new();
        let mut missing: Vec<Bson> = Vec::new();
        for request in requests {
            if heads.contains_key(request) {
                continue;
            }
            match self.heads.recall(request) {
                Some(head) => _ = heads.insert(request.clone(), head),
                None => {
                    missing.extend(super::id::object_id(request.as_str()).map(Bson::from));
                    missing.push(request.as_str().into());
                }
            }
        }
        if missing.is_empty() {
            return Ok(heads);
        }
        let reading = Reading { fields: fields(), ..Reading::default() };
        for document in find(&self.requests(), doc! { "_id": { "$in": missing } }, reading).await? {
            if let Some(head) = Head::of(&document) {
                self.heads.remember(head.clone());
                heads.insert(head.request.clone(), head);
            }
        }
        Ok(heads)
    }
}
