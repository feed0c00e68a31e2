//! Records are copied before their schema is changed, whatever comes in between.

use std::sync::Arc;

use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::key::{Key, Role};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::port::records::{Idempotency, Keys, Reservation, Right, Rights};
use pixmill_testkit::clock::TestClock;
use rusqlite::OpenFlags;

use super::super::Sqlite;
use super::super::schema::{open, open_writer};
use super::*;

/// A file of records as a pixmill of schema 1 left them.
fn old(file: &Path) {
    let mut old = open(file, OpenFlags::default()).unwrap();
    MIGRATIONS.to_version(&mut old, 1).unwrap();
    old.execute_batch(
        "INSERT INTO requests (num, id, status, round, recipe, header, catalogue, created, touched)
         VALUES (1, 'r', 'completed', 1, '{}', '', '', 0, 0);
         INSERT INTO events (id, request, round, at) VALUES ('e', 1, 1, 7);",
    )
    .unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[test]
fn the_migrations_are_valid() {
    MIGRATIONS.validate().unwrap();
}

#[test]
fn records_of_an_older_pixmill_are_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    old(&file);
    let (new, _) = open_writer(&file).unwrap();
    let event = "SELECT at, due, webhook FROM events JOIN requests ON num = request";
    let told: (i64, Option<i64>, Option<String>) =
        new.query_row(event, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(told, (7, None, None), "nobody is told of what was completed before there were webhooks");
}

#[tokio::test]
async fn keys_and_rights_of_before_stand_on_boards() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    let mut old = open(&file, OpenFlags::default()).unwrap();
    MIGRATIONS.to_version(&mut old, 17).unwrap();
    old.execute_batch(
        "INSERT INTO keys VALUES ('a', 't', 'one', 'h', 9, 7, NULL, 'admin'), ('b', 't', '', 'i', NULL, 8, 9, 'read');
         INSERT INTO idempotency VALUES ('t', 'k', 'r', 100, 50);
         INSERT INTO rights VALUES ('upkeep', 4611686018427387904, 100)",
    )
    .unwrap();
    drop(old);
    let records = Sqlite::open_by(&file, Arc::new(TestClock::default()), None).unwrap();
    let key = |id: &str, name: &str, hash: &str, role| Key {
        id: id.into(),
        tenant: "t".into(),
        name: name.into(),
        hash: hash.into(),
        role,
        per_minute: None,
        created: Timestamp(8),
        revoked: Some(Timestamp(9)),
    };
    let first = Key {
        per_minute: Some(9),
        created: Timestamp(7),
        revoked: None,
        ..key("a", "one", "h", Role::Admin)
    };
    assert_eq!(records.keys().await.unwrap(), [first, key("b", "", "i", Role::Read)]);
    let now = Timestamp(99);
    let lease = |token| Lease { token: Token(token), until: Timestamp(200) };
    assert!(!records.lead(Right::Upkeep, lease(1), now).await.unwrap());
    assert!(records.lead(Right::Upkeep, lease(4611686018427387904), now).await.unwrap());
    let other = RequestId::new();
    let known = records.reserve("t", "k", &other, Timestamp(200), now).await.unwrap();
    assert_eq!(known, Reservation::InFlight(Timestamp(100)));
    let lapsed = records.reserve("t", "k", &other, Timestamp(200), Timestamp(100)).await.unwrap();
    assert_eq!(lapsed, Reservation::New);
}

#[test]
fn a_copy_is_made_before_each_change_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    old(&file);
    let before = status(&file).unwrap();
    assert_eq!((before.schema, before.wanted, before.last, before.copies.len()), (1, LATEST, None, 0));
    let migrated = Sqlite::open(&file).unwrap().migrated().cloned().unwrap();
    assert_eq!((migrated.from, migrated.to), (1, LATEST));
    let copied = copy::examine(&migrated.copy).unwrap();
    assert_eq!((copied.schema, copied.requests, copied.events), (1, 1, 1), "as they were");
    let after = status(&file).unwrap();
    assert_eq!((after.schema, after.copies), (LATEST, vec![migrated.copy]));
    assert_eq!(after.last.map(|last| (last.pixmill, last.from)), Some((VERSION.to_owned(), 1)));
    assert_eq!(Sqlite::open(&file).unwrap().migrated(), None, "once");
}

#[test]
fn records_that_are_new_need_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    assert_eq!(Sqlite::open(&file).unwrap().migrated(), None);
    assert!(!super::folder(&file).exists());
    assert_eq!(status(&file).unwrap().last.map(|last| last.from), Some(0));
}

#[test]
fn the_last_two_copies_are_kept_and_nothing_else_is_touched() {
    let above = tempfile::tempdir().unwrap();
    let file = above.path().join("pixmill.db");
    old(&file);
    let folder = super::folder(&file);
    fs::create_dir(&folder).unwrap();
    let others =
        ["before-v2-20200101-000000.db", "before-v10-20210101-000000.db", "before-mine.db", "note.txt"];
    others.iter().for_each(|name| fs::write(folder.join(name), "").unwrap());
    fs::write(folder.join(".before-v3-20200101-000000.db.part"), "half").unwrap();
    open_writer(&file).unwrap();
    let left = names(&folder);
    assert_eq!(left[..3], ["before-mine.db", "before-v10-20210101-000000.db", left[2].as_str()]);
    assert!(left[2].starts_with(&format!("before-v{LATEST}-")) && left[3] == "note.txt", "{left:?}");
    assert_eq!(left.len(), 4);
}

#[test]
fn without_a_copy_nothing_is_changed() {
    let above = tempfile::tempdir().unwrap();
    let file = above.path().join("pixmill.db");
    old(&file);
    fs::write(super::folder(&file), "in the way").unwrap();
    let fault = open_writer(&file).unwrap_err();
    assert!(
        fault.message.contains("schema 1 to") && fault.message.contains("nothing was changed"),
        "{fault}"
    );
    assert_eq!(status_of(&file), 1);
}

fn status_of(file: &Path) -> u32 {
    schema_of(&schema::open_to_look(file).unwrap()).unwrap()
}

#[test]
fn of_processes_that_start_together_one_makes_the_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    old(&file);
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || up(&file).unwrap().is_some())
        })
        .collect();
    let made = starts.into_iter().map(|start| start.join().unwrap()).filter(|made| *made).count();
    assert_eq!((made, names(&super::folder(&file)).len()), (1, 1));
}

#[test]
fn an_older_pixmill_names_both_versions_and_the_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pixmill.db");
    let (records, _) = open_writer(&file).unwrap();
    records.pragma_update(None, "user_version", 99).unwrap();
    let refused = |file: &Path| {
        let fault = open_writer(file).unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::BackendUnavailable, false));
        fault.message
    };
    let told = refused(&file);
    assert!(told.contains("a newer pixmill") && told.contains("schema 99"), "{told}");
    let change = "INSERT INTO schema_changes VALUES (99, ?1, '9.8.7', 0, 0, 'before-v99-20300101-000000.db')";
    records.execute(change, [LATEST]).unwrap();
    let told = refused(&file);
    assert!(told.contains("pixmill 9.8.7 (schema 99)") && told.contains(VERSION), "{told}");
    assert!(!told.contains("before-v99"), "the copy is not there any more: {told}");
    fs::create_dir(super::folder(&file)).unwrap();
    fs::write(super::folder(&file).join("before-v99-20300101-000000.db"), "").unwrap();
    let told = refused(&file);
    assert!(
        told.contains("pixmill restore") && told.contains("backups/before-v99-20300101-000000.db"),
        "{told}"
    );
}
