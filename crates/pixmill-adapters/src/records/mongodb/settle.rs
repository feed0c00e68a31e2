//! Ends, by compare-and-set on the lease; what follows an image ends after it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, Outcome, Settlement};
use pixmill_engine::model::lease::Token;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Settle, Settled};
use uuid::Uuid;

use super::claim::due_in;
use super::clock::{Shift, now_in};
use super::command::{self, Again};
use super::document::{as_it_is, date, flag, no_output, number, request_id};
use super::field;
use super::gather::Call;
use super::head::Head;
use super::{Mongodb, Shared, lock, schema};

#[async_trait]
impl Settle for Mongodb {
    async fn settle(&self, batch: Vec<Settlement>, now: Timestamp) -> Result<Settled, Fault> {
        self.ends.call(Given { settlements: batch, now }).await
    }
}

/// Ends that somebody wants to write.
pub(super) struct Given {
    pub(super) settlements: Vec<Settlement>,
    pub(super) now: Timestamp,
}

impl Call for Given {
    type Answer = Settled;

    fn images(&self) -> usize {
        self.settlements.len()
    }
}

/// An image that was claimed here.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Its id as it stands in the document.
    pub(super) id: Bson,
    pub(super) request: RequestId,
    pub(super) token: Token,
    /// Others follow it.
    pub(super) followed: bool,
    /// Its request is fed by pixmill.
    pub(super) fed: bool,
}

/// Images that were claimed here and not settled yet, so that settling them costs no look at them.
#[derive(Debug, Default)]
pub(super) struct HeldImages(Mutex<HashMap<ImageId, Held>>);

impl HeldImages {
    pub(super) fn insert(&self, image: ImageId, held: Held) {
        lock(&self.0).insert(image, held);
    }

    /// The image's id as it stands in the document, when it is held.
    pub(super) fn id(&self, image: &ImageId) -> Option<Bson> {
        lock(&self.0).get(image).map(|held| held.id.clone())
    }

    fn get(&self, image: &ImageId) -> Option<Held> {
        lock(&self.0).get(image).cloned()
    }

    fn remove(&self, image: &ImageId, token: Token) {
        let mut held = lock(&self.0);
        if held.get(image).is_some_and(|held| held.token == token) {
            held.remove(image);
        }
    }
}

/// One end on its way.
struct End<'s> {
    settlement: &'s Settlement,
    held: Held,
    now: Timestamp,
    shift: Shift,
    /// Tells this try at ending the image from every other, those with the same token included.
    mark: i64,
}

impl End<'_> {
    fn statement(&self) -> Document {
        let under_lease = doc! {
            "_id": self.held.id.clone(),
            field::STATUS: ImageStatus::Processing.as_str(),
            field::LEASE_TOKEN: self.settlement.token.0,
        };
        let mut update = self.update();
        let set = update.entry("$set".to_owned()).or_insert_with(|| Document::new().into());
        if let Bson::Document(set) = set {
            set.insert(field::SETTLED, self.mark);
            set.insert(field::UPDATED_AT, date(self.now));
            if self.held.followed && self.is_end() {
                set.insert(field::TELLING, true);
            }
        }
        if self.is_end() {
            update.insert("$currentDate", now_in(field::ENDED));
        }
        command::one(under_lease, update)
    }

    /// What the outcome makes of the document.
    fn update(&self) -> Document {
        let pending = ImageStatus::Pending.as_str();
        let due = due_in(self.held.fed);
        match &self.settlement.outcome {
            outcome @ (Outcome::Completed(_) | Outcome::Failed(_)) => {
                doc! { "$set": ending(outcome), "$unset": { field::LEASE: "" } }
            }
            Outcome::Retry(at) => doc! {
                "$set": { field::STATUS: pending, due: date(self.shift.of_server(*at)) },
                "$unset": { field::LEASE: "" },
            },
            // It was not touched: the attempt is given back.
            Outcome::GivenBack => doc! {
                "$set": { field::STATUS: pending, due: date(self.shift.of_server(self.now)) },
                "$unset": { field::LEASE: "" },
                "$inc": { field::ATTEMPTS: -1 },
            },
        }
    }

    fn is_end(&self) -> bool {
        matches!(self.settlement.outcome, Outcome::Completed(_) | Outcome::Failed(_))
    }
}

/// What an image that has ended says; nothing for outcomes that are no ends.
fn ending(outcome: &Outcome) -> Document {
    match outcome {
        Outcome::Completed(output) => {
            let mut ending = doc! {
                field::STATUS: ImageStatus::Completed.as_str(),
                field::OUTPUT_URL: &output.location,
                field::BYTES_BEFORE: output.bytes_before as i64,
                field::BYTES_AFTER: output.bytes_after as i64,
            };
            if output.frames > 1 {
                ending.insert(field::FRAMES, i64::from(output.frames));
            }
            ending
        }
        Outcome::Failed(failure) => doc! {
            field::STATUS: ImageStatus::Failed.as_str(),
            field::ERROR: { "code": failure.code.as_str(), "message": &failure.message },
        },
        Outcome::Retry(_) | Outcome::GivenBack => Document::new(),
    }
}

impl Shared {
    /// Settles for many callers.
    pub(super) async fn settle_batch(self: &Arc<Self>, batch: Vec<Given>) -> Result<Vec<Settled>, Fault> {
        let Some(first) = batch.first() else { return Ok(Vec::new()) };
        let shift = self.shift(first.now).await?;
        let held = self.held_images(&batch).await?;
        let requests: HashSet<_> = held.values().map(|held| held.request.clone()).collect();
        let heads = self.heads(&requests).await?;
        // 62 random bits, so that counting up from there stays a number.
        let marks = (Uuid::new_v4().as_u64_pair().1 as i64 & (i64::MAX >> 1))..;
        let all = batch.iter().flat_map(|given| given.settlements.iter().map(|one| (one, given.now)));
        let ends: Vec<Option<End<'_>>> = marks
            .zip(all)
            .map(|(mark, (settlement, now))| {
                let held = held.get(&settlement.image)?;
                heads.get(&held.request).filter(|head| head.status.is_open())?;
                Some(End { settlement, held: held.clone(), now, shift, mark })
            })
            .collect();
        pixmill_engine::fail_point!("before_settle_commit");
        let won = self.write(&ends).await?;
        // Whatever became of them, nothing more is asked of these leases.
        for settlement in batch.iter().flat_map(|given| &given.settlements) {
            self.held.remove(&settlement.image, settlement.token);
        }
        pixmill_engine::fail_point!("after_settle_commit");
        let mut settled = Vec::with_capacity(batch.len());
        let mut rest = ends.iter().zip(won);
        let mut ended = Vec::new();
        for given in &batch {
            let mut told = Settled::default();
            for (end, won) in rest.by_ref().take(given.settlements.len()) {
                told.won.push(won);
                ended.extend(end.as_ref().filter(|end| won && end.is_end()));
            }
            settled.push(told);
        }
        for completed in self.after_ends(&ended).await? {
            // Told to one of those who ended an image of it.
            let is_of_it = |settlement: &Settlement| {
                held.get(&settlement.image).is_some_and(|held| held.request == completed)
            };
            let place = batch.iter().rposition(|given| given.settlements.iter().any(is_of_it));
            settled[place.unwrap_or_default()].completed.push(completed);
        }
        Ok(settled)
    }

    /// What is known of the images in a batch: from when they were claimed here, else from their documents.
    async fn held_images(&self, batch: &[Given]) -> Result<HashMap<ImageId, Held>, Fault> {
        let mut held = HashMap::new();
        let mut unknown = Vec::new();
        for settlement in batch.iter().flat_map(|given| &given.settlements) {
            match self.held.get(&settlement.image) {
                Some(known) => _ = held.insert(settlement.image.clone(), known),
                None => unknown.push(&settlement.image),
            }
        }
        if unknown.is_empty() {
            return Ok(held);
        }
        let fields = doc! { field::REQUEST_ID: 1, field::FOLLOWED: 1, field::LEASE_TOKEN: 1 };
        let documents = self.images_by_id(unknown, fields).await?;
        let requests: HashSet<_> = documents.values().filter_map(request_id).collect();
        let heads = self.heads(&requests).await?;
        for (image, document) in documents {
            let (Some(request), Some(token)) = (request_id(&document), super::claim::token_in(&document))
            else {
                continue;
            };
            let fed = heads.get(&request).is_some_and(Head::is_fed);
            let followed = flag(&document, field::FOLLOWED);
            held.insert(image, Held { id: as_it_is(&document, "_id"), request, token, followed, fed });
        }
        Ok(held)
    }

    /// Writes ends, and says which won.
    async fn write(&self, ends: &[Option<End<'_>>]) -> Result<Vec<bool>, Fault> {
        let statements: Vec<_> = ends.iter().flatten().map(End::statement).collect();
        let all = statements.len() as u64;
        let these = || {
            let over = ends.iter().flatten().filter(|end| end.is_end());
            let (ids, marks): (Vec<Bson>, Vec<i64>) = over.map(|end| (end.held.id.clone(), end.mark)).unzip();
            doc! { "_id": { "$in": ids }, field::SETTLED: { "$in": marks } }
        };
        let written = self.end_images(statements, these).await?;
        let won: Vec<bool> = if written.matched == all {
            ends.iter().map(Option::is_some).collect()
        } else {
            let images = ends.iter().flatten().map(|end| &end.settlement.image);
            let now = self.images_by_id(images, doc! { field::SETTLED: 1 }).await?;
            let has_its_mark = |end: &End<'_>| {
                now.get(&end.settlement.image)
                    .is_some_and(|now| number(now, field::SETTLED) == Some(end.mark))
            };
            ends.iter().map(|end| end.as_ref().is_some_and(has_its_mark)).collect()
        };
        Ok(won)
    }

    /// Ends what follows the images, and completes requests that are over.
    async fn after_ends(self: &Arc<Self>, ended: &[&End<'_>]) -> Result<Vec<RequestId>, Fault> {
        let followed = ended.iter().filter(|end| end.held.followed);
        let leads: Vec<_> =
            followed.map(|end| (end.held.id.clone(), ending(&end.settlement.outcome), end.now)).collect();
        self.end_followers(&leads).await?;
        let mut by_request: HashMap<&RequestId, (u64, Timestamp, bool)> = HashMap::new();
        for end in ended {
            let (images, at, followed) = by_request.entry(&end.held.request).or_default();
            *images += 1;
            *at = end.now;
            *followed |= end.held.followed;
        }
        let mut completed = Vec::new();
        for (request, (images, now, followed)) in by_request {
            if followed {
                self.watch.forget(request);
            }
            if self.images_ended(request, images, now).await? {
                completed.push(request.clone());
            }
        }
        Ok(completed)
    }

    /// Ends what follows images that have ended as told. A lead is marked until that is done, so that upkeep does it
    /// after a crash.
    pub(super) async fn end_followers(&self, leads: &[(Bson, Document, Timestamp)]) -> Result<(), Fault> {
        let (mut followers, mut told) = (Vec::new(), Vec::new());
        let these = || {
            let (ids, times): (Vec<Bson>, Vec<Bson>) =
                leads.iter().map(|(lead, _, now)| (lead.clone(), Bson::from(date(*now)))).unzip();
            doc! { field::SAME_AS: { "$in": ids }, field::UPDATED_AT: { "$in": times } }
        };
        for (lead, ending, now) in leads {
            let mut set = ending.clone();
            set.insert(field::UPDATED_AT, date(*now));
            let waiting = doc! {
                field::SAME_AS: lead.clone(),
                field::STATUS: ImageStatus::Pending.as_str(),
                field::OUTPUT_URL: no_output(),
            };
            followers
                .push(command::many(waiting, doc! { "$set": set, "$currentDate": now_in(field::ENDED) }));
            told.push(command::one(doc! { "_id": lead.clone() }, doc! { "$unset": { field::TELLING: "" } }));
        }
        self.end_images(followers, these).await?;
        pixmill_engine::fail_point!("after_followers");
        command::update(&self.database, schema::IMAGES, told, Again::Safe).await?;
        Ok(())
    }
}
