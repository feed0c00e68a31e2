//! How far a request is, counted from its images; its completion; the counters that others read.
//!
//! Ends absorb, so a count of them can lag but never run ahead; what is unended is what is missing to the total. While
//! this process knows that images are left, no end costs a count: a look a moment later finds what others ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;

use super::backlog::any_of;
use super::clock::now_in;
use super::command::{self, Again, aggregate};
use super::document::{as_it_is, at, date, open, string, whole};
use super::field;
use super::head::Head;
use super::id::text;
use super::outbox::completion;
use super::{Shared, lock, schema};

/// How old a snapshot may be.
const MOMENT: Duration = Duration::from_secs(1);

/// Requests that are watched, and looked at without being worked on here. Of those that nothing ended in here for so
/// long, one more makes all go.
const WATCHED: usize = 10_000;
const IDLE: Duration = Duration::from_secs(60);

/// How often counters are written at most.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// A count that takes long is made less often, so that counting costs a tenth of the time at most.
const SHARE: u32 = 10;

/// What this process knows of requests it works on.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<HashMap<RequestId, Watched>>);

#[derive(Debug, Default)]
struct Watched {
    /// Unended images at least, as far as this process's own ends go.
    left: Option<u64>,
    /// Ends written here since the watch began.
    ended: u64,
    /// A look is planned.
    planned: bool,
    /// How long the last count took.
    took: Duration,
    /// When counters were last written.
    told: Option<Instant>,
    snapshot: Option<(u32, Progress, Instant)>,
    /// When something last asked for it.
    used: Option<Instant>,
}

/// What is known of a request, begun now where nothing was. What nobody has asked for in a while makes way.
fn watched<'w>(all: &'w mut HashMap<RequestId, Watched>, request: &RequestId) -> &'w mut Watched {
    if all.len() >= WATCHED && !all.contains_key(request) {
        all.retain(|_, watched| watched.planned || watched.used.is_some_and(|used| used.elapsed() < IDLE));
    }
    let watched = all.entry(request.clone()).or_default();
    watched.used = Some(Instant::now());
    watched
}

impl Watch {
    /// Something other than an end happened: nothing that is known holds.
    pub(super) fn forget(&self, request: &RequestId) {
        lock(&self.0).remove(request);
    }

    /// Images ended; whether it could be all.
    fn ended(&self, request: &RequestId, images: u64) -> bool {
        let mut all = lock(&self.0);
        let watched = watched(&mut all, request);
        watched.ended += images;
        watched.left = watched.left.map(|left| left.saturating_sub(images));
        watched.left.is_none_or(|left| left == 0)
    }

    /// When to look again, unless that is planned already.
    fn plan(&self, request: &RequestId) -> Option<Duration> {
        let mut watched = lock(&self.0);
        let watched = watched.get_mut(request)?;
        let planned = std::mem::replace(&mut watched.planned, true);
        (!planned).then(|| TOLD_EVERY.max(watched.took * SHARE))
    }

    fn ended_so_far(&self, request: &RequestId) -> u64 {
        let mut all = lock(&self.0);
        let watched = watched(&mut all, request);
        watched.planned = false;
        watched.ended
    }

    /// So many were left when ends stood at `ended`; whether counters are due.
    fn counted(&self, request: &RequestId, left: u64, ended: u64, took: Duration) -> bool {
        let mut watched = lock(&self.0);
        let Some(watched) = watched.get_mut(request) else { return false };
        // Ends written during the count may be in it or not.
        watched.left = Some(left.saturating_sub(watched.ended.saturating_sub(ended)));
        watched.took = took;
        let due = watched.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if due {
            watched.told = Some(Instant::now());
        }
        due
    }

    fn snapshot(&self, head: &Head) -> Option<Progress> {
        let watched = lock(&self.0);
        let (round, progress, at) = watched.get(&head.request)?.snapshot?;
        (round == head.round && at.elapsed() < MOMENT).then_some(progress)
    }

    /// Keeps a snapshot, unless one that was counted beside it says more.
    fn keep(&self, head: &Head, progress: Progress) -> Progress {
        let mut all = lock(&self.0);
        let watched = watched(&mut all, &head.request);
        if let Some((known, more, _)) = watched.snapshot
            && known == head.round
            && more.ended() > progress.ended()
        {
            return more;
        }
        watched.snapshot = Some((head.round, progress, Instant::now()));
        progress
    }

    /// Lets every snapshot be older than it may be served.
    #[cfg(test)]
    pub(super) fn age(&self) {
        for watched in lock(&self.0).values_mut() {
            watched.snapshot = None;
        }
    }
}

impl Shared {
    /// Images of a request ended here. Completes it when they were the last; whether it did.
    pub(super) async fn images_ended(
        self: &Arc<Self>,
        request: &RequestId,
        images: u64,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        if self.watch.ended(request, images) && self.look(request, now).await? {
            return Ok(true);
        }
        if let Some(wait) = self.watch.plan(request) {
            let (shared, request) = (self.clone(), request.clone());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                if let Err(fault) = shared.look(&request, now + wait).await {
                    tracing::debug!(%fault, %request, "a count failed, upkeep will make up for it");
                }
            });
        }
        Ok(false)
    }

    /// Counts an open request, completes it when it is over, and tells its counters; whether it was completed here.
    pub(super) async fn look(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        let ended = self.watch.ended_so_far(request);
        let head = self.head(request).await?;
        if !head.status.is_open() {
            self.watch.forget(request);
            return Ok(false);
        }
        let began = Instant::now();
        let progress = self.count(&head).await?;
        if is_over(&head, &progress) {
            return self.complete(&head, &progress, now).await;
        }
        let left = progress.pending + progress.processing;
        if self.watch.counted(request, left, ended, began.elapsed()) {
            self.tell(&head, &progress).await?;
        }
        Ok(false)
    }

    /// How far a request is, in the round that was read: a moment ago at most while it is open, else now.
    pub(super) async fn snapshot(&self, head: &Head) -> Result<Progress, Fault> {
        if !head.status.is_open() {
            self.watch.forget(&head.request);
            return self.count(head).await;
        }
        if let Some(snapshot) = self.watch.snapshot(head) {
            return Ok(snapshot);
        }
        let progress = self.count(head).await?;
        Ok(self.watch.keep(head, progress))
    }

    /// Counts the images of a request.
    pub(super) async fn count(&self, head: &Head) -> Result<Progress, Fault> {
        let group = doc! {
            "_id": field::value(field::STATUS),
            "images": { "$sum": 1 },
            "before": { "$sum": field::value(field::BYTES_BEFORE) },
            "after": { "$sum": field::value(field::BYTES_AFTER) },
        };
        let all =
            vec![doc! { "$match": { field::REQUEST_ID: head.images() } }, doc! { "$group": group.clone() }];
        let counted = aggregate(&self.images(), all).await?;
        // Another worker may write outputs and no status.
        let with_output = doc! {
            field::REQUEST_ID: head.images(),
            field::STATUS: { "$ne": ImageStatus::Completed.as_str() },
            field::OUTPUT_URL: { "$gt": "" },
        };
        let odd = vec![doc! { "$match": with_output }, doc! { "$group": group }];
        let odd = aggregate(&self.images(), odd).await?;
        Ok(progress(head, &counted, &odd))
    }

    /// Counts the images of many requests in one question.
    pub(super) async fn count_many(&self, heads: &[&Head]) -> Result<HashMap<RequestId, Progress>, Fault> {
        let group = doc! {
            "_id": { "request": field::value(field::REQUEST_ID), field::STATUS: field::value(field::STATUS) },
            "images": { "$sum": 1 },
            "before": { "$sum": field::value(field::BYTES_BEFORE) },
            "after": { "$sum": field::value(field::BYTES_AFTER) },
        };
        let of_them = doc! { "$in": any_of(heads.iter().copied()) };
        let all =
            vec![doc! { "$match": { field::REQUEST_ID: of_them.clone() } }, doc! { "$group": group.clone() }];
        let with_output = doc! {
            field::REQUEST_ID: of_them,
            field::STATUS: { "$ne": ImageStatus::Completed.as_str() },
            field::OUTPUT_URL: { "$gt": "" },
        };
        let odd = vec![doc! { "$match": with_output }, doc! { "$group": group }];
        let images = self.images();
        let (mut counted, mut odd) =
            (by_request(aggregate(&images, all).await?), by_request(aggregate(&images, odd).await?));
        let mut groups = |head: &Head| {
            let counted = counted.remove(&head.request).unwrap_or_default();
            let odd = odd.remove(&head.request).unwrap_or_default();
            (head.request.clone(), progress(head, &counted, &odd))
        };
        Ok(heads.iter().map(|head| groups(head)).collect())
    }

    /// Completes a request in the round that was counted; the same write holds its event. Whether this was the winner.
    pub(super) async fn complete(
        &self,
        head: &Head,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        pixmill_engine::fail_point!("before_completion");
        let due = self.shift(now).await?.of_server(now);
        let event = completion(head.round, progress, due, now);
        let id = string(&event, "id").to_owned();
        let mut still = head.in_round();
        still.insert(field::STATUS, open());
        still.insert(field::UNFINISHED, Bson::Null);
        let mut set = counters(progress);
        set.insert(field::STATUS, RequestStatus::Completed.as_str());
        set.insert(field::ROUND, i64::from(head.round));
        set.insert(field::COMPLETED_AT, date(now));
        let told = doc! { field::EVENTS: event };
        let update = doc! {
            "$set": set, "$push": told, "$unset": { field::FED: "" }, "$currentDate": now_in(field::UPDATED_AT),
        };
        let update = command::one(still, update);
        let written = command::update(&self.database, schema::REQUESTS, vec![update], Again::Safe).await?;
        self.heads.forget(&head.request);
        self.watch.forget(&head.request);
        if written.may_be_ours() {
            let ours = doc! { "_id": head.id.clone(), field::EVENT_ID: id };
            let found = self.requests().find_one(ours).await.map_err(|error| super::fault::fault(&error))?;
            return Ok(found.is_some());
        }
        Ok(written.matched == 1)
    }

    /// Writes what was counted for others to read, unless the request has moved on.
    pub(super) async fn tell(&self, head: &Head, progress: &Progress) -> Result<(), Fault> {
        let mut still = head.in_round();
        still.insert(
            field::STATUS,
            if head.status.is_open() { open().into() } else { Bson::from(head.status.as_str()) },
        );
        let update = doc! { "$set": counters(progress), "$currentDate": now_in(field::UPDATED_AT) };
        let update = command::one(still, update);
        command::update(&self.database, schema::REQUESTS, vec![update], Again::Safe).await.map(|_| ())
    }
}

/// Whether every image of a request has ended. A foreign request must say how many it has: its producer may still be
/// adding them.
fn is_over(head: &Head, progress: &Progress) -> bool {
    head.status.is_over(progress) && (head.own || head.total > 0)
}

fn counters(progress: &Progress) -> Document {
    doc! {
        field::PROCESSED_IMAGES: progress.ended() as i64,
        field::COMPLETED_IMAGES: progress.completed as i64,
        field::FAILED_IMAGES: progress.failed as i64,
        field::CANCELLED_IMAGES: progress.cancelled as i64,
        field::BYTES_BEFORE: progress.bytes_before as i64,
        field::BYTES_AFTER: progress.bytes_after as i64,
    }
}

/// Adds counts up. What moves while it is counted may be counted twice or not at all, but for ends, which stay: the
/// rest of the total is pending.
fn progress(head: &Head, counted: &[Document], odd: &[Document]) -> Progress {
    let mut progress = Progress::default();
    let mut all = 0;
    for group in counted {
        let images = whole(group, "images").unwrap_or_default();
        all += images;
        if let Some(count) = count_of(&mut progress, group) {
            *count += images;
        }
        progress.bytes_before += whole(group, "before").unwrap_or_default();
        progress.bytes_after += whole(group, "after").unwrap_or_default();
    }
    for group in odd {
        let images = whole(group, "images").unwrap_or_default();
        if let Some(count) = count_of(&mut progress, group) {
            *count = count.saturating_sub(images);
        }
        progress.completed += images;
    }
    let total =
        if head.own && head.status != RequestStatus::Receiving { head.total } else { head.total.max(all) };
    if head.status == RequestStatus::Cancelled {
        // Until the cancelling has reached them all.
        progress.cancelled = total.saturating_sub(progress.completed + progress.failed);
    }
    let unended = total.saturating_sub(progress.ended());
    progress.processing = progress.processing.min(unended);
    progress.pending = unended - progress.processing;
    progress
}

/// Groups by request and status, as groups by status for each request.
fn by_request(groups: Vec<Document>) -> HashMap<RequestId, Vec<Document>> {
    let mut all: HashMap<RequestId, Vec<Document>> = HashMap::new();
    for mut group in groups {
        let Some(request) = at(&group, "_id.request").and_then(text).map(RequestId::from) else { continue };
        let status = as_it_is(&group, "_id.status");
        group.insert("_id", status);
        all.entry(request).or_default().push(group);
    }
    all
}

fn count_of<'p>(progress: &'p mut Progress, group: &Document) -> Option<&'p mut u64> {
    let status = string(group, "_id");
    match ImageStatus::ALL.into_iter().find(|known| known.as_str() == status)? {
        ImageStatus::Pending => None,
        ImageStatus::Processing => Some(&mut progress.processing),
        ImageStatus::Completed => Some(&mut progress.completed),
        ImageStatus::Failed => Some(&mut progress.failed),
        ImageStatus::Cancelled => Some(&mut progress.cancelled),
    }
}
