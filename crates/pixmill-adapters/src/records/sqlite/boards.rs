//! Boards on which processes leave word for each other.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::boards::{Board, Boards, Notice};
use rusqlite::params;

use super::Sqlite;

/// Notices by board and name, and those that run out first.
pub(super) const MIGRATION: &str = "CREATE TABLE boards (
  board TEXT NOT NULL,
  name TEXT NOT NULL,
  until INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (board, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX boards_until ON boards (until)";

/// Notices that are forgotten at a time, more than are put up.
const FORGOTTEN: usize = 100;

#[async_trait]
impl Boards for Sqlite {
    async fn put_up(&self, board: Board, notices: Vec<Notice>, now: Timestamp) -> Result<(), Fault> {
        self.write(move |transaction| {
            let connection = transaction.connection;
            connection
                .prepare_cached(
                    "DELETE FROM boards WHERE (board, name) IN
                       (SELECT board, name FROM boards WHERE until <= ?1 ORDER BY until LIMIT ?2)",
                )?
                .execute(params![now.0, notices.len() + FORGOTTEN])?;
            let mut put = connection.prepare_cached(
                "INSERT OR REPLACE INTO boards (board, name, until, text) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for notice in notices {
                put.execute(params![board.as_str(), notice.name, notice.until.0, notice.text])?;
            }
            Ok(())
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

    async fn take_off(&self, board: Board, name: &str) -> Result<bool, Fault> {
        let name = name.to_owned();
        self.write(move |transaction| {
            let taken = transaction
                .connection
                .prepare_cached("DELETE FROM boards WHERE board = ?1 AND name = ?2")?
                .execute(params![board.as_str(), name])?;
            Ok(taken == 1)
        })
        .await
    }
}
