//! How SQLite goes about every statement that it was made to run, whoever wrote it: each is heard on the connections of
//! tests, and none may walk through what grows with history.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::super::schema;

static HEARD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What grows with history.
const GROWS: [&str; 5] = ["requests", "images", "events", "rows", "inputs"];

/// Indexes that hold hardly ever anything.
const SMALL: [&str; 4] =
    ["requests_half_cancelled", "requests_over", "requests_dropped", "requests_receiving"];

/// What is asked of one state folder by `run`, which has one request or two; and what only tests ask.
const APART: [&str; 5] = [
    "WHERE status NOT IN ('receiving', 'dropped') ORDER BY num",
    "SELECT (SELECT count(*) FROM requests WHERE status = 'dropped')",
    "SELECT count(*) FROM requests",
    "UPDATE images SET status = 4",
    "SELECT at, due, webhook FROM events JOIN requests ON num = request",
];

/// Hears the statements of a connection from now on.
pub(crate) fn listen(connection: &Connection) {
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(hear));
}

fn hear(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(_, sql) = event {
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned());
    }
}

/// Whether it reads or changes something, and is not a trigger's.
fn is_of_interest(sql: &str) -> bool {
    let sql = sql.trim_start();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| sql.starts_with(verb))
        && !APART.iter().any(|apart| sql.contains(apart))
}

/// The steps of a statement that walk through what grows.
fn walks(connection: &Connection, sql: &str) -> Vec<String> {
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let none = vec![rusqlite::types::Null; plan.parameter_count()];
    let steps = plan.query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>(3)).unwrap();
    let steps = steps.map(Result::unwrap).filter(|step| {
        let mut words = step.split(' ');
        let scanned =
            words.by_ref().next() == Some("SCAN") && words.next().is_some_and(|of| GROWS.contains(&of));
        scanned && !SMALL.iter().any(|small| step.contains(small))
    });
    steps.collect()
}

/// Holds all that was heard so far against the rule.
///
/// # Panics
/// When a statement walks through what grows.
pub(super) fn none_walks_through_history() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join("pixmill.db")).unwrap().0;
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, None);
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let heard: Vec<_> = heard.iter().filter(|sql| is_of_interest(sql)).collect();
    assert!(heard.len() >= 10, "{heard:#?}");
    let walk: Vec<_> = heard
        .iter()
        .map(|sql| (sql, walks(&connection, sql)))
        .filter(|(_, walks)| !walks.is_empty())
        .collect();
    assert!(walk.is_empty(), "{walk:#?}");
    println!("{} statements, none of which walks through history", heard.len());
}

#[test]
fn a_statement_that_walks_through_history_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join("pixmill.db")).unwrap().0;
    assert_eq!(walks(&connection, "SELECT id FROM requests WHERE status = 'pending'").len(), 1);
    assert_eq!(walks(&connection, "SELECT num FROM requests WHERE id = ?1").len(), 0);
}
