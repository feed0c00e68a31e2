//! Keys that clients show.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::{Key, Role};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Keys;
use rusqlite::params;

use super::Sqlite;

#[async_trait]
impl Keys for Sqlite {
    async fn keys(&self) -> Result<Vec<Key>, Fault> {
        self.read(|connection| {
            let mut keys = connection.prepare_cached(
                "SELECT id, tenant, name, hash, per_minute, created, revoked, role FROM keys ORDER BY id",
            )?;
            let keys = keys.query_map([], |row| {
                Ok(Key {
                    id: row.get(0)?,
                    tenant: row.get(1)?,
                    name: row.get(2)?,
                    hash: row.get(3)?,
                    per_minute: row.get(4)?,
                    created: Timestamp(row.get(5)?),
                    revoked: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                    role: Role::parse(row.get_ref(7)?.as_str()?),
                })
            })?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn add_key(&self, key: Key) -> Result<(), Fault> {
        self.write(move |transaction| {
            transaction
                .connection
                .prepare_cached(
                    "INSERT INTO keys (id, tenant, name, hash, per_minute, created, revoked, role)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    key.id,
                    key.tenant,
                    key.name,
                    key.hash,
                    key.per_minute,
                    key.created.0,
                    key.revoked.map(|at| at.0),
                    key.role.as_str()
                ])?;
            Ok(())
        })
        .await
    }

    async fn revoke_key(&self, id: &str, now: Timestamp) -> Result<bool, Fault> {
        let id = id.to_owned();
        self.write(move |transaction| {
            let revoked = transaction
                .connection
                .prepare_cached("UPDATE keys SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL")?
                .execute(params![id, now.0])?;
            Ok(revoked == 1)
        })
        .await
    }
}
