//! Events on their way to webhooks, and the tries to tell them.

use std::time::Duration;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::{Answer, Completion, Delivery, Next, Telling};
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::Failure;
use pixmill_engine::model::lease::Lease;
use pixmill_engine::model::request::Progress;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Outbox;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::fault::Broken;
use super::id::owner;
use super::report::{code_in, traceparent_in};

const DUE: &str = "SELECT events.id, requests.id, events.round, events.at, events.completed_images,
    events.failed_images, events.cancelled_images, events.bytes_before, events.bytes_after, requests.webhook,
    events.tries, requests.traceparent
  FROM events INDEXED BY events_due JOIN requests ON requests.num = events.request
  WHERE events.due <= ?1 AND requests.status <> 'dropped' ORDER BY events.due, events.id LIMIT ?2";

/// What [`delivery_in`] reads.
pub(super) const DELIVERY: &str =
    "SELECT deliveries.id, event, requests.id, url, at, deliveries.status, answer, code, message,
    took, body
  FROM deliveries JOIN requests ON requests.num = deliveries.request WHERE requests.status <> 'dropped'";

#[async_trait]
impl Outbox for Sqlite {
    async fn lease_events(&self, most: usize, lease: Lease, now: Timestamp) -> Result<Vec<Telling>, Fault> {
        // Asked again and again, mostly for nothing: looking costs no write.
        let due = self.read(move |connection| {
            let mut due = connection.prepare_cached("SELECT 1 FROM events WHERE due <= ?1")?;
            Ok(due.exists([now.0])?)
        });
        if !due.await? {
            return Ok(Vec::new());
        }
        self.write(move |transaction| lease_events(transaction.connection, most, lease, now)).await
    }

    async fn settle_event(
        &self,
        telling: &Telling,
        delivery: Option<Delivery>,
        next: Next,
        _now: Timestamp,
    ) -> Result<bool, Fault> {
        let telling = telling.clone();
        self.write(move |transaction| settle(transaction.connection, &telling, delivery.as_ref(), next)).await
    }

    async fn redeliver(&self, delivery: &str, now: Timestamp) -> Result<bool, Fault> {
        let delivery = delivery.to_owned();
        self.write(move |transaction| {
            let due = transaction
                .connection
                .prepare_cached(
                    "UPDATE events SET due = ?2, tries = 0, lease = NULL
                     WHERE id = (SELECT event FROM deliveries JOIN requests ON num = request
                                 WHERE deliveries.id = ?1 AND NOT retired)",
                )?
                .execute(params![delivery, now.0])?;
            Ok(due == 1)
        })
        .await
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64, Fault> {
        self.write(move |transaction| {
            let forgotten = transaction
                .connection
                .prepare_cached("DELETE FROM deliveries WHERE at < ?1")?
                .execute([before.0])?;
            Ok(forgotten as u64)
        })
        .await
    }
}

fn lease_events(
    connection: &Connection,
    most: usize,
    lease: Lease,
    now: Timestamp,
) -> Result<Vec<Telling>, Broken> {
    let mut due = connection.prepare_cached(DUE)?;
    let due = due.query_map(params![now.0, most as i64], |row| telling_in(row, lease))?;
    let due = due.collect::<Result<Vec<_>, _>>()?;
    let mut take = connection.prepare_cached("UPDATE events SET due = ?2, lease = ?3 WHERE id = ?1")?;
    for telling in &due {
        take.execute(params![telling.event.id, lease.until.0, lease.token.0])?;
    }
    Ok(due)
}

fn settle(
    connection: &Connection,
    telling: &Telling,
    delivery: Option<&Delivery>,
    next: Next,
) -> Result<bool, Broken> {
    // A request that was deleted meanwhile took its events with it.
    let Some(owner) = owner(connection, &telling.event.request)? else { return Ok(false) };
    if let Some(delivery) = delivery {
        insert(connection, owner.num, delivery)?;
    }
    let due = match next {
        Next::Nothing => None,
        Next::Again(at) => Some(at.0),
    };
    let settled = connection
        .prepare_cached(
            "UPDATE events SET due = ?3, tries = tries + ?4, lease = NULL WHERE id = ?1 AND lease = ?2",
        )?
        .execute(params![telling.event.id, telling.token.0, due, delivery.is_some()])?;
    Ok(settled == 1)
}

fn insert(connection: &Connection, request: i64, delivery: &Delivery) -> rusqlite::Result<()> {
    let (status, answer, code, message) = match &delivery.answer {
        Ok(answer) => (Some(answer.status), Some(&answer.beginning), None, None),
        Err(failure) => (None, None, Some(failure.code.as_str()), Some(&failure.message)),
    };
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO deliveries (id, event, request, url, at, status, answer, code, message,
               took, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            delivery.id,
            delivery.event,
            request,
            delivery.url,
            delivery.at.0,
            status,
            answer,
            code,
            message,
            delivery.took.map(|took| took.as_millis() as i64),
            delivery.body
        ])?;
    Ok(())
}

fn telling_in(row: &Row<'_>, lease: Lease) -> rusqlite::Result<Telling> {
    let event = Completion {
        id: row.get(0)?,
        request: RequestId::from(row.get::<_, String>(1)?),
        round: row.get(2)?,
        at: Timestamp(row.get(3)?),
    };
    let progress = Progress {
        completed: row.get(4)?,
        failed: row.get(5)?,
        cancelled: row.get(6)?,
        bytes_before: row.get(7)?,
        bytes_after: row.get(8)?,
        ..Progress::default()
    };
    Ok(Telling {
        event,
        progress,
        url: row.get(9)?,
        traceparent: traceparent_in(row, 11)?,
        tries: row.get(10)?,
        token: lease.token,
    })
}

pub(super) fn delivery_in(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let answer = match row.get::<_, Option<u16>>(5)? {
        Some(status) => Ok(Answer { status, beginning: row.get(6)? }),
        None => Err(Failure { code: code_in(row, 7)?, message: row.get(8)? }),
    };
    Ok(Delivery {
        id: row.get(0)?,
        event: row.get(1)?,
        request: RequestId::from(row.get::<_, String>(2)?),
        url: row.get(3)?,
        at: Timestamp(row.get(4)?),
        took: row.get::<_, Option<u64>>(9)?.map(Duration::from_millis),
        body: row.get(10)?,
        answer,
    })
}
