//! What clients change of requests that were accepted: better inputs, and deleting.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::following::Leads;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Correction, ImageStatus};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::source::Fingerprint;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Amend, Deletion};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use super::deletion::drop_request;
use super::fault::Broken;
use super::id::{MOST, Owner, key};
use super::tally::{Tallies, number};
use super::upkeep::{accepted, next_round, reopenable};

#[async_trait]
impl Amend for Sqlite {
    async fn correct(
        &self,
        request: &RequestId,
        corrections: Vec<Correction>,
        now: Timestamp,
    ) -> Result<Vec<usize>, Fault> {
        let id = request.clone();
        let owner = self.read(move |connection| accepted(connection, &id)).await?;
        if owner.status == RequestStatus::Cancelled {
            self.end_cancelled(owner.num, now).await?;
        }
        let id = request.clone();
        self.write(move |transaction| correct(transaction.connection, &id, &corrections, now)).await
    }

    async fn begin_deletion(&self, deletion: &Deletion, now: Timestamp) -> Result<bool, Fault> {
        let Deletion { request, outputs } = deletion.clone();
        let owner = self
            .write(move |transaction| {
                let owner = accepted(transaction.connection, &request)?;
                if !owner.status.is_open() {
                    transaction
                        .connection
                        .prepare_cached("UPDATE requests SET retired = ?2 WHERE num = ?1")?
                        .execute([owner.num, 2 + i64::from(outputs)])?;
                }
                Ok(owner)
            })
            .await?;
        if owner.status == RequestStatus::Cancelled {
            self.end_cancelled(owner.num, now).await?;
        }
        Ok(!owner.status.is_open())
    }

    async fn delete(&self, request: &RequestId) -> Result<bool, Fault> {
        let id = request.clone();
        let deleted = self
            .write(move |transaction| {
                let owner = accepted(transaction.connection, &id)?;
                if owner.status.is_open() {
                    return Ok(false);
                }
                drop_request(transaction.connection, owner.num)?;
                Ok(true)
            })
            .await?;
        if deleted {
            self.delete_dropped().await?;
        }
        Ok(deleted)
    }
}

/// An image by its place.
const AT: &str = "SELECT images.id, images.status FROM rows
  JOIN images ON images.id = ?2 + rows.first_image + ?3
  WHERE rows.id = ?1 AND ?3 < rows.images";

/// Whatever followed it has the old input still: the first of them leads the others.
const PASS_ON: &str = "UPDATE images
  SET same_as = nullif((SELECT min(id) FROM images WHERE same_as = ?1), id) WHERE same_as = ?1";

/// Images that others follow are due at once, as after a retry.
const REPLACE: &str = "UPDATE images SET input = ?2, status = 0, attempts = 0, same_as = ?3,
    code = NULL, message = NULL, ended = NULL, due = CASE WHEN ?3 IS NULL THEN ?4 END WHERE id = ?1";

fn correct(
    connection: &Connection,
    request: &RequestId,
    corrections: &[Correction],
    now: Timestamp,
) -> Result<Vec<usize>, Broken> {
    let owner = reopenable(connection, request)?;
    let (found, wrong) = find(connection, owner, corrections)?;
    if !wrong.is_empty() || found.is_empty() {
        return Ok(wrong);
    }
    let mut pass_on = connection.prepare_cached(PASS_ON)?;
    let mut replace = connection.prepare_cached(REPLACE)?;
    let mut tallies = Tallies::default();
    let (fingerprint, mut leads) = (Fingerprint::new(), Leads::default());
    for (&image, &(status, input)) in &found {
        let follows = leads.lead_of(image, fingerprint.of(input), input);
        pass_on.execute([image])?;
        replace.execute(params![image, input, follows, now.0])?;
        tallies.moved(owner.num, 1, status, ImageStatus::Pending);
    }
    next_round(connection, owner.num)?;
    tallies.write(connection, now)?;
    Ok(Vec::new())
}

/// Images that are corrected, in the order of the catalogue: the end that each is re-opened from, and its new input.
type Found<'a> = BTreeMap<i64, (ImageStatus, &'a str)>;

/// The images that are corrected, and the numbers of corrections that name none that may be. Where two are about one
/// image the later one holds.
fn find<'a>(
    connection: &Connection,
    owner: Owner,
    corrections: &'a [Correction],
) -> Result<(Found<'a>, Vec<usize>), Broken> {
    let mut at = connection.prepare_cached(AT)?;
    let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
    for (ordinal, correction) in corrections.iter().enumerate() {
        let row = key(owner.num, correction.row.min(MOST));
        let image = at
            .query_row(params![row, key(owner.num, 0), correction.position], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        match image.and_then(|(id, status)| Some((id, reopened(status, owner.status)?))) {
            Some((id, status)) => {
                found.insert(id, (status, correction.input.as_str()));
            }
            None => wrong.push(ordinal),
        }
    }
    Ok((found, wrong))
}

/// The end from which an image may be re-opened.
fn reopened(status: i64, request: RequestStatus) -> Option<ImageStatus> {
    request.reopens().iter().copied().find(|end| number(*end) == status)
}
