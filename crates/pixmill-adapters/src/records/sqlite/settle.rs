//! Ends, by compare-and-set on status and token; what follows an image ends with it.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Failure, ImageStatus, Outcome, Output, Settlement};
use pixmill_engine::model::lease::Token;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Settle, Settled};
use rusqlite::{CachedStatement, Connection, params};

use super::Sqlite;
use super::fault::Broken;
use super::id::Finder;
use super::tally::{Tallies, change_time};
use super::writer::Transaction;

#[async_trait]
impl Settle for Sqlite {
    async fn settle(&self, batch: Vec<Settlement>, now: Timestamp) -> Result<Settled, Fault> {
        self.write(move |transaction| settle(transaction, &batch, now)).await
    }
}

fn settle(
    transaction: &mut Transaction<'_>,
    batch: &[Settlement],
    now: Timestamp,
) -> Result<Settled, Broken> {
    transaction.settles = true;
    let connection = transaction.connection;
    let mut finder = Finder::new(connection);
    let mut ends = Ends::new(connection, now)?;
    let mut tallies = Tallies::default();
    let mut won = Vec::with_capacity(batch.len());
    for settlement in batch {
        let found = finder.find(&settlement.image)?.filter(|(owner, _)| owner.status.is_open());
        won.push(match found {
            Some((owner, id)) => {
                let image = Image { request: owner.num, id };
                match &settlement.outcome {
                    Outcome::Completed(output) => {
                        ends.complete(&mut tallies, image, settlement.token, output)?
                    }
                    Outcome::Failed(failure) => ends.fail(&mut tallies, image, settlement.token, failure)?,
                    Outcome::Retry(due) => {
                        ends.put_back(&mut tallies, image, settlement.token, *due, PutBack::Tried)?
                    }
                    Outcome::GivenBack => {
                        ends.put_back(&mut tallies, image, settlement.token, now, PutBack::Untouched)?
                    }
                }
            }
            None => false,
        });
    }
    let completed = tallies.write(connection, now)?;
    Ok(Settled { won, completed: ids(connection, &completed)? })
}

fn ids(connection: &Connection, requests: &[i64]) -> rusqlite::Result<Vec<RequestId>> {
    let mut id = connection.prepare_cached("SELECT id FROM requests WHERE num = ?1")?;
    requests
        .iter()
        .map(|num| id.query_row([num], |row| Ok(RequestId::from(row.get::<_, String>(0)?))))
        .collect()
}

/// An image by its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    /// `requests.num`.
    pub(super) request: i64,
    /// `images.id`.
    pub(super) id: i64,
}

/// How an image comes back to `pending`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutBack {
    /// It was tried: the attempt counts.
    Tried,
    /// It was not touched: the attempt is given back.
    Untouched,
}

const COMPLETE: &str = "UPDATE images SET status = 2, lease = NULL, lease_until = NULL,
    output = ?3, bytes_before = ?4, bytes_after = ?5, ended = ?6, frames = ?7
  WHERE id = ?1 AND status = 1 AND lease = ?2";

const FAIL: &str = "UPDATE images SET status = 3, lease = NULL, lease_until = NULL,
    code = ?3, message = ?4, ended = ?5
  WHERE id = ?1 AND status = 1 AND lease = ?2";

const PUT_BACK: &str = "UPDATE images SET status = 0, lease = NULL, lease_until = NULL, due = ?3,
    attempts = attempts - ?4
  WHERE id = ?1 AND status = 1 AND lease = ?2";

const COMPLETE_FOLLOWERS: &str =
    "UPDATE images SET status = 2, output = ?2, bytes_before = ?3, bytes_after = ?4, ended = ?5, frames = ?6
  WHERE same_as = ?1 AND status = 0";

const FAIL_FOLLOWERS: &str = "UPDATE images SET status = 3, code = ?2, message = ?3, ended = ?4
  WHERE same_as = ?1 AND status = 0";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [COMPLETE, FAIL, PUT_BACK, COMPLETE_FOLLOWERS, FAIL_FOLLOWERS];

/// The ways in which a claimed image leaves `processing`, but for cancelling.
pub(super) struct Ends<'c> {
    connection: &'c Connection,
    now: Timestamp,
    /// The request that an image ended of last, and when this transaction says that its images ended.
    last: Option<(i64, i64)>,
    complete: CachedStatement<'c>,
    complete_followers: CachedStatement<'c>,
    not_stale: CachedStatement<'c>,
    fail: CachedStatement<'c>,
    fail_followers: CachedStatement<'c>,
    put_back: CachedStatement<'c>,
}

impl<'c> Ends<'c> {
    pub(super) fn new(connection: &'c Connection, now: Timestamp) -> rusqlite::Result<Self> {
        Ok(Ends {
            connection,
            now,
            last: None,
            complete: connection.prepare_cached(COMPLETE)?,
            complete_followers: connection.prepare_cached(COMPLETE_FOLLOWERS)?,
            not_stale: connection.prepare_cached("DELETE FROM stale_outputs WHERE location = ?1")?,
            fail: connection.prepare_cached(FAIL)?,
            fail_followers: connection.prepare_cached(FAIL_FOLLOWERS)?,
            put_back: connection.prepare_cached(PUT_BACK)?,
        })
    }

    fn ended(&mut self, request: i64) -> rusqlite::Result<i64> {
        if let Some((_, ended)) = self.last.filter(|(last, _)| *last == request) {
            return Ok(ended);
        }
        let ended = change_time(self.connection, request, self.now)?;
        self.last = Some((request, ended));
        Ok(ended)
    }

    fn complete(
        &mut self,
        tallies: &mut Tallies,
        image: Image,
        token: Token,
        output: &Output,
    ) -> rusqlite::Result<bool> {
        let (before, after) = (output.bytes_before as i64, output.bytes_after as i64);
        let frames = (output.frames > 1).then_some(output.frames);
        let ended = self.ended(image.request)?;
        let location = &output.location;
        let completed = params![image.id, token.0, location, before, after, ended, frames];
        if self.complete.execute(completed)? == 0 {
            return Ok(false);
        }
        let followers = params![image.id, location, before, after, ended, frames];
        let followers = self.complete_followers.execute(followers)? as i64;
        self.not_stale.execute([&output.location])?;
        tallies.moved(image.request, 1, ImageStatus::Processing, ImageStatus::Completed);
        tallies.moved(image.request, followers, ImageStatus::Pending, ImageStatus::Completed);
        tallies.bytes(image.request, before * (1 + followers), after * (1 + followers));
        Ok(true)
    }

    pub(super) fn fail(
        &mut self,
        tallies: &mut Tallies,
        image: Image,
        token: Token,
        failure: &Failure,
    ) -> rusqlite::Result<bool> {
        let (code, message) = (failure.code.as_str(), &failure.message);
        let ended = self.ended(image.request)?;
        if self.fail.execute(params![image.id, token.0, code, message, ended])? == 0 {
            return Ok(false);
        }
        let followers = self.fail_followers.execute(params![image.id, code, message, ended])? as i64;
        tallies.moved(image.request, 1, ImageStatus::Processing, ImageStatus::Failed);
        tallies.moved(image.request, followers, ImageStatus::Pending, ImageStatus::Failed);
        Ok(true)
    }

    fn put_back(
        &mut self,
        tallies: &mut Tallies,
        image: Image,
        token: Token,
        due: Timestamp,
        how: PutBack,
    ) -> rusqlite::Result<bool> {
        let untouched = how == PutBack::Untouched;
        if self.put_back.execute(params![image.id, token.0, due.0, untouched])? == 0 {
            return Ok(false);
        }
        tallies.moved(image.request, 1, ImageStatus::Processing, ImageStatus::Pending);
        Ok(true)
    }
}
