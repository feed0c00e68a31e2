//! What is to be done: reading it, claiming it, holding it.

use std::collections::HashMap;

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Claim, ImageStatus, Standing};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::page::{Bytes, PAGE_BYTES};
use pixmill_engine::port::records::{Backlog, Opened};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Sqlite;
use super::fault::Broken;
use super::id::{Finder, MOST, Owner, image_id, key, owner, parts, uuid_in};
use super::page::page;
use super::report::slot_in;
use super::tally::Tallies;
use super::writer::Transaction;

const FRESH: &str = "SELECT id, input, attempts FROM images
  WHERE id > ?1 AND id < ?2 AND status = 0 AND due IS NULL AND same_as IS NULL
  ORDER BY id LIMIT ?3";

/// Whose a request is.
const TENANT: &str = "SELECT tenant FROM requests WHERE num = ?1";

const DUE: &str =
    "SELECT images.id, images.input, images.attempts, requests.id, requests.round, requests.tenant
  FROM images INDEXED BY images_due JOIN requests ON requests.num = images.id >> 32
  WHERE due <= ?1 AND images.id BETWEEN ?2 AND ?3 AND requests.status IN ('pending', 'processing')
  ORDER BY due, images.id LIMIT ?4";

const NEXT_DUE: &str = "SELECT due
  FROM images INDEXED BY images_due JOIN requests ON requests.num = images.id >> 32
  WHERE due > ?1 AND images.id BETWEEN ?2 AND ?3 AND requests.status IN ('pending', 'processing')
  ORDER BY due LIMIT 1";

const STANDING: &str = "SELECT status, output, bytes_before, bytes_after, code, message, frames,
    due, same_as, input, attempts
  FROM images WHERE id = ?1";

/// The tenant after one that has something open, and what it has open after something of it.
const NEXT_TENANT: &str = "SELECT min(tenant) FROM requests INDEXED BY requests_open
  WHERE status IN ('pending', 'processing') AND tenant > ?1";

const OPEN: &str = "SELECT id, opened FROM requests INDEXED BY requests_open
  WHERE status IN ('pending', 'processing') AND tenant = ?1 AND opened > ?2 ORDER BY opened LIMIT ?3";

const CLAIM: &str = "UPDATE images
  SET status = 1, attempts = attempts + 1, lease = ?2, lease_until = ?3, due = NULL
  WHERE id = ?1 AND status = 0 AND same_as IS NULL AND (due IS NULL OR due <= ?4)
  RETURNING row, position, input, attempts";

#[async_trait]
impl Backlog for Sqlite {
    async fn open_requests(&self, known: &[Opened], most: usize) -> Result<Vec<Opened>, Fault> {
        let known = known.iter().map(|known| (known.tenant.clone(), known.order)).collect();
        self.read(move |connection| open_requests(connection, &known, most)).await
    }

    async fn fresh(
        &self,
        request: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<Candidate>, Fault> {
        let (request, after) = (request.clone(), after.cloned());
        self.read(move |connection| fresh(connection, &request, after.as_ref(), most)).await
    }

    async fn fresh_of_each(
        &self,
        requests: &[(RequestId, Option<ImageId>)],
        most: usize,
    ) -> Result<Vec<Vec<Candidate>>, Fault> {
        let requests = requests.to_vec();
        self.read(move |connection| {
            let (mut each, mut bytes) = (Vec::with_capacity(requests.len()), 0);
            for (request, after) in &requests {
                if bytes >= PAGE_BYTES {
                    break;
                }
                let fresh = fresh(connection, request, after.as_ref(), most)?;
                bytes += fresh.iter().map(Bytes::bytes).sum::<usize>();
                each.push(fresh);
            }
            Ok(each)
        })
        .await
    }

    async fn due(
        &self,
        request: Option<&RequestId>,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Candidate>, Option<Timestamp>), Fault> {
        let request = request.cloned();
        self.read(move |connection| due(connection, request.as_ref(), now, most)).await
    }

    async fn standings(&self, images: &[ImageId], _now: Timestamp) -> Result<Vec<Standing>, Fault> {
        let images = images.to_vec();
        self.read(move |connection| standings(connection, images)).await
    }

    async fn claim(&self, images: &[ImageId], lease: Lease, now: Timestamp) -> Result<Vec<Claim>, Fault> {
        let images = images.to_vec();
        self.write(move |transaction| claim(transaction, images, lease, now)).await
    }

    async fn defer(&self, images: &[ImageId], until: Timestamp, _now: Timestamp) -> Result<(), Fault> {
        let images = images.to_vec();
        self.write(move |transaction| {
            let connection = transaction.connection;
            let mut finder = Finder::new(connection);
            let mut defer = connection.prepare_cached(
                "UPDATE images SET due = ?2 WHERE id = ?1 AND status = 0 AND same_as IS NULL",
            )?;
            for image in &images {
                if let Some((_, id)) = finder.find(image)?.filter(|(owner, _)| owner.status.is_open()) {
                    defer.execute(params![id, until.0])?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn renew(&self, held: &[(ImageId, Token)], until: Timestamp, _now: Timestamp) -> Result<(), Fault> {
        let held = held.to_vec();
        self.write(move |transaction| {
            let connection = transaction.connection;
            let mut finder = Finder::new(connection);
            let mut renew = connection.prepare_cached(
                "UPDATE images SET lease_until = ?3 WHERE id = ?1 AND status = 1 AND lease = ?2",
            )?;
            for (image, token) in &held {
                if let Some((_, id)) = finder.find(image)? {
                    renew.execute(params![id, token.0, until.0])?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn open_requests(
    connection: &Connection,
    known: &HashMap<String, i64>,
    most: usize,
) -> Result<Vec<Opened>, Broken> {
    let mut next = connection.prepare_cached(NEXT_TENANT)?;
    let mut requests = connection.prepare_cached(OPEN)?;
    let (mut opened, mut last) = (Vec::new(), String::new());
    while let Some(tenant) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        let after = known.get(&tenant).copied().unwrap_or_default();
        let of_it = requests.query_map(params![tenant, after, most as i64], |row| {
            let request = RequestId::from(row.get::<_, String>(0)?);
            Ok(Opened { tenant: tenant.clone(), request, order: row.get(1)? })
        })?;
        for request in of_it {
            opened.push(request?);
        }
        last = tenant;
    }
    Ok(opened)
}

fn fresh(
    connection: &Connection,
    request: &RequestId,
    after: Option<&ImageId>,
    most: usize,
) -> Result<Vec<Candidate>, Broken> {
    let Some(owner) = owner(connection, request)?.filter(|owner| owner.status.is_open()) else {
        return Ok(Vec::new());
    };
    let from = match after {
        // The image before the first is the last that the request before could have.
        None => key(owner.num, 0) - 1,
        Some(after) => match Finder::new(connection).find(after)? {
            Some((found, id)) if found.num == owner.num => id,
            _ => return Ok(Vec::new()),
        },
    };
    let tenant: String = connection.prepare_cached(TENANT)?.query_row([owner.num], |row| row.get(0))?;
    let mut fresh = connection.prepare_cached(FRESH)?;
    page(&mut fresh, params![from, key(owner.num, MOST), most as i64], most, |row| {
        Ok(Candidate {
            image: image_id(owner.uuid, parts(row.get(0)?).1),
            request: request.clone(),
            input: row.get(1)?,
            round: owner.round,
            attempts: row.get(2)?,
            tenant: tenant.clone(),
        })
    })
}

fn due(
    connection: &Connection,
    request: Option<&RequestId>,
    now: Timestamp,
    most: usize,
) -> Result<(Vec<Candidate>, Option<Timestamp>), Broken> {
    let (first, last) = match request {
        None => (i64::MIN, i64::MAX),
        Some(request) => match owner(connection, request)? {
            Some(owner) => (key(owner.num, 0), key(owner.num, MOST)),
            None => return Ok((Vec::new(), None)),
        },
    };
    let mut due = connection.prepare_cached(DUE)?;
    let candidates = page(&mut due, params![now.0, first, last, most as i64], most, |row| {
        let request = uuid_in(row, 3)?;
        Ok(Candidate {
            image: image_id(request, parts(row.get(0)?).1),
            request: RequestId::from(request.to_string()),
            input: row.get(1)?,
            round: row.get(4)?,
            attempts: row.get(2)?,
            tenant: row.get(5)?,
        })
    })?;
    let next = connection
        .prepare_cached(NEXT_DUE)?
        .query_row(params![now.0, first, last], |row| Ok(Timestamp(row.get(0)?)))
        .optional()?;
    Ok((candidates, next))
}

fn standings(connection: &Connection, images: Vec<ImageId>) -> Result<Vec<Standing>, Broken> {
    let mut finder = Finder::new(connection);
    let mut statement = connection.prepare_cached(STANDING)?;
    let mut standings = Vec::with_capacity(images.len());
    for image in images {
        let standing = match finder.find(&image)? {
            Some((owner, id)) if owner.status != RequestStatus::Receiving => {
                statement.query_row([id], |row| standing(row, image, owner)).optional()?
            }
            _ => None,
        };
        standings.push(standing.unwrap_or(Standing::Unknown));
    }
    Ok(standings)
}

fn standing(row: &Row<'_>, image: ImageId, owner: Owner) -> rusqlite::Result<Standing> {
    let slot = slot_in(row, owner.status)?;
    let follows = row.get::<_, Option<i64>>(8)?.is_some();
    let held = follows || slot.status == ImageStatus::Processing;
    let candidate = Candidate {
        image,
        request: RequestId::from(owner.uuid.to_string()),
        input: row.get(9)?,
        round: owner.round,
        attempts: row.get(10)?,
        tenant: String::new(),
    };
    let from = Timestamp(row.get::<_, Option<i64>>(7)?.unwrap_or_default());
    Ok(slot.standing(held, || Standing::Claimable(candidate, from)))
}

fn claim(
    transaction: &mut Transaction<'_>,
    images: Vec<ImageId>,
    lease: Lease,
    now: Timestamp,
) -> Result<Vec<Claim>, Broken> {
    transaction.claims = true;
    let connection = transaction.connection;
    let mut finder = Finder::new(connection);
    let mut statement = connection.prepare_cached(CLAIM)?;
    let mut tallies = Tallies::default();
    let mut claims = Vec::with_capacity(images.len());
    for image in images {
        let Some((owner, id)) = finder.find(&image)?.filter(|(owner, _)| owner.status.is_open()) else {
            continue;
        };
        let claimed = statement
            .query_row(params![id, lease.token.0, lease.until.0, now.0], |row| {
                Ok(Claim {
                    image,
                    request: RequestId::from(owner.uuid.to_string()),
                    row: row.get(0)?,
                    position: row.get(1)?,
                    input: row.get(2)?,
                    attempt: row.get(3)?,
                    token: lease.token,
                })
            })
            .optional()?;
        if let Some(claim) = claimed {
            tallies.moved(owner.num, 1, ImageStatus::Pending, ImageStatus::Processing);
            claims.push(claim);
        }
    }
    tallies.write(connection, now)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::super::{deletion, directory, schema, settle, upkeep};
    use super::*;

    /// How SQLite goes about a statement.
    fn plan(connection: &Connection, statement: &str) -> String {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let none = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[test]
    fn finding_work_and_upkeep_cost_the_same_among_requests_that_ended() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&folder.path().join("pixmill.db")).unwrap().0;
        let figures = [directory::CENSUS, directory::OLDEST_OPEN];
        let finding = [NEXT_TENANT, OPEN, DUE, NEXT_DUE, deletion::DROPPED].into_iter().chain(figures);
        for statement in finding.chain(upkeep::STATEMENTS) {
            let plan = plan(&connection, statement);
            // Indexes of open requests alone may be read as a whole, and so may the census, which has a row a status.
            let small = ["requests_half_cancelled", "requests_over", "requests_dropped", "SCAN census"];
            let scans = plan.split("; ").filter(|step| step.contains("SCAN"));
            let scans: Vec<_> =
                scans.filter(|step| !small.iter().any(|small| step.contains(small))).collect();
            assert!(scans.is_empty() && !plan.contains("TEMP B-TREE"), "{statement}: {plan}");
        }
    }

    #[test]
    fn an_image_costs_the_same_among_a_million() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&folder.path().join("pixmill.db")).unwrap().0;
        for statement in [FRESH, DUE, NEXT_DUE, STANDING, CLAIM].into_iter().chain(settle::STATEMENTS) {
            let plan = plan(&connection, statement);
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{statement}: {plan}");
        }
    }
}
