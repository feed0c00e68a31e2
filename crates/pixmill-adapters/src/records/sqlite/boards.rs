//! Boards on which processes leave word for each other.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Change, Notice};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use super::fault::Broken;

/// Notices by board and name, and those that run out first.
pub(super) const MIGRATION: &str = "CREATE TABLE boards (
  board TEXT NOT NULL,
  name TEXT NOT NULL,
  until INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (board, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX boards_until ON boards (until)";

/// Keys and rights, which had tables of their own, are notices like others. What clients' keys stood for is for a day.
pub(super) const ALL_IN_ONE: &str = "
INSERT INTO boards (board, name, until, text)
  SELECT 'keys', id, 253402300799999, json_object('tenant', tenant, 'name', name, 'hash', hash, 'role', role,
    'per_minute', per_minute, 'created', created, 'revoked', revoked) FROM keys;
INSERT INTO boards (board, name, until, text)
  SELECT 'intakes', tenant || ' ' || key, at + 86400000, request FROM idempotency;
INSERT OR REPLACE INTO boards (board, name, until, text)
  SELECT 'holders', request, held_until, '' FROM idempotency;
INSERT INTO boards (board, name, until, text) SELECT 'rights', name, until, cast(token AS TEXT) FROM rights;
DROP TABLE keys;
DROP TABLE idempotency;
DROP TABLE rights";

/// Notices that are forgotten at a time, more than are put up.
const FORGOTTEN: usize = 100;

#[async_trait]
impl Boards for Sqlite {
    async fn change(&self, changes: Vec<Change>, now: Timestamp) -> Result<Vec<bool>, Fault> {
        self.write(move |transaction| {
            forget(transaction.connection, changes.len() + FORGOTTEN, now)?;
            changes.iter().map(|change| change_one(transaction.connection, change, now)).collect()
        })
        .await
    }

    async fn standing(
        &self,
        board: Board,
        before: Option<&str>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Notice>, Fault> {
        let before = before.map(str::to_owned);
        self.read(move |connection| {
            // Text sorts before bytes, even before none of them.
            let mut notices = connection.prepare_cached(
                "SELECT name, text, until FROM boards WHERE board = ?1 AND name < coalesce(?2, x'') AND until > ?3
                 ORDER BY name DESC LIMIT ?4",
            )?;
            let notices = notices.query_map(params![board.as_str(), before, now.0, most], |row| {
                Ok(Notice { name: row.get(0)?, text: row.get(1)?, until: Timestamp(row.get(2)?) })
            })?;
            Ok(notices.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn forget(connection: &Connection, most: usize, now: Timestamp) -> rusqlite::Result<()> {
    let mut forget = connection.prepare_cached(
        "DELETE FROM boards WHERE (board, name) IN
           (SELECT board, name FROM boards WHERE until <= ?1 AND board <> 'rights' ORDER BY until LIMIT ?2)",
    )?;
    forget.execute(params![now.0, most]).map(drop)
}

fn change_one(connection: &Connection, change: &Change, now: Timestamp) -> Result<bool, Broken> {
    let place = [change.board.as_str(), &change.name];
    let standing = connection
        .prepare_cached("SELECT text FROM boards WHERE board = ?1 AND name = ?2 AND until > ?3")?
        .query_row(params![place[0], place[1], now.0], |row| row.get::<_, String>(0))
        .optional()?;
    if !change.on.allows(standing.as_deref()) {
        return Ok(false);
    }
    let Some((text, until)) = &change.to else {
        let mut take = connection.prepare_cached("DELETE FROM boards WHERE board = ?1 AND name = ?2")?;
        return Ok(take.execute(place)? == 1);
    };
    connection
        .prepare_cached("INSERT OR REPLACE INTO boards (board, name, until, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![place[0], place[1], until.0, text])?;
    Ok(true)
}
