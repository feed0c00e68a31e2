//! Deleting a request: it vanishes at once, and its rows go a bounded number at a time, for a million of them in one
//! transaction would hold everybody up.

use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use super::id::{MOST, key};

/// Most rows of each table that go in one transaction.
const AT_A_TIME: u32 = 10_000;

/// The same of pieces of its catalogue, which are larger.
const PIECES_AT_A_TIME: u32 = 16;

pub(super) const DROPPED: &str =
    "SELECT num FROM requests INDEXED BY requests_dropped WHERE status = 'dropped' LIMIT 1";

/// Makes an intake vanish; nothing when there is none.
pub(super) fn drop_intake(connection: &Connection, id: &RequestId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE requests SET status = 'dropped' WHERE id = ?1 AND status = 'receiving'")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Makes a request vanish.
pub(super) fn drop_request(connection: &Connection, num: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE requests SET status = 'dropped' WHERE num = ?1")?.execute([num])?;
    Ok(())
}

impl Sqlite {
    /// Deletes what is left of requests that have vanished.
    pub(super) async fn delete_dropped(&self) -> Result<(), Fault> {
        while self.write(|transaction| Ok(delete_some(transaction.connection)?)).await? {}
        Ok(())
    }
}

/// Deletes some of what is left; whether there may be more.
fn delete_some(connection: &Connection) -> rusqlite::Result<bool> {
    let dropped = connection.prepare_cached(DROPPED)?.query_row([], |row| row.get::<_, i64>(0)).optional()?;
    let Some(num) = dropped else { return Ok(false) };
    let mut deleted = 0;
    for (table, most) in [("images", AT_A_TIME), ("rows", AT_A_TIME), ("originals", PIECES_AT_A_TIME)] {
        deleted += connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id >= ?1 AND id < ?2 LIMIT ?3)"
            ))?
            .execute(params![key(num, 0), key(num, MOST), most])?;
    }
    deleted += connection
        .prepare_cached(
            "DELETE FROM inputs WHERE (request, fingerprint) IN
               (SELECT request, fingerprint FROM inputs WHERE request = ?1 LIMIT ?2)",
        )?
        .execute(params![num, AT_A_TIME])?;
    if deleted == 0 {
        for table in ["row_errors", "events", "deliveries"] {
            connection.prepare_cached(&format!("DELETE FROM {table} WHERE request = ?1"))?.execute([num])?;
        }
        connection.prepare_cached("DELETE FROM requests WHERE num = ?1")?.execute([num])?;
    }
    Ok(true)
}
