//! Mending what crashes leave, and what people ask for: retrying and cancelling.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Failure, ImageStatus, Outcome, Settlement};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{RETIRED, Upkeep, Void};

use super::amend::{TRIES, busy};
use super::backlog::any_of;
use super::claim::token_in;
use super::clock::now_in;
use super::command::{self, Again, Reading, Written, find};
use super::document::{as_it_is, date, image_id, no_output, open, slot_fields, whole};
use super::head::{self, CANCELLING, CORRECTING, DROPPING, Head, REOPENING, RETIRING};
use super::settle::Given;
use super::{Mongodb, Shared, schema, unknown};

/// Images read at a time.
const AT_A_TIME: usize = 1_000;

#[async_trait]
impl Upkeep for Mongodb {
    async fn reap(&self, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        let shared = &self.shared;
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let open = find(&shared.requests(), doc! { "status": open() }, reading).await?;
        let heads: Vec<_> = open.iter().filter_map(Head::of).collect();
        let mut reaped = 0;
        for heads in heads.chunks(AT_A_TIME) {
            reaped += self.reap_of(heads, void, attempts, now).await?;
        }
        Ok(reaped)
    }

    async fn reconcile(&self, now: Timestamp) -> Result<u64, Fault> {
        self.shared.end_done_elsewhere().await?;
        self.shared.tell_followers(now).await?;
        let unfinished = self.shared.finish(now).await?;
        let completed = self.shared.complete_all(now).await?;
        let foreign = self.shared.tend_foreign(now).await?;
        Ok(unfinished + completed + foreign)
    }

    async fn forget_intakes(&self, before: Timestamp) -> Result<u64, Fault> {
        let still = doc! {
            "status": RequestStatus::Receiving.as_str(),
            "madeBy": schema::PIXMILL,
            "touchedAt": { "$lte": date(before) },
        };
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let mut forgotten = 0;
        for head in find(&self.shared.requests(), still, reading).await?.iter().filter_map(Head::of) {
            forgotten += u64::from(self.shared.drop_intake(&head.request).await?);
        }
        Ok(forgotten)
    }

    async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        self.shared.retire(before, most).await
    }

    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        self.shared.retry(request, now).await
    }

    async fn cancel(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        let head = self.shared.accepted(request).await?;
        if !head.status.is_open() || !self.shared.mark_cancelled(&head).await? {
            return Ok(false);
        }
        self.shared.end_cancelled(&head, now).await?;
        Ok(true)
    }
}

impl Mongodb {
    async fn reap_of(&self, heads: &[Head], void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        let until = match void {
            Void::Expired => doc! { "$lte": date(now) },
            Void::All => doc! { "$exists": true },
        };
        let fields = doc! { "lease": 1, "attempts": 1 };
        let mut reaped = 0;
        loop {
            let held = doc! {
                "requestId": { "$in": any_of(heads) },
                "status": ImageStatus::Processing.as_str(),
                "lease.until": until.clone(),
                "outputUrl": no_output(),
            };
            let reading = Reading { fields: fields.clone(), order: doc! {}, most: AT_A_TIME };
            let found = find(&self.shared.images(), held, reading).await?;
            let (exhausted, others): (Vec<_>, Vec<_>) = found
                .iter()
                .partition(|document| whole(document, "attempts").unwrap_or_default() >= u64::from(attempts));
            let put_back = others.iter().map(|document| put_back(document, now)).collect();
            reaped +=
                command::update(&self.shared.database, schema::IMAGES, put_back, Again::Safe).await?.matched;
            let settlements: Vec<_> = exhausted.into_iter().filter_map(exhausted_end).collect();
            if !settlements.is_empty() {
                let settled = self.shared.settle_batch(vec![Given { settlements, now }]).await?;
                reaped += settled.iter().flat_map(|settled| &settled.won).filter(|won| **won).count() as u64;
            }
            if found.len() < AT_A_TIME {
                return Ok(reaped);
            }
        }
    }
}

fn put_back(document: &Document, now: Timestamp) -> Document {
    let held = doc! { "_id": as_it_is(document, "_id"), "lease": as_it_is(document, "lease") };
    let set = doc! {
        "status": ImageStatus::Pending.as_str(),
        "due": date(now),
        "updatedAt": date(now),
    };
    command::one(held, doc! { "$set": set, "$unset": { "lease": "" } })
}

fn exhausted_end(document: &Document) -> Option<Settlement> {
    let attempts = whole(document, "attempts").unwrap_or_default();
    let failure = Failure {
        code: Code::AttemptsExhausted,
        message: format!("the worker died in each of {attempts} attempts"),
    };
    let outcome = Outcome::Failed(failure);
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
        if head.unfinished == RETIRING { Err(retired()) } else { Ok(head) }
    }

    /// Changes a request if it is as it was read; whether it did.
    pub(super) async fn change(&self, head: &Head, update: Document) -> Result<bool, Fault> {
        let mut unchanged = head.in_round();
        unchanged.insert(
            "status",
            match head.status {
                // Foreign ones may have none.
                RequestStatus::Pending => {
                    doc! { "$nin": ["receiving", "processing", "completed", "cancelled"] }.into()
                }
                status => Bson::from(status.as_str()),
            },
        );
        unchanged.insert(
            "unfinished",
            if head.unfinished.is_empty() { Bson::Null } else { head.unfinished.as_str().into() },
        );
        let change = vec![command::one(unchanged, update)];
        let Written { matched, .. } =
            command::update(&self.database, schema::REQUESTS, change, Again::Safe).await?;
        self.heads.forget(&head.request);
        self.watch.forget(&head.request);
        Ok(matched == 1)
    }

    /// Cancels an open request; what is left of it is marked to be ended. Whether it was still open.
    pub(super) async fn mark_cancelled(&self, head: &Head) -> Result<bool, Fault> {
        let set = doc! { "status": RequestStatus::Cancelled.as_str(), "unfinished": CANCELLING };
        let cancel = vec![command::one(
            doc! { "_id": head.id.clone(), "status": open() },
            doc! { "$set": set, "$unset": { "completedAt": "" }, "$currentDate": now_in("updatedAt") },
        )];
        let written = command::update(&self.database, schema::REQUESTS, cancel, Again::Safe).await?;
        self.heads.forget(&head.request);
        self.watch.forget(&head.request);
        Ok(written.matched == 1 || written.twice)
    }

    /// Ends what is left of a cancelled request.
    async fn end_cancelled(&self, head: &Head, now: Timestamp) -> Result<(), Fault> {
        let ends = ImageStatus::ALL.into_iter().filter(|status| status.is_end());
        let ends: Vec<_> = ends.map(ImageStatus::as_str).collect();
        let unended = doc! {
            "requestId": head.images(),
            "status": { "$nin": ends },
            "outputUrl": no_output(),
        };
        let cancelled = doc! {
            "$set": { "status": ImageStatus::Cancelled.as_str(), "updatedAt": date(now) },
            "$unset": { "lease": "", "due": "" },
            "$currentDate": now_in("ended"),
        };
        let end = vec![command::many(unended, cancelled)];
        command::update(&self.database, schema::IMAGES, end, Again::Safe).await?;
        let head = Head { status: RequestStatus::Cancelled, ..head.clone() };
        let progress = self.count(&head).await?;
        self.tell(&head, &progress).await?;
        let done = vec![command::one(
            doc! { "_id": head.id.clone(), "unfinished": CANCELLING },
            doc! { "$unset": { "unfinished": "" } },
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
            let one = Reading { fields: doc! { "_id": 1 }, order: doc! {}, most: 1 };
            if find(&self.images(), retried(&head), one).await?.is_empty() {
                return Ok(0);
            }
            if self.change(&head, doc! { "$set": { "unfinished": REOPENING } }).await? {
                return self.reopen(&head, now).await;
            }
        }
        Err(busy(request))
    }

    /// Re-opens what is to be tried again, then the request, in a new round. Marked before, so that upkeep does what a
    /// crash left.
    async fn reopen(&self, head: &Head, now: Timestamp) -> Result<u64, Fault> {
        let pending = ImageStatus::Pending.as_str();
        let gone = doc! { "error": "", "telling": "", "ended": "" };
        let (mut leads, mut followers) = (retried(head), retried(head));
        leads.insert("sameAs", Bson::Null);
        followers.insert("sameAs", doc! { "$exists": true });
        // Leads are due at once: whoever feeds may have read past them. The others follow again.
        let again = doc! { "status": pending, "attempts": 0, "due": date(now), "updatedAt": date(now) };
        let follow = doc! { "status": pending, "attempts": 0, "updatedAt": date(now) };
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
        let mut set = doc! { "round": head.round + 1, "adopted": true };
        if !head.status.is_open() {
            set.insert("status", RequestStatus::Pending.as_str());
        }
        let mut marked = head.in_round();
        marked.insert("unfinished", mark);
        let unset = doc! { "unfinished": "", "completedAt": "", "correction": "" };
        let update = doc! { "$set": set, "$unset": unset, "$currentDate": now_in("updatedAt") };
        let raise = vec![command::one(marked, update)];
        command::update(&self.database, schema::REQUESTS, raise, Again::Safe).await?;
        self.heads.forget(&head.request);
        self.watch.forget(&head.request);
        Ok(())
    }

    /// Finishes what was begun with requests and broke off; how many were cancelled or re-opened.
    async fn finish(&self, now: Timestamp) -> Result<u64, Fault> {
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let mut finished = 0;
        for document in find(&self.requests(), doc! { "unfinished": { "$exists": true } }, reading).await? {
            let Some(head) = Head::of(&document) else { continue };
            self.finish_one(&head, now).await?;
            finished += u64::from(![RETIRING, DROPPING].contains(&head.unfinished.as_str()));
        }
        Ok(finished)
    }

    /// Finishes what was begun with a request.
    pub(super) async fn finish_one(&self, head: &Head, now: Timestamp) -> Result<(), Fault> {
        match head.unfinished.as_str() {
            CANCELLING => self.end_cancelled(head, now).await,
            REOPENING => self.reopen(head, now).await.map(|_| ()),
            CORRECTING => self.carry_out(head, now).await,
            DROPPING => self.delete(head).await,
            _ => Ok(()),
        }
    }

    /// Completes pixmill's own requests all of whose images have ended.
    async fn complete_all(&self, now: Timestamp) -> Result<u64, Fault> {
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let own = doc! { "status": open(), "madeBy": schema::PIXMILL };
        let mut completed = 0;
        for head in find(&self.requests(), own, reading).await?.iter().filter_map(Head::of) {
            if !self.has_unended(&head).await? {
                completed += u64::from(self.look(&head.request, now).await?);
            }
        }
        Ok(completed)
    }

    /// Whether an image has not ended: a look at the index, however many images there are.
    pub(super) async fn has_unended(&self, head: &Head) -> Result<bool, Fault> {
        let (pending, processing) = (ImageStatus::Pending.as_str(), ImageStatus::Processing.as_str());
        let unended = doc! {
            "requestId": head.images(),
            "status": { "$in": [Bson::Null, pending, processing] },
            "outputUrl": no_output(),
        };
        let one = Reading { fields: doc! { "_id": 1 }, order: doc! {}, most: 1 };
        Ok(!find(&self.images(), unended, one).await?.is_empty())
    }

    /// Ends what follows images whose worker crashed in between.
    pub(super) async fn tell_followers(&self, now: Timestamp) -> Result<(), Fault> {
        loop {
            let reading = Reading { fields: slot_fields(), order: doc! {}, most: AT_A_TIME };
            let leads = find(&self.images(), doc! { "telling": true }, reading).await?;
            let ended = leads.iter().map(|lead| {
                let fields = ["status", "outputUrl", "bytesBefore", "bytesAfter", "error"];
                let ending =
                    fields.into_iter().filter_map(|field| Some((field.to_owned(), lead.get(field)?.clone())));
                (as_it_is(lead, "_id"), ending.collect(), now)
            });
            self.end_followers(&ended.collect::<Vec<_>>()).await?;
            if leads.len() < AT_A_TIME {
                return Ok(());
            }
        }
    }
}

/// Matches what a retry re-opens.
pub(super) fn retried(head: &Head) -> Document {
    let ends: &[ImageStatus] = match head.status {
        RequestStatus::Cancelled => &[ImageStatus::Failed, ImageStatus::Cancelled],
        _ => &[ImageStatus::Failed],
    };
    let ends: Vec<_> = ends.iter().map(|end| end.as_str()).collect();
    doc! { "requestId": head.images(), "status": { "$in": ends }, "outputUrl": no_output() }
}
