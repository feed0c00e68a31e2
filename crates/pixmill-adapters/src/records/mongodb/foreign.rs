//! Requests that an app made, taken as they are: when they are complete, when their images are fed by us, and what
//! happens when more of them appears.
//!
//! Their producers write documents one by one, and other workers may be at it, so time must show what is over. Whether
//! a job of theirs waits in a queue is for the queue to say: records only tell which requests stand still.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;

use super::clock::now_in;
use super::command::{self, Again, Reading, find};
use super::document::{addable, as_it_is, date, moment, open};
use super::fault::{fault, is_duplicate};
use super::field;
use super::head::{self, Head};
use super::id::first_id_of;
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

/// So long after its completion upkeep looks in each round, and later less often.
const JUST_COMPLETED: Duration = Duration::from_secs(15 * 60);
const LATE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Requests that are counted in one question, and looked after in a round of upkeep: of more, the rest waits for the
/// rounds that follow.
const AT_A_TIME: usize = 200;
const LOOKED_AFTER: usize = 2_000;

/// What is known of foreign requests.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    seen: Mutex<HashMap<RequestId, Seen>>,
    /// Which of very many are looked after in this round.
    latest_first: Mutex<bool>,
    /// When those were looked at last that were completed long ago.
    late_at: Mutex<Option<Instant>>,
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
    /// At the first start, writes since when foreign requests are taken over; later, where somebody says so.
    pub(super) async fn open(
        database: &Database,
        adopt_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Fault> {
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
        Ok(())
    }

    fn look(&self, head: &Head, progress: Progress, updated: Bson, now: Timestamp) -> Seen {
        let mut all = lock(&self.seen);
        let seen = Seen::after(all.remove(&head.request), progress, updated, now);
        all.insert(head.request.clone(), seen.clone());
        seen
    }

    /// Forgets requests that are open no more, once all that are open have been looked at.
    fn keep_only(&self, open: &HashSet<&RequestId>) {
        lock(&self.seen).retain(|request, _| open.contains(request));
    }
}

impl Shared {
    /// Since when foreign requests are taken over: those that last changed before are left alone. Read in each round, for
    /// another process may have been told to go back further.
    async fn adopting_since(&self) -> Result<Timestamp, Fault> {
        let state = self.database.collection::<Document>(schema::STATE);
        let known = state.find_one(doc! { "_id": ADOPTION }).await.map_err(|error| fault(&error))?;
        Ok(known.and_then(|known| moment(&known, "since")).unwrap_or_default())
    }

    /// Completes foreign requests that are over, takes those over that stand still, and opens those again of which
    /// more has appeared; how many changed.
    pub(super) async fn tend_foreign(&self, fed: &[Head], now: Timestamp) -> Result<u64, Fault> {
        let mut changed = 0;
        let (requests, all) = self.open_foreign(fed).await?;
        for some in requests.chunks(AT_A_TIME) {
            let heads: Vec<_> = some.iter().map(|(head, _)| head).collect();
            let counted = self.count_many(&heads).await?;
            for (head, updated) in some {
                let Some(progress) = counted.get(&head.request) else { continue };
                changed += u64::from(self.tend(head, *progress, updated.clone(), now).await?);
            }
        }
        if all {
            self.foreign.keep_only(&requests.iter().map(|(head, _)| &head.request).collect());
        }
        Ok(changed + self.reopen_grown(now).await?)
    }

    /// Open requests of apps that changed since they are taken over, or were asked for, each with its time of change; and
    /// whether these are all. Of very many, the first and the last take turns.
    async fn open_foreign(&self, fed: &[Head]) -> Result<(Vec<(Head, Bson)>, bool), Fault> {
        let since = self.adopting_since().await?;
        let recent = doc! { "$gte": date(since) };
        let undated = doc! { "$not": { "$type": "date" } };
        let made = [doc! { "_id": { "$type": "string" } }, doc! { "_id": { "$gte": first_id_of(since) } }];
        let latest_first = {
            let mut turn = lock(&self.foreign.latest_first);
            *turn = !*turn;
            *turn
        };
        let mut requests: HashMap<RequestId, (Head, Bson)> = HashMap::new();
        let mut all = true;
        for (index, changed) in [
            (field::CREATED_AT, doc! { field::CREATED_AT: recent.clone() }),
            (field::UPDATED_AT, doc! { field::UPDATED_AT: recent }),
            (
                field::CREATED_AT,
                doc! { field::CREATED_AT: undated.clone(), field::UPDATED_AT: undated, "$or": made.to_vec() },
            ),
        ] {
            let mut open =
                doc! { field::STATUS: open(), field::OWN: { "$ne": true }, field::PIXMILL: addable() };
            open.extend(changed);
            let mut fields = head::fields();
            fields.extend(doc! { field::UPDATED_AT: 1 });
            let order = doc! { index: if latest_first { -1 } else { 1 } };
            let reading = Reading { fields, order, most: LOOKED_AFTER, ..Reading::default() };
            let found = find(&self.requests(), open, reading).await?;
            all &= found.len() < LOOKED_AFTER;
            let heads = found.iter().filter_map(|document| {
                let head = Head::of(document).filter(|head| head.known)?;
                Some((head.request.clone(), (head, as_it_is(document, field::UPDATED_AT))))
            });
            requests.extend(heads);
        }
        for head in fed.iter().filter(|head| !head.own) {
            requests.entry(head.request.clone()).or_insert_with(|| (head.clone(), Bson::Null));
        }
        Ok((requests.into_values().collect(), all))
    }

    async fn tend(
        &self,
        head: &Head,
        progress: Progress,
        updated: Bson,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let seen = self.foreign.look(head, progress, updated, now);
        let all_here = head.total > 0 || now.since(seen.complete_since) >= NO_MORE;
        if all_here && progress.is_complete() {
            return Ok(self.is_ours_to_do(head).await? && self.complete(head, &progress, now).await?);
        }
        if head.adopted || progress.is_complete() || now.since(seen.still_since) < STILL {
            return Ok(false);
        }
        if !self.is_ours_to_do(head).await? {
            return Ok(false);
        }
        // Its `updatedAt` stays: it tells when the app changed it.
        let adopt = vec![command::one(
            doc! { "_id": head.id.clone(), field::STATUS: open() },
            doc! {
                "$set": { field::ADOPTED: true, field::FED: &head.tenant },
                "$currentDate": now_in(field::OPENED),
            },
        )];
        let adopted = command::update(&self.database, schema::REQUESTS, adopt, Again::Safe).await?;
        self.heads.forget(&head.request);
        if adopted.matched > 0 {
            tracing::info!(request = %head.request, "a request that stood still is taken over");
        }
        Ok(adopted.matched > 0)
    }

    /// Whether an image document led to a request. One without belongs to something else that has this name.
    async fn is_ours_to_do(&self, head: &Head) -> Result<bool, Fault> {
        let image = doc! { field::REQUEST_ID: head.images(), field::INPUT_URL: { "$type": "string" } };
        let one = Reading { fields: doc! { "_id": 1 }, order: doc! {}, most: 1, ..Reading::default() };
        Ok(!find(&self.images(), image, one).await?.is_empty())
    }

    /// Opens requests again that were completed before all of them had appeared; how many.
    async fn reopen_grown(&self, now: Timestamp) -> Result<u64, Fault> {
        let long_ago = {
            let mut late_at = lock(&self.foreign.late_at);
            let due = late_at.is_none_or(|at| at.elapsed() >= LATE_EVERY);
            if due {
                *late_at = Some(Instant::now());
            }
            due
        };
        let back = if long_ago { LATE } else { JUST_COMPLETED };
        let recent = doc! {
            field::COMPLETED_AT: { "$gte": date(now - back) },
            field::STATUS: RequestStatus::Completed.as_str(),
            field::OWN: { "$ne": true },
        };
        let reading = Reading { fields: head::fields(), ..Reading::default() };
        let mut reopened = 0;
        for head in find(&self.requests(), recent, reading).await?.iter().filter_map(Head::of) {
            if self.has_unended(&head).await? {
                self.reopen_late(&head).await?;
                reopened += 1;
            }
        }
        Ok(reopened)
    }

    /// Opens a new round of a foreign request that was completed before all of it had appeared. The request as it is
    /// then, whoever opened it.
    pub(super) async fn reopen_late(&self, head: &Head) -> Result<Head, Fault> {
        let mut completed = head.in_round();
        completed.insert(field::STATUS, RequestStatus::Completed.as_str());
        let mut set = doc! {
            field::STATUS: RequestStatus::Processing.as_str(), field::ROUND: i64::from(head.round) + 1,
        };
        let mut changed = now_in(field::UPDATED_AT);
        if head.adopted {
            set.insert(field::FED, &head.tenant);
            changed.insert(field::OPENED, true);
        }
        let update = doc! { "$set": set, "$unset": { field::COMPLETED_AT: "" }, "$currentDate": changed };
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
