//! What clients ask for in sums.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::Format;
use pixmill_engine::model::request::{DEFAULT_TENANT, Progress, RequestStatus};
use pixmill_engine::model::time::{FIRST_MONDAY, Timestamp, WEEK_MS};
use pixmill_engine::port::records::{Directory, Oldest, Usage, UsagePart};

use super::command::{Reading, aggregate, find};
use super::document::{at, date, ends, moment, no_output, request_status, whole};
use super::fault::fault;
use super::field::{self, inside};
use super::half_done::DROPPING;
use super::outbox::events;
use super::{Mongodb, Shared, lock};

#[async_trait]
impl Directory for Mongodb {
    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Vec<UsagePart>, Fault> {
        let mut created = doc! { "$lt": date(until) };
        // Not every time that can be written is a date that every server reads, and nothing is that old.
        if from > Timestamp::default() {
            created.insert("$gte", date(from));
        }
        let which =
            doc! { "$and": [shown(), { field::TENANT: of_tenant(tenant), field::CREATED_AT: created }] };
        let since_monday = doc! { "$subtract": [field::value(field::CREATED_AT), date(FIRST_MONDAY)] };
        let week = doc! { "$floor": { "$divide": [since_monday, WEEK_MS] } };
        // An app may keep several times there, of which one is within the time that is asked about.
        let is_a_date = doc! { "$eq": [{ "$type": field::value(field::CREATED_AT) }, "date"] };
        let week = doc! { "$cond": [is_a_date, week, Bson::Null] };
        let format = field::value(&format!("{}.format", field::RECIPE));
        let sums = self.shared.sums(which, doc! { "week": week, "format": format }).await?;
        let mut parts: Vec<UsagePart> = Vec::new();
        for (of, requests, progress) in sums {
            let week = at(&of, "week").and_then(as_number).unwrap_or_default();
            let format = match at(&of, "format") {
                None | Some(Bson::Null) => Some(self.shared.settings.recipe.format),
                Some(format) => format.as_str().and_then(Format::named),
            };
            let usage = Usage { requests, progress };
            match parts.iter_mut().find(|part| (part.week, part.format) == (week, format)) {
                Some(part) => part.usage = [&part.usage, &usage].into_iter().sum(),
                None => parts.push(UsagePart { week, format, usage }),
            }
        }
        Ok(parts)
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        if let Some(census) = self.shared.census.recall() {
            return Ok(census);
        }
        let began = Instant::now();
        let census = self.shared.counted_census().await?;
        self.shared.census.remember(&census, began.elapsed());
        Ok(census)
    }

    async fn oldest(&self) -> Result<Oldest, Fault> {
        let first = |field: &str, query: Document| {
            let order = doc! { field: 1 };
            let reading = Reading { fields: order.clone(), order, most: 1, ..Reading::default() };
            async move { find(&self.shared.requests(), query, reading).await.map(|mut found| found.pop()) }
        };
        let date = doc! { "$type": "date" };
        let open = [RequestStatus::Pending, RequestStatus::Processing].map(RequestStatus::as_str).to_vec();
        let open = doc! { field::STATUS: { "$in": open }, field::CREATED_AT: &date };
        let open = first(field::CREATED_AT, open).await?;
        let due = first(field::EVENT_DUE, doc! { field::EVENT_DUE: date }).await?;
        Ok(Oldest {
            open: open.and_then(|open| moment(&open, field::CREATED_AT)),
            due: due.and_then(|due| events(&due).filter_map(|event| moment(event, "due")).min()),
        })
    }
}

/// How many requests there are by status, and how far all their images are.
type Counted = (Vec<(RequestStatus, u64)>, Progress);

/// A count that took so long is made again at once.
const QUICK: Duration = Duration::from_millis(50);

/// One that took longer stands so many times as long, so that counting costs a hundredth of the time however much there
/// is.
const SHARE: u32 = 100;

/// The last census.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<Option<(Counted, Instant)>>);

impl Census {
    fn recall(&self) -> Option<Counted> {
        lock(&self.0).as_ref().filter(|(_, until)| Instant::now() < *until).map(|(census, _)| census.clone())
    }

    fn remember(&self, census: &Counted, took: Duration) {
        if took > QUICK {
            *lock(&self.0) = Some((census.clone(), Instant::now() + took * SHARE));
        }
    }
}

/// Matches requests that clients may see.
pub(super) fn shown() -> Document {
    doc! { field::STATUS: { "$ne": RequestStatus::Receiving.as_str() }, field::UNFINISHED: { "$ne": DROPPING } }
}

/// Matches the tenant of a request; apps name none.
pub(super) fn of_tenant(tenant: &str) -> Bson {
    if tenant == DEFAULT_TENANT { doc! { "$in": [Bson::Null, tenant] }.into() } else { tenant.into() }
}

impl Shared {
    /// Counts everything there is.
    async fn counted_census(&self) -> Result<Counted, Fault> {
        let (mut by_status, mut all) = (Vec::<(RequestStatus, u64)>::new(), Progress::default());
        for (of, requests, progress) in self.sums(shown(), Document::new()).await? {
            let status = request_status(&of);
            match by_status.iter_mut().find(|(known, _)| *known == status) {
                Some((_, count)) => *count += requests,
                None => by_status.push((status, requests)),
            }
            all += progress;
        }
        let processing = self.processing_images().await?.min(all.pending);
        all.pending -= processing;
        all.processing += processing;
        Ok((by_status, all))
    }

    /// How many requests there are and how far they are, from their counters: by what they say their status is, and by
    /// what else is named.
    async fn sums(&self, which: Document, mut by: Document) -> Result<Vec<(Document, u64, Progress)>, Fault> {
        by.insert(field::STATUS, field::value(field::STATUS));
        let mut group = doc! { "_id": by, "requests": { "$sum": 1 } };
        group.insert(field::TOTAL_IMAGES, sum_of(field::TOTAL_IMAGES));
        for counter in COUNTERS {
            group.insert(counter, sum_of(&format!("{}.{counter}", field::PIXMILL)));
        }
        let groups =
            aggregate(&self.requests(), vec![doc! { "$match": which }, doc! { "$group": group }]).await?;
        let sums = groups.iter().map(|group| {
            let of = group.get_document("_id").cloned().unwrap_or_default();
            let progress = counted(group, request_status(&of));
            (of, whole(group, "requests").unwrap_or_default(), progress)
        });
        Ok(sums.collect())
    }

    /// Images that somebody of ours works on.
    async fn processing_images(&self) -> Result<u64, Fault> {
        let held = doc! { field::LEASE_UNTIL: { "$exists": true }, field::OUTPUT_URL: no_output() };
        self.images().count_documents(held).await.map_err(|error| fault(&error))
    }
}

/// What pixmill counts in a request's document.
const COUNTERS: [&str; 5] = [
    inside(field::COMPLETED_IMAGES),
    inside(field::FAILED_IMAGES),
    inside(field::CANCELLED_IMAGES),
    inside(field::BYTES_BEFORE),
    inside(field::BYTES_AFTER),
];

/// The largest number that is taken for a count: an app may keep anything there, and no document spoils a sum.
const MOST: f64 = 1e15;

/// Sums a field up, as far as it holds numbers that can be counts.
fn sum_of(path: &str) -> Document {
    let value = format!("${path}");
    let is_count = doc! { "$and": [{ "$gte": [&value, 0] }, { "$lte": [&value, MOST] }] };
    doc! { "$sum": { "$cond": [is_count, &value, 0] } }
}

/// A whole number, of whatever type the server computed it in.
fn as_number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Double(number) => Some(*number as i64),
        value => value.as_i64().or_else(|| value.as_i32().map(i64::from)),
    }
}

/// How far requests of this status are that have these counters.
pub(super) fn counted(counters: &Document, status: RequestStatus) -> Progress {
    let mut progress = ends(counters);
    let total = whole(counters, field::TOTAL_IMAGES).unwrap_or_default();
    let unended = total.saturating_sub(progress.ended());
    let left =
        if status == RequestStatus::Cancelled { &mut progress.cancelled } else { &mut progress.pending };
    *left += unended;
    progress
}
