//! The tallies of a request, changed in the transaction that changes the images they count; and completion, which is
//! decided there.

use std::collections::BTreeMap;

use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::time::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// A status as images hold it.
pub(super) const fn number(status: ImageStatus) -> i64 {
    match status {
        ImageStatus::Pending => 0,
        ImageStatus::Processing => 1,
        ImageStatus::Completed => 2,
        ImageStatus::Failed => 3,
        ImageStatus::Cancelled => 4,
    }
}

/// What a transaction changes in one request's tallies: images by status, then bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    images: [i64; 5],
    bytes_before: i64,
    bytes_after: i64,
}

/// What a transaction changes in tallies, by `requests.num`.
#[derive(Debug, Default)]
pub(super) struct Tallies(BTreeMap<i64, Change>);

const APPLY: &str = "UPDATE requests SET
    pending_images = pending_images + ?2, processing_images = processing_images + ?3,
    completed_images = completed_images + ?4, failed_images = failed_images + ?5,
    cancelled_images = cancelled_images + ?6,
    bytes_before = bytes_before + ?7, bytes_after = bytes_after + ?8,
    touched = max(touched + 1, ?9),
    status = CASE WHEN status = 'pending' AND ?3 > 0 THEN 'processing' ELSE status END
  WHERE num = ?1";

/// The time of what a transaction changes in a request, which [`Tallies::write`] writes down: later than whatever was
/// written of it before, even where the clock stands still or two processes disagree about it.
pub(super) fn change_time(connection: &Connection, request: i64, now: Timestamp) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT max(touched + 1, ?2) FROM requests WHERE num = ?1")?
        .query_row([request, now.0], |row| row.get(0))
}

impl Tallies {
    /// So many images of a request went from here to there.
    pub(super) fn moved(&mut self, request: i64, images: i64, from: ImageStatus, to: ImageStatus) {
        debug_assert!(from == to || from.may_become(to), "{from:?} can't become {to:?}");
        let change = self.0.entry(request).or_default();
        change.images[number(from) as usize] -= images;
        change.images[number(to) as usize] += images;
    }

    /// So many bytes were fetched and stored for images of a request that completed.
    pub(super) fn bytes(&mut self, request: i64, before: i64, after: i64) {
        let change = self.0.entry(request).or_default();
        change.bytes_before += before;
        change.bytes_after += after;
    }

    /// Writes the changes and completes requests whose last image they end: which those are, by `requests.num`.
    pub(super) fn write(self, connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<i64>> {
        let mut apply = connection.prepare_cached(APPLY)?;
        let mut completed = Vec::new();
        for (request, change) in self.0 {
            let [pending, processing, done, failed, cancelled] = change.images;
            apply.execute(params![
                request,
                pending,
                processing,
                done,
                failed,
                cancelled,
                change.bytes_before,
                change.bytes_after,
                now.0
            ])?;
            if pending + processing < 0 && complete(connection, request, now)? {
                completed.push(request);
            }
        }
        Ok(completed)
    }
}

const IS_OVER: &str = "SELECT 1 FROM requests
  WHERE num = ?1 AND status IN ('pending', 'processing') AND pending_images = 0 AND processing_images = 0";

const COMPLETE: &str = "UPDATE requests SET status = 'completed', completed = ?2 WHERE num = ?1";

const TELL: &str = "INSERT INTO events
    (id, request, round, at, due, completed_images, failed_images, cancelled_images, bytes_before, bytes_after)
  SELECT ?2, num, round, ?3, ?3, completed_images, failed_images, cancelled_images, bytes_before, bytes_after
  FROM requests WHERE num = ?1";

/// Completes a request that is open and has no image left to end, with its event; whether it did.
pub(super) fn complete(connection: &Connection, request: i64, now: Timestamp) -> rusqlite::Result<bool> {
    if !connection.prepare_cached(IS_OVER)?.exists([request])? {
        return Ok(false);
    }
    pixmill_engine::fail_point!("before_completion");
    connection.prepare_cached(COMPLETE)?.execute(params![request, now.0])?;
    connection.prepare_cached(TELL)?.execute(params![request, Uuid::now_v7().to_string(), now.0])?;
    Ok(true)
}
