//! One catalogue taking the place of another in the same state folder.

use std::collections::HashSet;

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::{Request, RequestStatus};
use pixmill_engine::model::source::equal_inputs;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::{ImageState, carries_over};
use pixmill_engine::port::records::Succession;
use rusqlite::{Connection, params};

use super::Sqlite;
use super::deletion::drop_request;
use super::fault::Broken;
use super::id::{MOST, key, known_owner, owner};
use super::report::accepted_requests;
use super::tally::Tallies;
use super::upkeep::next_round;

/// Most pairs of images in memory.
const AT_A_TIME: i64 = 1_000;

#[async_trait]
impl Succession for Sqlite {
    async fn requests(&self) -> Result<Vec<Request>, Fault> {
        self.read(accepted_requests).await
    }

    async fn succeed(&self, old: &RequestId, new: &RequestId, now: Timestamp) -> Result<(), Fault> {
        let (old, new) = (old.clone(), new.clone());
        self.write(move |transaction| succeed(transaction.connection, &old, &new, now)).await?;
        self.delete_dropped().await
    }

    async fn remake(
        &self,
        request: &RequestId,
        locations: Vec<String>,
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let request = request.clone();
        self.write(move |transaction| remake(transaction.connection, &request, locations, now)).await
    }

    async fn stale(&self, most: usize) -> Result<Vec<String>, Fault> {
        self.read(move |connection| {
            let mut stale =
                connection.prepare_cached("SELECT location FROM stale_outputs ORDER BY location LIMIT ?1")?;
            let locations = stale.query_map([most as i64], |row| row.get(0))?;
            Ok(locations.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn forget_stale(&self, locations: &[String]) -> Result<(), Fault> {
        let locations = locations.to_vec();
        self.write(move |transaction| {
            let mut forget =
                transaction.connection.prepare_cached("DELETE FROM stale_outputs WHERE location = ?1")?;
            for location in &locations {
                forget.execute([location])?;
            }
            Ok(())
        })
        .await
    }
}

const COMPLETED: &str = "SELECT id, output, coalesce(bytes_before, 0), coalesce(bytes_after, 0) FROM images
  WHERE id >= ?1 AND id < ?2 AND status = 2";

/// Images that others follow are due at once, as after a retry.
const REMAKE: &str = "UPDATE images SET status = 0, attempts = 0, output = NULL, bytes_before = NULL,
    bytes_after = NULL, frames = NULL, ended = NULL, due = CASE WHEN same_as IS NULL THEN ?2 END WHERE id = ?1";

fn remake(
    connection: &Connection,
    request: &RequestId,
    locations: Vec<String>,
    now: Timestamp,
) -> Result<u64, Broken> {
    let num = known_owner(connection, request)?.num;
    let lost: HashSet<String> = locations.into_iter().collect();
    let mut completed = connection.prepare_cached(COMPLETED)?;
    let images = completed.query_map([key(num, 0), key(num, MOST)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    })?;
    let found = images.filter(|image| image.as_ref().map_or(true, |(_, output, ..)| lost.contains(output)));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Ok(0);
    }
    let mut remake = connection.prepare_cached(REMAKE)?;
    let mut tallies = Tallies::default();
    for (id, _, before, after) in &found {
        remake.execute(params![id, now.0])?;
        tallies.moved(num, 1, ImageStatus::Completed, ImageStatus::Pending);
        tallies.bytes(num, -before, -after);
    }
    next_round(connection, num)?;
    tallies.write(connection, now)?;
    Ok(found.len() as u64)
}

fn succeed(connection: &Connection, old: &RequestId, new: &RequestId, now: Timestamp) -> Result<(), Broken> {
    // What a succession that broke off after its write left to do, `reconcile` does.
    let Some(old) = owner(connection, old)? else { return Ok(()) };
    let owner = known_owner(connection, new)?;
    if owner.num == old.num || matches!(owner.status, RequestStatus::Receiving | RequestStatus::Cancelled) {
        return Err(Fault::permanent(Code::RequestState, format!("request {new} is not open")).into());
    }
    let places = Places { connection, old: old.num, new: owner.num };
    let mut tallies = Tallies::default();
    places.carry_ends(&mut tallies)?;
    places.end_followers(&mut tallies)?;
    places.remember_stale()?;
    drop_request(connection, old.num)?;
    tallies.write(connection, now)?;
    Ok(())
}

/// Two requests whose images stand at the same rows and positions.
struct Places<'c> {
    connection: &'c Connection,
    /// `requests.num`.
    old: i64,
    new: i64,
}

/// An image of the new catalogue, and what ended at its place in the old one.
struct Pair {
    new: i64,
    new_input: String,
    new_state: ImageState,
    old: i64,
    old_input: String,
    old_state: ImageState,
    bytes_before: i64,
    bytes_after: i64,
}

/// `?3` and `?4` are the keys of the first row of the old and the new request.
const PAIRS: &str =
    "SELECT new.id, new.input, new.same_as IS NOT NULL, old.id, old.input, old.same_as, old.status,
    coalesce(old.bytes_before, 0), coalesce(old.bytes_after, 0)
  FROM images AS new
  JOIN rows ON rows.id = ?3 + new.row
  JOIN images AS old ON old.id = ?3 + rows.first_image + new.position
  WHERE new.id > ?1 AND new.id < ?2 AND new.status = 0 AND new.position < rows.images AND old.status IN (2, 3)
  ORDER BY new.id LIMIT ?4";

const CARRY: &str = "UPDATE images SET (status, attempts, output, bytes_before, bytes_after, code, message, frames) =
    (SELECT status, attempts, output, bytes_before, bytes_after, code, message, frames FROM images WHERE id = ?2)
  WHERE id = ?1";

const END_FOLLOWERS: &str = "UPDATE images AS follower SET status = lead.status, output = lead.output,
    bytes_before = lead.bytes_before, bytes_after = lead.bytes_after, code = lead.code, message = lead.message,
    frames = lead.frames
  FROM images AS lead
  WHERE follower.id >= ?1 AND follower.id < ?2 AND follower.status = 0 AND lead.id = follower.same_as
    AND lead.status = ?3
  RETURNING coalesce(bytes_before, 0), coalesce(bytes_after, 0)";

/// Outputs of the old request whose place in the new one does not name them.
const MOVED_OUT: &str = "INSERT OR IGNORE INTO stale_outputs
  SELECT old.output FROM images AS old
  LEFT JOIN rows ON rows.id = ?3 + old.row AND old.position < rows.images
  LEFT JOIN images AS new ON new.id = ?3 + rows.first_image + old.position
  WHERE old.id >= ?1 AND old.id < ?2 AND old.status = 2 AND new.output IS NOT old.output";

/// Those that an image at another place names all the same.
const STILL_NAMED: &str = "SELECT output FROM images
  WHERE id >= ?1 AND id < ?2 AND status = 2 AND output IN stale_outputs";

impl Places<'_> {
    fn carry_ends(&self, tallies: &mut Tallies) -> rusqlite::Result<()> {
        let mut carry = self.connection.prepare_cached(CARRY)?;
        let mut after = key(self.new, 0) - 1;
        loop {
            let pairs = self.pairs(after)?;
            let Some(last) = pairs.last() else { return Ok(()) };
            after = last.new;
            for pair in pairs {
                let equal = equal_inputs(&pair.new_input, &pair.old_input);
                if !equal || !carries_over(&pair.old_state, &pair.new_state) {
                    continue;
                }
                carry.execute([pair.new, pair.old])?;
                tallies.moved(self.new, 1, ImageStatus::Pending, pair.old_state.status);
                tallies.bytes(self.new, pair.bytes_before, pair.bytes_after);
            }
        }
    }

    fn pairs(&self, after: i64) -> rusqlite::Result<Vec<Pair>> {
        let mut pairs = self.connection.prepare_cached(PAIRS)?;
        let range = params![after, key(self.new, MOST), key(self.old, 0), AT_A_TIME];
        let pairs = pairs.query_map(range, |row| {
            let completed = row.get::<_, i64>(6)? == 2;
            let status = if completed { ImageStatus::Completed } else { ImageStatus::Failed };
            let follows = row.get::<_, Option<i64>>(5)?.is_some();
            Ok(Pair {
                new: row.get(0)?,
                new_input: row.get(1)?,
                new_state: ImageState::new(row.get(2)?),
                old: row.get(3)?,
                old_input: row.get(4)?,
                old_state: ImageState { status, ..ImageState::new(follows) },
                bytes_before: row.get(7)?,
                bytes_after: row.get(8)?,
            })
        })?;
        pairs.collect()
    }

    /// Ends what follows an image whose end was carried over.
    fn end_followers(&self, tallies: &mut Tallies) -> rusqlite::Result<()> {
        let mut end = self.connection.prepare_cached(END_FOLLOWERS)?;
        for (number, status) in [(2, ImageStatus::Completed), (3, ImageStatus::Failed)] {
            let mut ended = end.query(params![key(self.new, 0), key(self.new, MOST), number])?;
            while let Some(row) = ended.next()? {
                tallies.moved(self.new, 1, ImageStatus::Pending, status);
                tallies.bytes(self.new, row.get(0)?, row.get(1)?);
            }
        }
        Ok(())
    }

    fn remember_stale(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached(MOVED_OUT)?.execute([
            key(self.old, 0),
            key(self.old, MOST),
            key(self.new, 0),
        ])?;
        let named = self
            .connection
            .prepare_cached(STILL_NAMED)?
            .query_map([key(self.new, 0), key(self.new, MOST)], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut forget = self.connection.prepare_cached("DELETE FROM stale_outputs WHERE location = ?1")?;
        for location in named {
            forget.execute([location])?;
        }
        Ok(())
    }
}
