//! What clients ask for.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::page::Page;
use pixmill_engine::port::records::{Directory, Oldest, RequestView, Usage};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Sqlite;
use super::fault::{Broken, is_of_row};
use super::id::{Finder, MOST, Owner, image_id, key, known_owner, owner, parts, status_in};
use super::outbox::{DELIVERY, delivery_in};
use super::page::page;
use super::report::{PROGRESS_AT, REQUEST, progress_in, request_in, slot_in};

/// The columns of an image that [`view_in`] reads.
const VIEW: &str = "images.status, images.output, images.bytes_before, images.bytes_after, images.code,
    images.message, images.frames, images.id, images.row, images.position, images.input, images.attempts, images.ended";

#[async_trait]
impl Directory for Sqlite {
    async fn view(&self, id: &RequestId) -> Result<Option<RequestView>, Fault> {
        let id = id.clone();
        self.read(move |connection| {
            let mut request = connection.prepare_cached(&format!(
                "{REQUEST} WHERE id = ?1 AND status NOT IN ('receiving', 'dropped')"
            ))?;
            Ok(request.query_row([id.as_str()], request_view_in).optional()?)
        })
        .await
    }

    async fn requests_of(
        &self,
        tenant: &str,
        status: Option<RequestStatus>,
        before: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<RequestView>, Fault> {
        let (tenant, before) = (tenant.to_owned(), before.cloned());
        self.read(move |connection| {
            let before = match &before {
                Some(before) => known_owner(connection, before)?.num,
                None => i64::MAX,
            };
            let mut requests = connection.prepare_cached(&format!(
                "{REQUEST} WHERE tenant = ?1 AND num < ?2 AND status NOT IN ('receiving', 'dropped')
                   AND (?3 IS NULL OR status = ?3) ORDER BY num DESC"
            ))?;
            let status = status.map(RequestStatus::as_str);
            let mut requests = requests.query(params![tenant, before, status])?;
            let mut views = Page::new(most);
            // What can't be read is passed over, and what comes after it fills the page.
            while !views.is_full()
                && let Some(row) = requests.next()?
            {
                if let Some(view) = readable(row)? {
                    views.push(view);
                }
            }
            Ok(views.into_items())
        })
        .await
    }

    async fn images(
        &self,
        id: &RequestId,
        status: Option<ImageStatus>,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let (id, after) = (id.clone(), after.cloned());
        self.read(move |connection| {
            let Some(owner) = visible(connection, &id)? else { return Ok(Vec::new()) };
            let from = following(connection, owner, after.as_ref())?;
            let stored = stored(status, owner.status);
            // Failures are few as a rule, and the others are passed over without a look at each.
            let (table, fits) = match stored {
                "3" => ("images INDEXED BY images_failed", "images.status = 3 AND ?3 = '3'"),
                _ => ("images", "(?3 = '' OR instr(?3, status))"),
            };
            let mut images = connection.prepare_cached(&format!(
                "SELECT {VIEW} FROM {table} WHERE id > ?1 AND id < ?2 AND {fits} ORDER BY id LIMIT ?4"
            ))?;
            let range = params![from, key(owner.num, MOST), stored, most as i64];
            page(&mut images, range, most, |row| view_in(row, owner))
        })
        .await
    }

    async fn image(&self, id: &RequestId, image: &ImageId) -> Result<Option<ImageView>, Fault> {
        let (id, image) = (id.clone(), image.clone());
        self.read(move |connection| {
            let Some(owner) = visible(connection, &id)? else { return Ok(None) };
            let found = Finder::new(connection).find(&image)?.filter(|(found, _)| found.num == owner.num);
            let Some((_, key)) = found else { return Ok(None) };
            let mut image = connection.prepare_cached(&format!("SELECT {VIEW} FROM images WHERE id = ?1"))?;
            Ok(image.query_row([key], |row| view_in(row, owner)).optional()?)
        })
        .await
    }

    async fn failed(
        &self,
        id: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let (id, after) = (id.clone(), after.cloned());
        self.read(move |connection| {
            let Some(owner) = visible(connection, &id)? else { return Ok(Vec::new()) };
            let from = following(connection, owner, after.as_ref())?;
            let mut failed = connection.prepare_cached(&format!(
                "SELECT {VIEW}, rows.cells FROM images INDEXED BY images_failed JOIN rows ON rows.id = ?3 + images.row
                 WHERE images.id > ?1 AND images.id < ?2 AND images.status = 3 ORDER BY images.id LIMIT ?4"
            ))?;
            let range = params![from, key(owner.num, MOST), key(owner.num, 0), most as i64];
            page(&mut failed, range, most, |row| Ok((view_in(row, owner)?, row.get(13)?)))
        })
        .await
    }

    async fn ended_since(
        &self,
        id: &RequestId,
        moment: &Moment,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        let (id, moment) = (id.clone(), moment.clone());
        self.read(move |connection| {
            let Some(owner) = visible(connection, &id)? else { return Ok(Vec::new()) };
            let image = match &moment.image {
                Some(image) => Finder::new(connection).find(image)?.map_or(i64::MAX, |(_, id)| id),
                None => i64::MAX,
            };
            let mut ended = connection.prepare_cached(&format!(
                "SELECT {VIEW} FROM images INDEXED BY images_ended
                 WHERE id >> 32 = ?1 AND ended >= ?2 AND (ended > ?2 OR id > ?3) ORDER BY ended, id LIMIT ?4"
            ))?;
            let range = params![owner.num, moment.at.0, image, most as i64];
            page(&mut ended, range, most, |row| view_in(row, owner))
        })
        .await
    }

    async fn deliveries_of(
        &self,
        tenant: &str,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        let (tenant, before) = (tenant.to_owned(), before.map(str::to_owned));
        let request = request.map(|request| request.as_str().to_owned());
        self.read(move |connection| {
            let mut deliveries = connection.prepare_cached(&format!(
                "{DELIVERY} AND requests.tenant = ?1 AND (?2 IS NULL OR requests.id = ?2)
                   AND (?3 IS NULL OR deliveries.id < ?3) ORDER BY deliveries.id DESC LIMIT ?4"
            ))?;
            let range = params![tenant, request, before, most as i64];
            let deliveries = deliveries.query_map(range, delivery_in)?;
            Ok(deliveries.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn delivery_of(&self, tenant: &str, id: &str) -> Result<Option<Delivery>, Fault> {
        let named = [tenant.to_owned(), id.to_owned()];
        self.read(move |connection| {
            let delivery = format!("{DELIVERY} AND requests.tenant = ?1 AND deliveries.id = ?2");
            Ok(connection.prepare_cached(&delivery)?.query_row(named, delivery_in).optional()?)
        })
        .await
    }

    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Usage, Fault> {
        let tenant = tenant.to_owned();
        self.read(move |connection| {
            let mut sums = connection.prepare_cached(&format!(
                "SELECT count(*), {SUMS} FROM requests
                 WHERE tenant = ?1 AND created >= ?2 AND created < ?3 AND status NOT IN ('receiving', 'dropped')"
            ))?;
            Ok(sums.query_row(params![tenant, from.0, until.0], |row| {
                Ok(Usage { requests: row.get(0)?, progress: progress_in(row, 1)? })
            })?)
        })
        .await
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        self.read(|connection| {
            let mut groups = connection.prepare_cached(CENSUS)?;
            let groups = groups.query_map([], |row| {
                let status = status_in(row, 1)?;
                Ok((status, row.get::<_, u64>(0)?, progress_in(row, 2)?.shown(status)))
            })?;
            let (mut requests, mut all) = (Vec::new(), Progress::default());
            for group in groups {
                let (status, count, progress) = group?;
                requests.push((status, count));
                all += progress;
            }
            Ok((requests, all))
        })
        .await
    }

    async fn oldest(&self) -> Result<Oldest, Fault> {
        self.read(|connection| {
            let first = |statement: &str| {
                let moment: Option<i64> =
                    connection.prepare_cached(statement)?.query_row([], |row| row.get(0))?;
                Ok::<_, rusqlite::Error>(moment.map(Timestamp))
            };
            Ok(Oldest { open: first(OLDEST_OPEN)?, due: first(FIRST_DUE)? })
        })
        .await
    }
}

/// The first of those that are open, which are what the index holds.
pub(super) const OLDEST_OPEN: &str = "SELECT min(created) FROM requests INDEXED BY requests_oldest
  WHERE status IN ('pending', 'processing')";

const FIRST_DUE: &str = "SELECT min(due) FROM events WHERE due IS NOT NULL";

/// Statuses of which nothing is there are not told.
pub(super) const CENSUS: &str =
    "SELECT requests, status, pending_images, processing_images, completed_images, failed_images,
    cancelled_images, bytes_before, bytes_after
  FROM census WHERE status NOT IN ('receiving', 'dropped') AND requests > 0 ORDER BY status";

const SUMS: &str = "coalesce(sum(pending_images), 0), coalesce(sum(processing_images), 0),
    coalesce(sum(completed_images), 0), coalesce(sum(failed_images), 0), coalesce(sum(cancelled_images), 0),
    coalesce(sum(bytes_before), 0), coalesce(sum(bytes_after), 0)";

fn request_view_in(row: &Row<'_>) -> rusqlite::Result<RequestView> {
    let request = request_in(row)?;
    let progress = progress_in(row, PROGRESS_AT)?.shown(request.status);
    Ok(RequestView { request, progress })
}

/// The same of one that may have been written by a newer pixmill: one that can't be read is told of once.
fn readable(row: &Row<'_>) -> rusqlite::Result<Option<RequestView>> {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    match request_view_in(row) {
        Err(error) if is_of_row(&error) => {
            let request: String = row.get(0)?;
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < MOST_TOLD && told.insert(request.clone()) {
                tracing::warn!(request, %error, "a request that can't be read, left out of lists");
            }
            Ok(None)
        }
        view => view.map(Some),
    }
}

/// Requests that are remembered as told of; of more, nothing is said.
const MOST_TOLD: usize = 10_000;

/// A request that clients see.
fn visible(connection: &Connection, id: &RequestId) -> rusqlite::Result<Option<Owner>> {
    Ok(owner(connection, id)?.filter(|owner| owner.status != RequestStatus::Receiving))
}

/// The key after which a page begins: that of an image of the request, or what comes before the first.
fn following(connection: &Connection, owner: Owner, after: Option<&ImageId>) -> Result<i64, Broken> {
    let first = key(owner.num, 0) - 1;
    let Some(after) = after else { return Ok(first) };
    let found = Finder::new(connection).find(after)?;
    Ok(found.filter(|(found, _)| found.num == owner.num).map_or(first, |(_, id)| id))
}

/// The statuses, as images hold them, that are shown as this one; nothing for all.
fn stored(status: Option<ImageStatus>, request: RequestStatus) -> &'static str {
    let cancelled = request == RequestStatus::Cancelled;
    match status {
        None => "",
        Some(ImageStatus::Pending | ImageStatus::Processing) if cancelled => "none",
        Some(ImageStatus::Cancelled) if cancelled => "014",
        Some(ImageStatus::Pending) => "0",
        Some(ImageStatus::Processing) => "1",
        Some(ImageStatus::Completed) => "2",
        Some(ImageStatus::Failed) => "3",
        Some(ImageStatus::Cancelled) => "4",
    }
}

fn view_in(row: &Row<'_>, owner: Owner) -> rusqlite::Result<ImageView> {
    Ok(ImageView {
        image: image_id(owner.uuid, parts(row.get(7)?).1),
        row: row.get(8)?,
        position: row.get(9)?,
        input: row.get(10)?,
        attempts: row.get(11)?,
        ended: row.get::<_, Option<i64>>(12)?.map(Timestamp),
        slot: slot_in(row, owner.status)?,
    })
}
