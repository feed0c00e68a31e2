//! What clients change of requests that were accepted: better inputs, and deleting.
//!
//! A correction waits in the document of its image and means nothing until its request is marked. From that one write on
//! it holds, and whoever finds the mark carries out what is not done yet.

mod plan;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Correction, ImageStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Amend, Deletion};
use uuid::Uuid;

pub(super) use self::plan::{Plan, Waiting};
use super::command::{self, Again, Reading, by_id, find};
use super::document::{as_it_is, at, date, string};
use super::field::{self, inside};
use super::half_done::{CANCELLING, CORRECTING, DROPPING, GOING};
use super::head::Head;
use super::upkeep::retried;
use super::{Mongodb, Shared, schema};

/// How often a change is tried while others change the request.
pub(super) const TRIES: u32 = 5;

#[async_trait]
impl Amend for Mongodb {
    async fn correct(
        &self,
        request: &RequestId,
        corrections: Vec<Correction>,
        now: Timestamp,
    ) -> Result<Vec<usize>, Fault> {
        let shared = &self.shared;
        // What follows an image that is to be corrected ends as it did first.
        shared.tell_followers(now).await?;
        for _ in 0..TRIES {
            let head = shared.reopenable(request).await?;
            if !head.unfinished.is_empty() {
                shared.finish_one(&head, now).await?;
                continue;
            }
            let plan = match shared.plan(&head, &corrections).await? {
                Plan::Wrong(ordinals) => return Ok(ordinals),
                Plan::Changes(changes) => changes,
            };
            if plan.is_empty() {
                return Ok(Vec::new());
            }
            if shared.mark_corrected(&head, &plan).await? {
                shared.carry_out(&head, now).await?;
                return Ok(Vec::new());
            }
        }
        Err(busy(request))
    }

    async fn begin_deletion(&self, deletion: &Deletion, now: Timestamp) -> Result<bool, Fault> {
        self.shared.begin_deletion(deletion, now).await
    }

    async fn delete(&self, request: &RequestId) -> Result<bool, Fault> {
        let head = self.shared.deletable(request).await?;
        if head.status.is_open() {
            return Ok(false);
        }
        let mut ended = head.in_round();
        ended.insert(field::STATUS, head.status.as_str());
        let mut calm = vec![Bson::Null, CANCELLING.into()];
        calm.extend(GOING.map(Bson::from));
        ended.insert(field::UNFINISHED, doc! { "$in": calm });
        let drop = doc! { "$set": { field::UNFINISHED: DROPPING } };
        if !self.shared.change_once(request, ended, drop).await? {
            // It is being opened again.
            return Ok(false);
        }
        self.shared.delete(&head).await?;
        Ok(true)
    }
}

/// Others change a request all the time.
pub(super) fn busy(request: &RequestId) -> Fault {
    Fault::transient(Code::RequestState, format!("request {request} is being changed by others"))
}

impl Shared {
    /// Lets corrections wait in their images, then marks the request; whether it was still as it had been read.
    pub(super) async fn mark_corrected(&self, head: &Head, plan: &[Waiting]) -> Result<bool, Fault> {
        let mark = Uuid::new_v4().to_string();
        let wait = plan.iter().map(|waiting| {
            let correction = doc! { "$set": { field::CORRECTION: waiting.document(&mark) } };
            command::one(doc! { "_id": waiting.image.clone() }, correction)
        });
        command::update(&self.database, schema::IMAGES, wait.collect(), Again::Safe).await?;
        let marked = doc! { "$set": { field::UNFINISHED: CORRECTING, field::CORRECTION: &mark } };
        self.change(head, marked).await
    }

    /// Corrects the images of a request that is marked so, then opens it in a new round.
    pub(super) async fn carry_out(&self, head: &Head, now: Timestamp) -> Result<(), Fault> {
        let marked = by_id(&self.requests(), head.request.as_str(), doc! { field::CORRECTION: 1 }).await?;
        let Some(mark) = marked.as_ref().map(|marked| string(marked, field::CORRECTION)) else {
            return Ok(());
        };
        let reading = Reading { fields: doc! { field::CORRECTION: 1 }, ..Reading::default() };
        let waiting = find(&self.images(), doc! { field::CORRECTION_MARK: mark }, reading).await?;
        let corrections = waiting
            .iter()
            .filter_map(|image| Some((image, at(image, field::CORRECTION).and_then(Bson::as_document)?)));
        let due = self.shift(now).await?.of_server(now);
        let corrected = corrections.map(|(image, correction)| {
            // What is only passed on stays as it ended, whatever that was.
            let mut as_planned =
                if correction.contains_key(field::INPUT_URL) { retried(head) } else { Document::new() };
            as_planned.extend(doc! { "_id": as_it_is(image, "_id"), field::CORRECTION_MARK: mark });
            command::one(as_planned, corrected(correction, due, now))
        });
        command::update(&self.database, schema::IMAGES, corrected.collect(), Again::Safe).await?;
        self.open_again(head, CORRECTING).await
    }
}

/// What carries out a correction that waited.
fn corrected(correction: &Document, due: Timestamp, now: Timestamp) -> Document {
    let (mut set, mut unset) = (Document::new(), doc! { field::CORRECTION: "" });
    match correction.get(inside(field::SAME_AS)) {
        Some(lead) => _ = set.insert(field::SAME_AS, lead.clone()),
        None => _ = unset.insert(field::SAME_AS, ""),
    }
    if correction.get_bool(inside(field::FOLLOWED)).unwrap_or(false) {
        set.insert(field::FOLLOWED, true);
    }
    if let Ok(input) = correction.get_str(field::INPUT_URL) {
        set.extend(doc! {
            field::INPUT_URL: input,
            field::STATUS: ImageStatus::Pending.as_str(),
            field::ATTEMPTS: 0,
            field::UPDATED_AT: date(now),
        });
        unset.extend(doc! {
            field::ERROR: "", field::TELLING: "", field::ENDED: "", field::WAIT: "",
        });
        // Leads are due at once: whoever feeds may have read past them.
        match correction.get(inside(field::SAME_AS)) {
            Some(_) => _ = unset.insert(field::DUE, ""),
            None => _ = set.insert(field::DUE, date(due)),
        }
    }
    let mut update = doc! { "$unset": unset };
    if !set.is_empty() {
        update.insert("$set", set);
    }
    update
}
