//! Intakes under keys that clients chose.

use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Idempotency, Reservation};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use super::deletion::drop_intake;
use super::fault::Broken;
use super::id::owner;

/// How long keys are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

#[async_trait]
impl Idempotency for Sqlite {
    async fn reserve(
        &self,
        tenant: &str,
        key: &str,
        request: &RequestId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Reservation, Fault> {
        let (place, request) = ([tenant.to_owned(), key.to_owned()], request.clone());
        self.write(move |transaction| reserve(transaction.connection, &place, &request, until, now)).await
    }

    async fn hold(&self, request: &RequestId, until: Timestamp, _now: Timestamp) -> Result<(), Fault> {
        let request = request.clone();
        self.write(move |transaction| {
            transaction
                .connection
                .prepare_cached("UPDATE idempotency SET held_until = ?2 WHERE request = ?1")?
                .execute(params![request.as_str(), until.0])?;
            Ok(())
        })
        .await
    }

    async fn release(&self, request: &RequestId) -> Result<(), Fault> {
        let request = request.clone();
        self.write(move |transaction| {
            transaction
                .connection
                .prepare_cached(
                    "DELETE FROM idempotency WHERE request = ?1 AND NOT EXISTS
                       (SELECT 1 FROM requests WHERE id = ?1 AND status NOT IN ('receiving', 'dropped'))",
                )?
                .execute([request.as_str()])?;
            Ok(())
        })
        .await
    }
}

fn reserve(
    connection: &Connection,
    [tenant, key]: &[String; 2],
    request: &RequestId,
    until: Timestamp,
    now: Timestamp,
) -> Result<Reservation, Broken> {
    connection.prepare_cached("DELETE FROM idempotency WHERE at < ?1")?.execute([(now - REMEMBERED).0])?;
    let held = connection
        .prepare_cached("SELECT request, held_until FROM idempotency WHERE tenant = ?1 AND key = ?2")?
        .query_row([tenant, key], |row| {
            Ok((RequestId::from(row.get::<_, String>(0)?), Timestamp(row.get(1)?)))
        })
        .optional()?;
    if let Some((holder, held_until)) = held {
        let status = owner(connection, &holder)?.map(|owner| owner.status);
        match Reservation::of(&holder, status, held_until, now) {
            Some(reservation) => return Ok(reservation),
            None => drop_intake(connection, &holder)?,
        }
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency (tenant, key, request, held_until, at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![tenant, key, request.as_str(), until.0, now.0])?;
    Ok(Reservation::New)
}
