//! Mending what crashes leave, and what people ask for: retrying and cancelling.

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::lease::Token;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::exhausted;
use pixmill_engine::port::records::{Deletion, RETIRED, Upkeep, Void};
use rusqlite::{Connection, params};

use super::Sqlite;
use super::fault::Broken;
use super::id::{MOST, Owner, key, known_owner, parts, unknown};
use super::settle::{Ends, Image};
use super::tally::{Tallies, change_time, complete, number};
use super::writer::Transaction;

/// Most images that are cancelled in one transaction.
const AT_A_TIME: usize = 5_000;

const RETIRE: &str = "UPDATE requests SET retired = 1 WHERE num IN
    (SELECT num FROM requests WHERE status IN ('completed', 'cancelled') AND coalesce(completed, touched) <= ?1
       AND retired <= 1 AND NOT EXISTS (SELECT 1 FROM events WHERE events.request = requests.num AND events.due IS NOT NULL)
     ORDER BY coalesce(completed, touched), num LIMIT ?2)
  RETURNING id";

const FORGET: &str = "UPDATE requests SET status = 'dropped' WHERE num IN
    (SELECT num FROM requests INDEXED BY requests_receiving WHERE status = 'receiving' AND touched <= ?1)
  RETURNING id";

const HALF_CANCELLED: &str = "SELECT num FROM requests INDEXED BY requests_half_cancelled
  WHERE status = 'cancelled' AND pending_images + processing_images > 0";

const OVER: &str = "SELECT num FROM requests INDEXED BY requests_over
  WHERE status IN ('pending', 'processing') AND pending_images = 0 AND processing_images = 0";

const VOID: &str = "SELECT images.id, lease, attempts
  FROM images INDEXED BY images_lease_until JOIN requests ON requests.num = images.id >> 32
  WHERE lease_until <= ?1 AND requests.status IN ('pending', 'processing')";

const DELETIONS: &str = "SELECT id, retired = 3 FROM requests INDEXED BY requests_deletions
  WHERE retired > 1 AND status IN ('completed', 'cancelled') ORDER BY retired, num LIMIT ?1";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [FORGET, HALF_CANCELLED, OVER, VOID, DELETIONS];

#[async_trait]
impl Upkeep for Sqlite {
    async fn reap(&self, void: Void, attempts: u32, now: Timestamp) -> Result<u64, Fault> {
        self.write(move |transaction| reap(transaction, void, attempts, now)).await
    }

    async fn reconcile(&self, now: Timestamp) -> Result<u64, Fault> {
        // Looked for without a write, for there is hardly ever one.
        let mut completed = 0;
        if self.read(|connection| Ok(connection.prepare_cached(OVER)?.exists([])?)).await? {
            completed = self.write(move |transaction| complete_all(transaction.connection, now)).await?;
        }
        let half_cancelled = self.read(half_cancelled).await?;
        for num in &half_cancelled {
            self.end_cancelled(*num, now).await?;
        }
        self.delete_dropped().await?;
        Ok(completed + half_cancelled.len() as u64)
    }

    async fn forget_intakes(&self, before: Timestamp, _now: Timestamp) -> Result<u64, Fault> {
        let forgotten = self
            .write(move |transaction| {
                let mut forget = transaction.connection.prepare_cached(FORGET)?;
                let forgotten = forget.query_map([before.0], |row| row.get::<_, String>(0))?;
                Ok(forgotten.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        for id in &forgotten {
            self.intakes.forget(&RequestId::from(id.as_str()));
        }
        self.delete_dropped().await?;
        Ok(forgotten.len() as u64)
    }

    async fn retire(&self, before: Timestamp, most: usize) -> Result<Vec<RequestId>, Fault> {
        self.write(move |transaction| {
            let mut retire = transaction.connection.prepare_cached(RETIRE)?;
            let retired = retire.query_map(params![before.0, most as i64], |row| row.get::<_, String>(0))?;
            Ok(retired.map(|id| id.map(RequestId::from)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn deletions(&self, most: usize) -> Result<Vec<Deletion>, Fault> {
        self.read(move |connection| {
            let mut begun = connection.prepare_cached(DELETIONS)?;
            let begun = begun.query_map([most as i64], |row| {
                Ok(Deletion { request: RequestId::from(row.get::<_, String>(0)?), outputs: row.get(1)? })
            })?;
            Ok(begun.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn retry(&self, request: &RequestId, now: Timestamp) -> Result<u64, Fault> {
        let id = request.clone();
        let owner = self.read(move |connection| accepted(connection, &id)).await?;
        if owner.status == RequestStatus::Cancelled {
            self.end_cancelled(owner.num, now).await?;
        }
        let id = request.clone();
        self.write(move |transaction| retry(transaction.connection, &id, now)).await
    }

    async fn cancel(&self, request: &RequestId, now: Timestamp) -> Result<bool, Fault> {
        let id = request.clone();
        let cancelled = self
            .write(move |transaction| {
                let owner = accepted(transaction.connection, &id)?;
                let cancelled = transaction
                    .connection
                    .prepare_cached(
                        "UPDATE requests SET status = 'cancelled', touched = max(touched + 1, ?2)
                         WHERE num = ?1 AND status IN ('pending', 'processing')",
                    )?
                    .execute([owner.num, now.0])?;
                Ok((cancelled == 1).then_some(owner.num))
            })
            .await?;
        match cancelled {
            None => Ok(false),
            Some(num) => self.end_cancelled(num, now).await.map(|()| true),
        }
    }
}

impl Sqlite {
    /// Ends what is left of a cancelled request, a bounded number of images in one transaction.
    pub(super) async fn end_cancelled(&self, num: i64, now: Timestamp) -> Result<(), Fault> {
        let mut after = Some(key(num, 0) - 1);
        while let Some(from) = after {
            after =
                self.write(move |transaction| Ok(end_some(transaction.connection, num, from, now)?)).await?;
        }
        Ok(())
    }
}

/// A request that is not being taken in.
pub(super) fn accepted(connection: &Connection, id: &RequestId) -> Result<Owner, Broken> {
    let owner = known_owner(connection, id)?;
    if owner.status == RequestStatus::Receiving {
        return Err(unknown(id).into());
    }
    Ok(owner)
}

/// An accepted request that may be opened again.
pub(super) fn reopenable(connection: &Connection, id: &RequestId) -> Result<Owner, Broken> {
    let owner = accepted(connection, id)?;
    let retired = connection
        .prepare_cached("SELECT 1 FROM requests WHERE num = ?1 AND retired")?
        .exists([owner.num])?;
    if retired {
        return Err(Fault::permanent(Code::RequestState, RETIRED).into());
    }
    Ok(owner)
}

/// Ends images of a cancelled request that come after one; the last of them, `None` when there is none.
fn end_some(connection: &Connection, num: i64, after: i64, now: Timestamp) -> rusqlite::Result<Option<i64>> {
    let unended = connection
        .prepare_cached(
            "SELECT images.id, images.status FROM images JOIN requests ON requests.num = ?3
             WHERE images.id > ?1 AND images.id < ?2 AND images.status < 2 AND requests.status = 'cancelled'
             ORDER BY images.id LIMIT ?4",
        )?
        .query_map(params![after, key(num, MOST), num, AT_A_TIME as i64], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<Vec<(i64, i64)>, _>>()?;
    let mut end = connection.prepare_cached(
        "UPDATE images SET status = 4, lease = NULL, lease_until = NULL, due = NULL, ended = ?2
         WHERE id = ?1",
    )?;
    let ended = change_time(connection, num, now)?;
    let mut tallies = Tallies::default();
    for &(image, status) in &unended {
        end.execute([image, ended])?;
        let from = if status == number(ImageStatus::Pending) {
            ImageStatus::Pending
        } else {
            ImageStatus::Processing
        };
        tallies.moved(num, 1, from, ImageStatus::Cancelled);
    }
    tallies.write(connection, now)?;
    Ok(unended.last().map(|(image, _)| *image))
}

fn half_cancelled(connection: &Connection) -> Result<Vec<i64>, Broken> {
    let mut half = connection.prepare_cached(HALF_CANCELLED)?;
    let nums = half.query_map([], |row| row.get(0))?;
    Ok(nums.collect::<Result<_, _>>()?)
}

/// A crash can't leave a request that is open with nothing to do, but another program's hand on the file can.
fn complete_all(connection: &Connection, now: Timestamp) -> Result<u64, Broken> {
    let mut over = connection.prepare_cached(OVER)?;
    let over = over.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let mut completed = 0;
    for num in over {
        completed += u64::from(complete(connection, num, now)?);
    }
    Ok(completed)
}

fn reap(
    transaction: &mut Transaction<'_>,
    void: Void,
    most_attempts: u32,
    now: Timestamp,
) -> Result<u64, Broken> {
    let connection = transaction.connection;
    let until = match void {
        Void::Expired => now.0,
        Void::All => i64::MAX,
    };
    let void = connection
        .prepare_cached(VOID)?
        .query_map([until], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(i64, i64, u32)>, _>>()?;
    let mut put_back = connection.prepare_cached(
        "UPDATE images SET status = 0, lease = NULL, lease_until = NULL, due = ?2 WHERE id = ?1",
    )?;
    let mut ends = Ends::new(connection, now)?;
    let mut tallies = Tallies::default();
    for &(id, token, attempts) in &void {
        let image = Image { request: parts(id).0, id };
        match exhausted(attempts, most_attempts) {
            Some(failure) => _ = ends.fail(&mut tallies, image, Token(token), &failure)?,
            None => {
                put_back.execute(params![id, now.0])?;
                tallies.moved(image.request, 1, ImageStatus::Processing, ImageStatus::Pending);
            }
        }
    }
    tallies.write(connection, now)?;
    Ok(void.len() as u64)
}

/// Images that others follow are due at once: whoever feeds may have read past them. The others follow again.
const REOPEN: &str = "UPDATE images SET status = 0, attempts = 0, code = NULL, message = NULL,
    ended = NULL, due = CASE WHEN same_as IS NULL THEN ?3 END
  WHERE id >= ?1 AND id < ?2 AND status = ?4";

fn retry(connection: &Connection, id: &RequestId, now: Timestamp) -> Result<u64, Broken> {
    let owner = reopenable(connection, id)?;
    let mut reopen = connection.prepare_cached(REOPEN)?;
    let mut tallies = Tallies::default();
    let mut reopened = 0;
    for &end in owner.status.reopens() {
        let range = params![key(owner.num, 0), key(owner.num, MOST), now.0, number(end)];
        let images = reopen.execute(range)?;
        tallies.moved(owner.num, images as i64, end, ImageStatus::Pending);
        reopened += images as u64;
    }
    if reopened == 0 {
        return Ok(0);
    }
    next_round(connection, owner.num)?;
    tallies.write(connection, now)?;
    Ok(reopened)
}

/// Opens a request again.
pub(super) fn next_round(connection: &Connection, num: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE requests SET round = round + 1, completed = NULL,
               opened = (SELECT coalesce(max(opened), 0) + 1 FROM requests),
               status = CASE WHEN status IN ('completed', 'cancelled') THEN 'pending' ELSE status END
             WHERE num = ?1",
        )?
        .execute([num])?;
    Ok(())
}
