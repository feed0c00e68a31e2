//! Requests that an app made, taken as they are: when they are complete, when their images are fed by us, and what
//! happens when more of them appears.
//!
//! Their producers write documents one by one, and other workers may be at it, so time must show what is over. Whether
//! a job of theirs waits in a queue is for the queue to say: records only tell which requests stand still.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;

use super::clock::now_in;
use super::command::{self, Again, Reading, find};
use super::document::{as_it_is, date, moment, open};
use super::fault::{fault, is_duplicate};
use super::head::{self, Head};
use super::id::made;
use super::{Shared, lock, schema};

/// A request that does not say how many images it has is complete when none has appeared for so long.
const NO_MORE: Duration = Duration::from_secs(60);

/// A request that stood still for so long is taken over.
const STILL: Duration = Duration::from_secs(10 * 60);

/// Requests that stood still for so long when pixmill first started are left alone.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// So long after its completion a request is looked at for images that appeared later.
const LATE: Duration = OLD;

/// The document that remembers since when requests are taken over.
const ADOPTION: &str = "adoption";

/// What is known of foreign requests.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Requests that last changed before this are left alone.
    since: Timestamp,
    seen: Mutex<HashMap<RequestId, Seen>>,
}

/// A request as it was last looked at, and since when it has been so.
#[derive(Debug, Clone)]
struct Seen {
    progress: Progress,
    updated: Bson,
    /// No image has appeared since then.
    complete_since: Timestamp,
    /// Nothing has changed since then.
    still_since: Timestamp,
}

impl Seen {
    /// What is known after another look.
    fn after(before: Option<Seen>, progress: Progress, updated: Bson, now: Timestamp) -> Seen {
        let (complete_since, still_since) = match &before {
            Some(seen) => {
                let same_images = seen.progress.total() == progress.total();
                let same = seen.progress == progress && seen.updated == updated;
                (
                    if same_images { seen.complete_since } else { now },
                    if same { seen.still_since } else { now },
                )
            }
            None => (now, now),
        };
        Seen { progress, updated, complete_since, still_since }
    }
}

impl Foreign {
    /// Reads since when foreign requests are taken over; at the first start, writes it.
    pub(super) async fn open(
        database: &Database,
        adopt_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Foreign, Fault> {
        let state = database.collection::<Document>(schema::STATE);
        let first = doc! { "_id": ADOPTION, "since": date(adopt_since.unwrap_or(now - OLD)) };
        match state.insert_one(first).await {
            Err(error) if !is_duplicate(&error) => return Err(fault(&error)),
            Err(_) if adopt_since.is_some() => {
                let set = doc! { "$set": { "since": adopt_since.map(date) } };
                let change = vec![command::one(doc! { "_id": ADOPTION }, set)];
                command::update(database, schema::STATE, change, Again::Safe).await?;
            }
            _ => {}
        }
        let known = state.find_one(doc! { "_id": ADOPTION }).await.map_err(|error| fault(&error))?;
        let since = known.and_then(|known| moment(&known, "since")).unwrap_or_default();
        Ok(Foreign { since, seen: Mutex::default() })
    }

    /// Whether a request stood still before pixmill came, and nobody has asked for it since.
    fn leaves_alone(&self, head: &Head, document: &Document) -> bool {
        let moments = [moment(document, "updatedAt"), moment(document, "createdAt"), made(&head.id)];
        let changed = moments.into_iter().flatten().max();
        !head.adopted && changed.is_some_and(|changed| changed < self.since)
    }

    fn look(&self, head: &Head, progress: Progress, updated: Bson, now: Timestamp) -> Seen {
        let mut all = lock(&self.seen);
        let seen = Seen::after(all.remove(&head.request), progress, updated, now);
        all.insert(head.request.clone(), seen.clone());
        seen
    }

    /// Forgets requests that are open no more.
    fn keep_only(&self, open: &[Head]) {
        let mut seen = lock(&self.seen);
        seen.retain(|request, _| open.iter().any(|head| head.request == *request));
    }
}

impl Shared {
    /// Completes foreign requests that are over, takes those over that stand still, and opens those again of which
    /// more has appeared; how many changed.
    pub(super) async fn tend_foreign(&self, now: Timestamp) -> Result<u64, Fault> {
        let mut fields = head::fields();
        fields.extend(doc! { "updatedAt": 1, "createdAt": 1 });
        let reading = Reading { fields: fields.clone(), ..Reading::default() };
        let foreign = doc! { "$ne": schema::PIXMILL };
        let open = doc! { "status": open(), "madeBy": foreign.clone() };
        let (mut changed, mut heads) = (0, Vec::new());
        for document in find(&self.requests(), open, reading).await? {
            let Some(head) = Head::of(&document) else { continue };
            if !self.foreign.leaves_alone(&head, &document) {
                let updated = as_it_is(&document, "updatedAt");
                changed += u64::from(self.tend(&head, updated, now).await?);
                heads.push(head);
            }
        }
        self.foreign.keep_only(&heads);
        let recent = doc! {
            "status": RequestStatus::Completed.as_str(),
            "madeBy": foreign,
            "completedAt": { "$gte": date(now - LATE) },
        };
        let reading = Reading { fields, ..Reading::default() };
        for head in find(&self.requests(), recent, reading).await?.iter().filter_map(Head::of) {
            if self.has_unended(&head).await? {
                self.reopen_late(&head).await?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    async fn tend(&self, head: &Head, updated: Bson, now: Timestamp) -> Result<bool, Fault> {
        let progress = self.count(head).await?;
        let seen = self.foreign.look(head, progress, updated, now);
        let all_here = head.total > 0 || now.since(seen.complete_since) >= NO_MORE;
        if all_here && progress.is_complete() {
            return self.complete(head, &progress, now).await;
        }
        if head.adopted || progress.is_complete() || now.since(seen.still_since) < STILL {
            return Ok(false);
        }
        // Its `updatedAt` stays: it tells when the app changed it.
        let adopt = vec![command::one(
            doc! { "_id": head.id.clone(), "status": open() },
            doc! { "$set": { "adopted": true } },
        )];
        command::update(&self.database, schema::REQUESTS, adopt, Again::Safe).await?;
        self.heads.forget(&head.request);
        tracing::info!(request = %head.request, "a request that stood still is taken over");
        Ok(true)
    }

    /// Opens a new round of a foreign request that was completed before all of it had appeared. The request as it is
    /// then, whoever opened it.
    pub(super) async fn reopen_late(&self, head: &Head) -> Result<Head, Fault> {
        let mut completed = head.in_round();
        completed.insert("status", RequestStatus::Completed.as_str());
        let set = doc! { "status": RequestStatus::Processing.as_str(), "round": head.round + 1 };
        let update =
            doc! { "$set": set, "$unset": { "completedAt": "" }, "$currentDate": now_in("updatedAt") };
        let reopen = vec![command::one(completed, update)];
        command::update(&self.database, schema::REQUESTS, reopen, Again::Safe).await?;
        self.watch.forget(&head.request);
        self.head(&head.request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(pending: u64, completed: u64) -> Progress {
        Progress { pending, completed, ..Progress::default() }
    }

    #[test]
    fn standing_still_is_counted_from_the_last_change() {
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let seen = Seen::after(None, progress(3, 0), Bson::Null, at(0));
        let seen = Seen::after(Some(seen), progress(3, 0), Bson::Null, at(15));
        assert_eq!((seen.complete_since, seen.still_since), (at(0), at(0)));
        let seen = Seen::after(Some(seen), progress(2, 1), Bson::Null, at(30));
        assert_eq!((seen.complete_since, seen.still_since), (at(0), at(30)));
        let seen = Seen::after(Some(seen), progress(2, 1), Bson::Int32(1), at(45));
        assert_eq!((seen.complete_since, seen.still_since), (at(0), at(45)));
        let seen = Seen::after(Some(seen), progress(3, 1), Bson::Int32(1), at(60));
        assert_eq!((seen.complete_since, seen.still_since), (at(60), at(60)));
    }
}
