//! Mending what crashes leave, and what people ask for: retrying and cancelling.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Failure, ImageStatus, Outcome, Settlement};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::exhausted;
use pixmill_engine::port::records::{Deletion, RETIRED, Upkeep, Void};

use super::amend::{TRIES, busy};
use super::claim::{due_in, token_in};
use super::clock::now_in;
use super::command::{self, Again, Reading, aggregate, find};
use super::document::{
    as_it_is, at, date, few, image_id, moment, no_output, open, request_id, slot_fields, string,
};
use super::field;
use super::half_done::{self, CANCELLING, CORRECTING, DROPPING, Marked, REOPENING, Round};
use super::head::{self, Head};
use super::id::{later, text};
use super::settle::Given;
use super::{Mongodb, Shared, lock, schema, unknown};

/// Images read at a time.
const AT_A_TIME: usize = 1_000;

#[async_trait]
impl Upkeep for Mongodb {
    async fn reap(&self, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        self.shared.reap(void, attempts, now).await
    }

    async fn reconcile(&self, now: Timestamp) -> Result<u64, Fault> {
        let shared = &self.shared;
        let fed = shared.some_fed().await?;
        let mut finished = 0;
        for round in Round::ALL {
            finished += match round {
                Round::DoneElsewhere => shared.end_done_elsewhere(&fed).await.map(|()| 0)?,
                Round::Followers => shared.tell_followers(now).await.map(|()| 0)?,
                Round::Marks => shared.finish(now).await?,
                Round::Over => shared.complete_some(&fed, now).await?,
                Round::Foreign => shared.tend_foreign(&fed, now).await?,
            };
        }
        Ok(finished)
    }

    async fn forget_intakes(&self, before: Timestamp, now: Timestamp) -> Result<u64, Fault> {
        let still = doc! {
            field::TOUCHED_AT: { "$lte": date(self.shared.shift(now).await?.of_server(before)) },
            field::STATUS: RequestStatus::Receiving.as_str(),
            field::OWN: true,
        };
        let reading = Reading { fields: head::fields(), most: AT_A_TIME, ..Reading::default() };
        let mut forgotten = 0;
        for head in find(&self.shared.requests(), still, reading).await?.iter().filter_map(Head::of) {
            forgotten += u64::from(self.shared.drop_intake(&head.request).await?);
        }
        Ok(forgotten)
    }

    async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        self.shared.retire(before, most).await
    }

    async fn deletions(&self, most: usize) -> Result<Vec<Deletion>, Fault> {
        self.shared.deletions(most).await
    }

    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        self.shared.retry(request, now).await
    }

    async fn cancel(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        self.shared.cancel(request, now).await
    }
}

/// How far upkeep has come with what it goes through bit by bit.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The last request that was looked after, of those that are fed.
    fed: Mutex<Option<(String, Timestamp, RequestId)>>,
}

/// Requests that are looked after in a round of upkeep. So a round costs the same however many are open, and while there
/// are no more than these, each is looked after in each.
const LOOKED_AFTER: usize = 2_000;

impl Shared {
    /// The next of the requests that are fed, in turn.
    async fn some_fed(&self) -> Result<Vec<Head>, Fault> {
        let after = lock(&self.rounds.fed).clone();
        let mut fields = head::fields();
        fields.extend(doc! { field::FED: 1, field::OPENED: 1 });
        let order = doc! { field::FED: 1, field::OPENED: 1, "_id": 1 };
        let reading = Reading { fields, order, most: LOOKED_AFTER, ..Reading::default() };
        let found = find(&self.requests(), fed_after(after.as_ref()), reading).await?;
        let heads: Vec<_> = found.iter().filter_map(Head::of).collect();
        *lock(&self.rounds.fed) = found.last().filter(|_| found.len() == LOOKED_AFTER).and_then(|last| {
            let id = last.get("_id").and_then(text).map(RequestId::from)?;
            Some((string(last, field::FED).to_owned(), moment(last, field::OPENED)?, id))
        });
        // Another program may have ended one, or taken its state out of our hands.
        let closed = heads.iter().filter(|head| !head.status.is_open() || !head.known);
        let closed = closed.map(|head| {
            let still = doc! { "_id": head.id.clone(), field::STATUS: { "$nin": open_states() } };
            command::one(still, doc! { "$unset": { field::FED: "" } })
        });
        command::update(&self.database, schema::REQUESTS, closed.collect(), Again::Safe).await?;
        Ok(heads.into_iter().filter(|head| head.status.is_open() && head.known).collect())
    }

    async fn reap(self: &Arc<Self>, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        let shift = self.shift(now).await?;
        let until = match void {
            Void::Expired => doc! { "$lte": date(shift.of_server(now)) },
            Void::All => doc! { "$exists": true },
        };
        let held = doc! {
            field::LEASE_UNTIL: until,
            field::STATUS: ImageStatus::Processing.as_str(),
            field::OUTPUT_URL: no_output(),
        };
        let mut reaped = 0;
        loop {
            let fields = doc! { field::REQUEST_ID: 1, field::LEASE: 1, field::ATTEMPTS: 1 };
            let reading = Reading { fields, order: doc! {}, most: AT_A_TIME, ..Reading::default() };
            let found = find(&self.images(), held.clone(), reading).await?;
            let requests: HashSet<_> = found.iter().filter_map(request_id).collect();
            let heads = self.heads(&requests).await?;
            let head = |document: &Document| heads.get(&request_id(document)?);
            let (exhausted, others): (Vec<_>, Vec<_>) = found.iter().partition(|document| {
                is_exhausted(document, attempts).is_some()
                    && head(document).is_some_and(|head| head.status.is_open())
            });
            // What is left of a cancelled request is ended, not put back.
            let cancelled = |head: &Head| head.status == RequestStatus::Cancelled;
            let others = others.iter().filter(|document| !head(document).is_some_and(cancelled));
            let put_back = others.map(|document| {
                let fed = head(document).is_some_and(Head::is_fed);
                put_back(document, fed, shift.of_server(now), now)
            });
            let put_back = put_back.collect();
            let mut touched =
                command::update(&self.database, schema::IMAGES, put_back, Again::Safe).await?.matched;
            let settlements: Vec<_> =
                exhausted.into_iter().filter_map(|document| exhausted_end(document, attempts)).collect();
            if !settlements.is_empty() {
                let settled = self.settle_batch(vec![Given { settlements, now }]).await?;
                touched += settled.iter().flat_map(|settled| &settled.won).filter(|won| **won).count() as u64;
            }
            reaped += touched;
            if found.len() < AT_A_TIME || touched == 0 {
                return Ok(reaped);
            }
        }
    }
}

/// Matches requests that are fed and come after one of them, in the order of the index.
fn fed_after(last: Option<&(String, Timestamp, RequestId)>) -> Document {
    let Some((tenant, opened, request)) = last else { return doc! { field::FED: { "$gt": "" } } };
    let mut same_time = Document::new();
    same_time.extend(doc! { field::FED: tenant, field::OPENED: date(*opened) });
    same_time.insert("$or", later(request.as_str()));
    doc! { "$or": [
        same_time,
        { field::FED: tenant, field::OPENED: { "$gt": date(*opened) } },
        { field::FED: { "$gt": tenant } },
    ] }
}

/// What requests that are open say.
fn open_states() -> Vec<Bson> {
    let open = RequestStatus::ALL.into_iter().filter(|status| status.is_open());
    open.map(|status| Bson::from(status.as_str())).chain([Bson::Null]).collect()
}

fn put_back(document: &Document, fed: bool, due: Timestamp, now: Timestamp) -> Document {
    let held = doc! { "_id": as_it_is(document, "_id"), field::LEASE: as_it_is(document, field::LEASE) };
    let set = doc! {
        field::STATUS: ImageStatus::Pending.as_str(),
        due_in(fed): date(due),
        field::UPDATED_AT: date(now),
    };
    command::one(held, doc! { "$set": set, "$unset": { field::LEASE: "" } })
}

/// Why an image fails that has no attempt left.
fn is_exhausted(document: &Document, most: u32) -> Option<Failure> {
    exhausted(few(document, field::ATTEMPTS).unwrap_or_default(), most)
}

fn exhausted_end(document: &Document, most: u32) -> Option<Settlement> {
    let outcome = Outcome::Failed(is_exhausted(document, most)?);
    Some(Settlement { image: image_id(document)?, token: token_in(document)?, outcome })
}

impl Shared {
    /// A request that is not being taken in.
    pub(super) async fn accepted(&self, request: &RequestId) -> Result<Head, Fault> {
        let head = self.head(request).await?;
        let gone = head.status == RequestStatus::Receiving || head.unfinished == DROPPING;
        if gone { Err(unknown(request)) } else { Ok(head) }
    }

    /// An accepted request that may be opened again.
    pub(super) async fn reopenable(&self, request: &RequestId) -> Result<Head, Fault> {
        let head = self.accepted(request).await?;
        let retired = || Fault::permanent(Code::RequestState, RETIRED);
        if head.is_going() { Err(retired()) } else { Ok(head) }
    }

    /// Changes a request if it is as it was read; whether it did.
    pub(super) async fn change(&self, head: &Head, update: Document) -> Result<bool, Fault> {
        let mut unchanged = head.in_round();
        unchanged.insert(
            field::STATUS,
            match head.status {
                // Foreign ones may have none, or one of their own.
                RequestStatus::Pending => {
                    doc! { "$nin": ["receiving", "processing", "completed", "cancelled"] }.into()
                }
                status => Bson::from(status.as_str()),
            },
        );
        unchanged.insert(field::UNFINISHED, head.unfinished_as_it_is());
        self.change_once(&head.request, unchanged, update).await
    }

    /// Cancels an open request, once nothing else is being done to it; false when it had ended.
    async fn cancel(self: &Arc<Self>, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        for _ in 0..TRIES {
            let head = self.accepted(request).await?;
            if [REOPENING, CORRECTING].contains(&head.unfinished.as_str()) {
                self.finish_one(&head, now).await?;
                continue;
            }
            if !head.status.is_open() || !head.known {
                return Ok(false);
            }
            if self.mark_cancelled(&head).await? {
                self.end_cancelled(&head, now).await?;
                return Ok(true);
            }
        }
        Err(busy(request))
    }

    /// Cancels an open request; what is left of it is marked to be ended. Whether it was still open, and nothing else was
    /// being done to it.
    pub(super) async fn mark_cancelled(&self, head: &Head) -> Result<bool, Fault> {
        let set = doc! { field::STATUS: RequestStatus::Cancelled.as_str(), field::UNFINISHED: CANCELLING };
        let update = doc! {
            "$set": set,
            "$unset": { field::COMPLETED_AT: "", field::FED: "" },
            "$currentDate": now_in(field::UPDATED_AT),
        };
        let still = doc! { "_id": head.id.clone(), field::STATUS: open(), field::UNFINISHED: Bson::Null };
        self.change_once(&head.request, still, update).await
    }

    /// Ends what is left of a cancelled request.
    async fn end_cancelled(&self, head: &Head, now: Timestamp) -> Result<(), Fault> {
        let mut left = head.changeable();
        left.extend(doc! { field::STATUS: unended(), field::OUTPUT_URL: no_output() });
        let cancelled = doc! {
            "$set": { field::STATUS: ImageStatus::Cancelled.as_str(), field::UPDATED_AT: date(now) },
            "$unset": { field::LEASE: "", field::DUE: "", field::WAIT: "" },
            "$currentDate": now_in(field::ENDED),
        };
        let end = vec![command::many(left, cancelled)];
        command::update(&self.database, schema::IMAGES, end, Again::Safe).await?;
        let head = Head { status: RequestStatus::Cancelled, ..head.clone() };
        let progress = self.count(&head).await?;
        self.tell(&head, &progress).await?;
        let done = vec![command::one(
            doc! { "_id": head.id.clone(), field::UNFINISHED: CANCELLING },
            doc! { "$unset": { field::UNFINISHED: "" } },
        )];
        command::update(&self.database, schema::REQUESTS, done, Again::Safe).await?;
        self.watch.forget(&head.request);
        Ok(())
    }

    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        for _ in 0..TRIES {
            let head = self.reopenable(request).await?;
            if head.unfinished == CORRECTING {
                self.finish_one(&head, now).await?;
                continue;
            }
            if head.status == RequestStatus::Cancelled {
                self.end_cancelled(&head, now).await?;
            }
            let one = Reading { fields: doc! { "_id": 1 }, order: doc! {}, most: 1, ..Reading::default() };
            if find(&self.images(), retried(&head), one).await?.is_empty() {
                return Ok(0);
            }
            if self.change(&head, doc! { "$set": { field::UNFINISHED: REOPENING } }).await? {
                return self.reopen(&head, now).await;
            }
        }
        Err(busy(request))
    }

    /// Re-opens what is to be tried again, then the request, in a new round. Marked before, so that upkeep does what a
    /// crash left.
    async fn reopen(&self, head: &Head, now: Timestamp) -> Result<u64, Fault> {
        let pending = ImageStatus::Pending.as_str();
        let gone = doc! {
            field::ERROR: "", field::TELLING: "", field::ENDED: "", field::WAIT: "",
        };
        let (mut leads, mut followers) = (retried(head), retried(head));
        leads.insert(field::SAME_AS, Bson::Null);
        followers.insert(field::SAME_AS, doc! { "$exists": true });
        // Leads are due at once: whoever feeds may have read past them. The others follow again.
        let due = date(self.shift(now).await?.of_server(now));
        let again = doc! { field::STATUS: pending, field::ATTEMPTS: 0, field::DUE: due, field::UPDATED_AT: date(now) };
        let follow = doc! { field::STATUS: pending, field::ATTEMPTS: 0, field::UPDATED_AT: date(now) };
        let statements = vec![
            command::many(leads, doc! { "$set": again, "$unset": gone.clone() }),
            command::many(followers, doc! { "$set": follow, "$unset": gone }),
        ];
        let reopened =
            command::update(&self.database, schema::IMAGES, statements, Again::Safe).await?.matched;
        self.open_again(head, REOPENING).await?;
        Ok(reopened)
    }

    /// Opens a request that is marked as being re-opened, in a new round.
    pub(super) async fn open_again(&self, head: &Head, mark: &str) -> Result<(), Fault> {
        let mut set = doc! {
            field::ROUND: i64::from(head.round) + 1, field::ADOPTED: true, field::FED: &head.tenant,
        };
        if head.status.reopened() != head.status {
            set.insert(field::STATUS, head.status.reopened().as_str());
        }
        let mut marked = head.in_round();
        marked.insert(field::UNFINISHED, mark);
        let unset = doc! { field::UNFINISHED: "", field::COMPLETED_AT: "", field::CORRECTION: "" };
        let changed = doc! { field::UPDATED_AT: true, field::OPENED: true };
        let update = doc! { "$set": set, "$unset": unset, "$currentDate": changed };
        let raise = vec![command::one(marked, update)];
        command::update(&self.database, schema::REQUESTS, raise, Again::Safe).await?;
        self.heads.forget(&head.request);
        self.watch.forget(&head.request);
        Ok(())
    }

    /// Finishes what was begun with requests and broke off; how many were cancelled or re-opened.
    async fn finish(&self, now: Timestamp) -> Result<u64, Fault> {
        let begun = doc! { field::UNFINISHED: { "$in": half_done::marks() } };
        let reading = Reading { fields: head::fields(), most: AT_A_TIME, ..Reading::default() };
        let mut finished = 0;
        for document in find(&self.requests(), begun, reading).await? {
            let Some(head) = Head::of(&document) else { continue };
            self.finish_one(&head, now).await?;
            finished += u64::from(head.unfinished != DROPPING);
        }
        Ok(finished)
    }

    /// Finishes what was begun with a request.
    pub(super) async fn finish_one(&self, head: &Head, now: Timestamp) -> Result<(), Fault> {
        match half_done::marked(&head.unfinished) {
            Some(Marked::EndCancelled) => self.end_cancelled(head, now).await,
            Some(Marked::Reopen) => self.reopen(head, now).await.map(|_| ()),
            Some(Marked::CarryOut) => self.carry_out(head, now).await,
            Some(Marked::Delete) => self.delete(head).await,
            None => Ok(()),
        }
    }

    /// Completes those of pixmill's own requests all of whose images have ended. Which these are is one question.
    async fn complete_some(&self, fed: &[Head], now: Timestamp) -> Result<u64, Fault> {
        let own: Vec<_> = fed.iter().filter(|head| head.own).map(|head| head.id.clone()).collect();
        let left = doc! { field::STATUS: unended(), field::OUTPUT_URL: no_output() };
        let pipeline = vec![
            doc! { "$match": { "_id": { "$in": own }, field::STATUS: open(), field::UNFINISHED: Bson::Null } },
            doc! { "$lookup": {
                "from": schema::IMAGES, "localField": "_id", "foreignField": field::REQUEST_ID, "as": "left",
                "pipeline": [{ "$match": left }, { "$limit": 1 }, { "$project": { "_id": 1 } }],
            } },
            doc! { "$match": { "left": { "$size": 0 } } },
            doc! { "$project": { "_id": 1 } },
        ];
        let mut completed = 0;
        for over in aggregate(&self.requests(), pipeline).await? {
            let Some(request) = over.get("_id").and_then(text).map(RequestId::from) else { continue };
            completed += u64::from(self.look(&request, now).await?);
        }
        Ok(completed)
    }

    /// Whether an image has not ended: a look at the index, however many images there are.
    pub(super) async fn has_unended(&self, head: &Head) -> Result<bool, Fault> {
        let left = doc! { field::REQUEST_ID: head.images(), field::STATUS: unended(), field::OUTPUT_URL: no_output() };
        let one = Reading { fields: doc! { "_id": 1 }, order: doc! {}, most: 1, ..Reading::default() };
        Ok(!find(&self.images(), left, one).await?.is_empty())
    }

    /// Ends what follows images whose worker crashed in between.
    pub(super) async fn tell_followers(&self, now: Timestamp) -> Result<(), Fault> {
        loop {
            let reading =
                Reading { fields: slot_fields(), order: doc! {}, most: AT_A_TIME, ..Reading::default() };
            let leads = find(&self.images(), doc! { field::TELLING: true }, reading).await?;
            let ended = leads.iter().map(|lead| {
                let fields = [
                    field::STATUS,
                    field::OUTPUT_URL,
                    field::BYTES_BEFORE,
                    field::BYTES_AFTER,
                    field::FRAMES,
                    field::ERROR,
                ];
                let ending =
                    fields.into_iter().filter_map(|field| Some((field.to_owned(), at(lead, field)?.clone())));
                (as_it_is(lead, "_id"), ending.collect(), now)
            });
            self.end_followers(&ended.collect::<Vec<_>>()).await?;
            if leads.len() < AT_A_TIME {
                return Ok(());
            }
        }
    }
}

/// Matches the status of images that have not ended.
fn unended() -> Document {
    let (pending, processing) = (ImageStatus::Pending.as_str(), ImageStatus::Processing.as_str());
    doc! { "$in": [Bson::Null, pending, processing] }
}

/// Matches what a retry re-opens.
pub(super) fn retried(head: &Head) -> Document {
    let ends: Vec<_> = head.status.reopens().iter().map(|end| end.as_str()).collect();
    let mut retried = head.changeable();
    retried.extend(doc! { field::STATUS: { "$in": ends }, field::OUTPUT_URL: no_output() });
    retried
}
