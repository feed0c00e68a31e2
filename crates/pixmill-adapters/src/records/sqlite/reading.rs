//! Reading requests, images and attempts to deliver, a page at a time.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::page::Page;
use pixmill_engine::port::records::{
    DeliveryQuery, ImageQuery, Images, Reading, RequestQuery, RequestView, Requests,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::Sqlite;
use super::fault::{Broken, is_of_row};
use super::id::{Finder, MOST, Owner, image_id, key, known_owner, owner, parts};
use super::outbox::{DELIVERY, delivery_in};
use super::page::page;
use super::report::{PROGRESS_AT, REQUEST, progress_in, request_in, slot_in};

/// The columns of an image that [`view_in`] reads.
const VIEW: &str = "images.status, images.output, images.bytes_before, images.bytes_after, images.code,
    images.message, images.frames, images.id, images.row, images.position, images.input, images.attempts, images.ended";

/// An image's row, for the columns of its catalogue.
const ITS_ROW: &str = "CROSS JOIN rows ON rows.id = (images.id >> 32 << 32) + images.row";

#[async_trait]
impl Reading for Sqlite {
    async fn read_requests(&self, query: RequestQuery, most: usize) -> Result<Vec<RequestView>, Fault> {
        self.read(move |connection| match query.which {
            Requests::One(id) => {
                let mut one =
                    connection.prepare_cached(&format!("{REQUEST} WHERE id = ?1 AND status <> 'dropped'"))?;
                let one = one.query_row([id.as_str()], request_view_in).optional()?;
                Ok(one.into_iter().collect())
            }
            Requests::Of { tenant, status, before } => {
                requests_of(connection, &tenant, status, before.as_ref(), most)
            }
        })
        .await
    }

    async fn read_images(
        &self,
        request: &RequestId,
        query: ImageQuery,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        let id = request.clone();
        self.read(move |connection| {
            let visible = owner(connection, &id)?.filter(|owner| owner.status != RequestStatus::Receiving);
            let Some(owner) = visible else { return Ok(Vec::new()) };
            images_of(connection, owner, &query, most)
        })
        .await
    }

    async fn read_deliveries(&self, query: DeliveryQuery, most: usize) -> Result<Vec<Delivery>, Fault> {
        self.read(move |connection| {
            let request = query.request.map(|request| request.as_str().to_owned());
            let said = [
                ("requests.tenant = ?", query.tenant),
                ("requests.id = ?", request),
                ("deliveries.id = ?", query.id),
                ("deliveries.id < ?", query.before),
            ];
            let said: Vec<_> = said.into_iter().filter_map(|(what, value)| Some((what, value?))).collect();
            let conditions: String = said.iter().map(|(what, _)| format!(" AND {what}")).collect();
            let mut deliveries = connection
                .prepare_cached(&format!("{DELIVERY}{conditions} ORDER BY deliveries.id DESC LIMIT ?"))?;
            let values = said.into_iter().map(|(_, value)| value.into()).chain([limit(most)]);
            Ok(deliveries.query_map(params_from_iter(values), delivery_in)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn limit(most: usize) -> Value {
    i64::try_from(most).unwrap_or(i64::MAX).into()
}

fn requests_of(
    connection: &Connection,
    tenant: &str,
    status: Option<RequestStatus>,
    before: Option<&RequestId>,
    most: usize,
) -> Result<Vec<RequestView>, Broken> {
    let before = match before {
        Some(before) => known_owner(connection, before)?.num,
        None => i64::MAX,
    };
    let mut requests = connection.prepare_cached(&format!(
        "{REQUEST} WHERE tenant = ?1 AND num < ?2 AND status NOT IN ('receiving', 'dropped')
           AND (?3 IS NULL OR status = ?3) ORDER BY num DESC"
    ))?;
    let mut requests = requests.query(params![tenant, before, status.map(RequestStatus::as_str)])?;
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
}

fn images_of(
    connection: &Connection,
    owner: Owner,
    query: &ImageQuery,
    most: usize,
) -> Result<Vec<(ImageView, String)>, Broken> {
    let (index, which, mut values): (_, _, Vec<Value>) = match &query.which {
        Images::One(image) => {
            let found = Finder::new(connection).find(image)?.filter(|(found, _)| found.num == owner.num);
            let Some((_, id)) = found else { return Ok(Vec::new()) };
            ("", "images.id = ?", vec![id.into()])
        }
        Images::InOrder { status, after } => {
            let from = following(connection, owner, after.as_ref())?;
            let range = vec![from.into(), key(owner.num, MOST).into()];
            match stored(*status, owner.status) {
                "" => ("", "images.id > ? AND images.id < ? ORDER BY images.id", range),
                // Failures are few as a rule, and the others are passed over without a look at each.
                "3" => (
                    "INDEXED BY images_failed",
                    "images.id > ? AND images.id < ? AND images.status = 3 ORDER BY images.id",
                    range,
                ),
                stored => (
                    "",
                    "images.id > ? AND images.id < ? AND instr(?, images.status) ORDER BY images.id",
                    [range, vec![stored.to_owned().into()]].concat(),
                ),
            }
        }
        Images::EndedAfter(moment) => {
            let image = match &moment.image {
                Some(image) => Finder::new(connection).find(image)?.map_or(i64::MAX, |(_, id)| id),
                None => i64::MAX,
            };
            let at = moment.at.0;
            (
                "INDEXED BY images_ended",
                "images.id >> 32 = ? AND images.ended >= ? AND (images.ended > ? OR images.id > ?)
                 ORDER BY images.ended, images.id",
                [owner.num, at, at, image].map(Value::from).to_vec(),
            )
        }
    };
    let (columns, join) = if query.columns { (", rows.cells", ITS_ROW) } else { ("", "") };
    let mut images = connection.prepare_cached(&format!(
        "SELECT {VIEW}{columns} FROM images {index} {join} WHERE {which} LIMIT ?"
    ))?;
    values.push(limit(most));
    page(&mut images, params_from_iter(values), most, |row| {
        let cells = if query.columns { row.get(13)? } else { String::new() };
        Ok((view_in(row, owner)?, cells))
    })
}

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
