//! Reading, for whoever wants to know.

use async_trait::async_trait;
use pixmill_engine::checkup::{Diagnose, Finding, megabytes};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Completion;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Failure, ImageStatus, Output};
use pixmill_engine::model::request::{Progress, Request, RequestStatus};
use pixmill_engine::model::row::{ResultRow, RowError, Slot};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::page::Page;
use pixmill_engine::port::records::{FailureGroup, Report};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::fault::Broken;
use super::id::{MOST, broken, key, known_owner, status_in};
use super::schema::{Pages, pages};
use super::tally::number;

/// What [`request_in`] reads.
pub(super) const REQUEST: &str =
    "SELECT id, status, round, recipe, header, catalogue, digest, rows, row_errors, created,
    completed, webhook, tenant, touched, pending_images, processing_images, completed_images, failed_images,
    cancelled_images, bytes_before, bytes_after, traceparent, reading
  FROM requests";

const ROWS: &str =
    "SELECT cells, error, first_image, images FROM rows WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";

const SLOTS: &str = "SELECT status, output, bytes_before, bytes_after, code, message, frames FROM images
  WHERE id >= ?1 AND id < ?2 ORDER BY id";

/// Where a request's progress begins among its columns.
pub(super) const PROGRESS_AT: usize = 14;

#[async_trait]
impl Diagnose for Sqlite {
    async fn diagnose(&self, _now: Timestamp) -> Vec<Finding> {
        let version = Finding::well("version", format!("SQLite {}", rusqlite::version()));
        let size = match self.read(|connection| Ok(pages(connection)?)).await {
            Ok(Pages { all, free, bytes }) => {
                let free = if free > all / 4 {
                    format!(", of which {} are free", megabytes(free * bytes))
                } else {
                    String::new()
                };
                Finding::well("size", megabytes(all * bytes) + &free)
            }
            Err(fault) => Finding::fault("size", &fault),
        };
        vec![version, size]
    }
}

#[async_trait]
impl Report for Sqlite {
    async fn rows(&self, id: &RequestId, first: u64, most: usize) -> Result<Vec<ResultRow>, Fault> {
        let id = id.clone();
        self.read(move |connection| rows(connection, &id, first, most)).await
    }

    async fn row_errors(&self, id: &RequestId) -> Result<Vec<RowError>, Fault> {
        let id = id.clone();
        self.read(move |connection| {
            let owner = known_owner(connection, &id)?;
            let mut errors = connection.prepare_cached(
                "SELECT line, code, message FROM row_errors WHERE request = ?1 ORDER BY ordinal",
            )?;
            let errors = errors.query_map([owner.num], |row| {
                Ok(RowError { line: row.get(0)?, code: code_in(row, 1)?, message: row.get(2)? })
            })?;
            Ok(errors.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn failures(&self, id: &RequestId) -> Result<Vec<FailureGroup>, Fault> {
        let id = id.clone();
        self.read(move |connection| failures(connection, &id)).await
    }

    async fn noted(&self, id: &RequestId) -> Result<u64, Fault> {
        let id = id.clone();
        self.read(move |connection| {
            let num = known_owner(connection, &id)?.num;
            let mut noted = connection.prepare_cached(
                "SELECT count(*) FROM images INDEXED BY images_noted
                 WHERE id >= ?1 AND id < ?2 AND frames IS NOT NULL",
            )?;
            Ok(noted.query_row([key(num, 0), key(num, MOST)], |row| row.get(0))?)
        })
        .await
    }

    async fn completions(&self, id: &RequestId) -> Result<Vec<Completion>, Fault> {
        let id = id.clone();
        self.read(move |connection| {
            let owner = known_owner(connection, &id)?;
            let mut events = connection
                .prepare_cached("SELECT id, round, at FROM events WHERE request = ?1 ORDER BY round")?;
            let events = events.query_map([owner.num], |row| {
                Ok(Completion {
                    id: row.get(0)?,
                    request: id.clone(),
                    round: row.get(1)?,
                    at: Timestamp(row.get(2)?),
                })
            })?;
            Ok(events.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Every request that is not being taken in, oldest first.
pub(super) fn accepted_requests(connection: &Connection) -> Result<Vec<Request>, Broken> {
    let mut requests = connection
        .prepare_cached(&format!("{REQUEST} WHERE status NOT IN ('receiving', 'dropped') ORDER BY num"))?;
    let requests = requests.query_map([], request_in)?;
    Ok(requests.collect::<Result<_, _>>()?)
}

pub(super) fn request_in(row: &Row<'_>) -> rusqlite::Result<Request> {
    let recipe = serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|error| broken(3, error))?;
    Ok(Request {
        id: RequestId::from(row.get::<_, String>(0)?),
        foreign: false,
        status: status_in(row, 1)?,
        round: row.get(2)?,
        recipe,
        header: row.get(4)?,
        catalogue: row.get(5)?,
        digest: row.get(6)?,
        rows: row.get(7)?,
        row_errors: row.get(8)?,
        created: Timestamp(row.get(9)?),
        completed: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        webhook: row.get(11)?,
        tenant: row.get(12)?,
        updated: Timestamp(row.get(13)?),
        traceparent: traceparent_in(row, 21)?,
        reading: row.get(22)?,
    })
}

/// Where a trace goes on.
pub(super) fn traceparent_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Traceparent>> {
    Ok(row.get::<_, Option<String>>(column)?.as_deref().and_then(Traceparent::parse))
}

/// Progress from seven columns that follow one another.
pub(super) fn progress_in(row: &Row<'_>, first: usize) -> rusqlite::Result<Progress> {
    Ok(Progress {
        pending: row.get(first)?,
        processing: row.get(first + 1)?,
        completed: row.get(first + 2)?,
        failed: row.get(first + 3)?,
        cancelled: row.get(first + 4)?,
        bytes_before: row.get(first + 5)?,
        bytes_after: row.get(first + 6)?,
    })
}

/// Why something failed. A code that is not known here, for a newer pixmill wrote it, is told as the one that says least.
pub(super) fn code_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Code> {
    let text = row.get_ref(column)?.as_str()?;
    Ok(Code::parse(text).unwrap_or(Code::AttemptsExhausted))
}

fn rows(connection: &Connection, id: &RequestId, first: u64, most: usize) -> Result<Vec<ResultRow>, Broken> {
    let owner = known_owner(connection, id)?;
    let mut rows = connection.prepare_cached(ROWS)?;
    let mut rows = rows.query(params![key(owner.num, first.min(MOST)), key(owner.num, MOST), most as i64])?;
    // Images are in the order of the rows, so one range of them serves all.
    let mut slots = connection.prepare_cached(SLOTS)?;
    let mut slots = Some(&mut slots);
    let (mut page, mut images) = (Page::new(most), None);
    while !page.is_full()
        && let Some(row) = rows.next()?
    {
        let (first_image, count): (u64, usize) = (row.get(2)?, row.get(3)?);
        if let Some(slots) = slots.take() {
            images = Some(slots.query([key(owner.num, first_image), key(owner.num, MOST)])?);
        }
        let mut of_it = Vec::with_capacity(count);
        while of_it.len() < count
            && let Some(images) = &mut images
            && let Some(image) = images.next()?
        {
            of_it.push(slot_in(image, owner.status)?);
        }
        page.push(ResultRow { cells: row.get(0)?, error: row.get(1)?, slots: of_it });
    }
    Ok(page.into_items())
}

/// How an image stands, by its columns `status, output, bytes_before, bytes_after, code, message, frames`, which come first.
pub(super) fn slot_in(image: &Row<'_>, request: RequestStatus) -> rusqlite::Result<Slot> {
    let status: i64 = image.get(0)?;
    let status = ImageStatus::ALL
        .into_iter()
        .find(|known| number(*known) == status)
        .ok_or_else(|| broken(0, format!("no status {status}")))?;
    Ok(match status {
        ImageStatus::Completed => {
            let output = Output {
                location: image.get(1)?,
                bytes_before: image.get(2)?,
                bytes_after: image.get(3)?,
                frames: image.get::<_, Option<u32>>(6)?.unwrap_or(1),
            };
            Slot { status, output: Some(output), failure: None }
        }
        ImageStatus::Failed => {
            let failure = Failure { code: code_in(image, 4)?, message: image.get(5)? };
            Slot { status, output: None, failure: Some(failure) }
        }
        status => Slot { status: request.shows(status), output: None, failure: None },
    })
}

fn failures(connection: &Connection, id: &RequestId) -> Result<Vec<FailureGroup>, Broken> {
    let owner = known_owner(connection, id)?;
    let mut groups = connection.prepare_cached(
        "SELECT groups.code, groups.images, first.input, first.message
         FROM (SELECT code, count(*) AS images, min(id) AS first FROM images INDEXED BY images_failed
               WHERE id >= ?1 AND id < ?2 AND status = 3 GROUP BY code) AS groups
         JOIN images AS first ON first.id = groups.first ORDER BY groups.images DESC, groups.code",
    )?;
    let groups = groups.query_map([key(owner.num, 0), key(owner.num, MOST)], |row| {
        Ok(FailureGroup {
            code: code_in(row, 0)?,
            images: row.get(1)?,
            example: row.get(2)?,
            message: row.get(3)?,
        })
    })?;
    Ok(groups.collect::<Result<_, _>>()?)
}
