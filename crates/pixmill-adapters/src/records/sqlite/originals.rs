//! The bytes of catalogues as they came.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::originals::Originals;
use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use super::id::{key, owner};
use super::intake::receiving;

/// Pieces by their request and number.
pub(super) const MIGRATION: &str = "CREATE TABLE originals (
  id INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT";

#[async_trait]
impl Originals for Sqlite {
    async fn keep(
        &self,
        request: &RequestId,
        piece: u32,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let request = request.clone();
        self.write(move |transaction| {
            let connection = transaction.connection;
            let owner = receiving(connection, &request)?;
            connection
                .prepare_cached("UPDATE requests SET touched = max(touched, ?2) WHERE num = ?1")?
                .execute(params![owner.num, now.0])?;
            connection
                .prepare_cached("INSERT INTO originals (id, bytes) VALUES (?1, ?2)")?
                .execute(params![key(owner.num, u64::from(piece)), bytes])?;
            Ok(())
        })
        .await
    }

    async fn kept(&self, request: &RequestId, piece: u32) -> Result<Option<Vec<u8>>, Fault> {
        let request = request.clone();
        self.read(move |connection| {
            let Some(owner) = owner(connection, &request)? else { return Ok(None) };
            let bytes = connection
                .prepare_cached("SELECT bytes FROM originals WHERE id = ?1")?
                .query_row([key(owner.num, u64::from(piece))], |row| row.get(0))
                .optional()?;
            Ok(bytes)
        })
        .await
    }

    async fn unclaimed(&self) -> Result<u64, Fault> {
        // The first piece of each, found by its key: bytes are not read.
        self.read(move |connection| {
            let mut next =
                connection.prepare_cached("SELECT id FROM originals WHERE id >= ?1 ORDER BY id LIMIT 1")?;
            let mut known = connection.prepare_cached("SELECT 1 FROM requests WHERE num = ?1")?;
            let (mut from, mut unclaimed) = (0, 0);
            while let Some(id) = next.query_row([from], |row| row.get::<_, i64>(0)).optional()? {
                let num = id >> 32;
                unclaimed += u64::from(!known.exists([num])?);
                from = (num + 1) << 32;
            }
            Ok(unclaimed)
        })
        .await
    }
}
