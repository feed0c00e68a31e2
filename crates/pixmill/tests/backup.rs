//! `pixmill backup`, `restore` and `migrate` on the real binary, beside working servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pixmill_testkit::origin::{Origin, Settings};
use serde_json::Value;

use crate::seeded::{catalogue, pictures};
use crate::server::{Process, Server};

pub(crate) fn said(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command in a folder, on embedded defaults.
fn pixmill(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    command.args(arguments).current_dir(folder).env_remove("MONGODB_URI").env_remove("CLOUDINARY_URL");
    command.output().expect("pixmill runs")
}

pub(crate) fn done(folder: &Path, arguments: &[&str]) -> Output {
    let output = pixmill(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    output
}

fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = pixmill(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    assert!(output.stdout.is_empty(), "{}", said(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The ids of requests in a file of records.
fn requests(file: &Path) -> Vec<String> {
    let records = rusqlite::Connection::open(file).unwrap();
    let mut ids = records.prepare("SELECT id FROM requests ORDER BY num").unwrap();
    ids.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_server_goes_on_while_it_is_backed_up_and_the_backup_finishes_what_was_under_way() {
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let server = Server::new();
    let working = Process::start(&mut server.command(&[]));
    let first = server.accept(&catalogue(&origin.url(""), 8).0, None).await;
    server.wait_for(&first).await;
    let second = server.accept(&catalogue(&origin.url(""), 40).0, None).await;
    let data = server.data();
    let data = data.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let taken = object(&done(folder.path(), &["backup", "kept", "--data", data, "--outputs", "--json"]));
    assert_eq!((&taken["counts"]["requests"], &taken["outputs"]["included"]), (&2.into(), &true.into()));
    server.wait_for(&second).await;
    working.signal("TERM");
    assert!(working.stopped(), "{}", server.said());

    let file = taken["file"].as_str().unwrap();
    let verified = object(&done(folder.path(), &["backup", "verify", file, "--json"]));
    assert_eq!(verified["counts"], taken["counts"]);
    let restored = object(&done(folder.path(), &["restore", file, "--data", "again", "--json"]));
    assert_eq!(restored["outputs"]["lost"], 0, "each output that the records name came with them");
    let again = Server::in_folder(folder.path().join("again"));
    let working = Process::start(&mut again.command(&[]));
    again.wait_for(&first).await;
    again.wait_for(&second).await;
    let ends = |rows: Vec<pixmill_engine::model::row::ResultRow>| -> Vec<_> {
        rows.into_iter()
            .flat_map(|row| row.slots)
            .map(|slot| (slot.status, slot.failure.map(|failure| failure.code)))
            .collect()
    };
    assert_eq!(ends(again.results(&second).await), ends(server.results(&second).await));
    assert_eq!(again.secret(), server.secret());
    working.signal("TERM");
    assert!(working.stopped(), "{}", again.said());
}

#[tokio::test]
async fn records_that_somebody_works_with_are_not_replaced() {
    let server = Server::new();
    let id = server.accept("url\nhttps://shop.example/a.jpg\n", None).await;
    let data = server.data();
    let data = data.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["backup", "one.tar", "--data", data]);
    let before = files(&server.data());
    let told = refused(folder.path(), &["restore", "one.tar", "--data", data], 1);
    assert!(told.contains("state.busy") && told.contains("stop every pixmill"), "{told}");
    assert_eq!(files(&server.data()), before);
    assert_eq!(server.records.request(&id).await.unwrap().unwrap().id, id, "who works with them goes on");
}

#[test]
fn a_folder_keeps_as_many_backups_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    for _ in 0..4 {
        done(folder.path(), &["backup", "kept", "--keep", "2", "--quiet"]);
    }
    let kept = files(&folder.path().join("kept"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    for file in &kept {
        done(folder.path(), &["backup", "verify", &format!("kept/{file}")]);
    }
}

#[test]
fn the_age_of_the_newest_backup_is_told() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    let told = || {
        let parts = object(&done(folder.path(), &["doctor", "--json"]))["parts"].clone();
        let part = parts.as_array().unwrap().iter().find(|part| part["part"] == "backup").unwrap().clone();
        let finding = &part["findings"][0];
        (finding["verdict"].as_str().unwrap().to_owned(), finding["told"].as_str().unwrap().to_owned())
    };
    assert!(told().1.starts_with("none was made yet"), "{:?}", told());
    for target in ["kept", "-"] {
        let mark = folder.path().join("pixmill-data/last-backup");
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
        if let Ok(file) = fs::File::options().write(true).open(&mark) {
            file.set_modified(long_ago).unwrap();
            assert_eq!(told(), ("warning".into(), "made 3 days ago".into()));
        }
        done(folder.path(), &["backup", target, "--quiet"]);
        assert_eq!(told(), ("ok".into(), "made 0 minutes ago".into()));
    }
}

#[test]
fn standard_output_takes_a_backup_too() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    let output = done(folder.path(), &["backup", "-"]);
    fs::write(folder.path().join("piped.tar"), &output.stdout).unwrap();
    done(folder.path(), &["backup", "verify", "piped.tar"]);
    done(folder.path(), &["restore", "piped.tar", "--data", "other"]);
    let keys = |data: &str| done(folder.path(), &["keys", "list", "--data", data]).stdout;
    assert_eq!(keys("other"), keys("pixmill-data"));
}

#[test]
fn records_apart_from_the_state_folder_are_restored_to_their_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let apart = ["--data", "state", "--database", "sqlite:records/shop.db"];
    done(folder.path(), &[&["keys", "create"], &apart[..]].concat());
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/webhook-secret"), "whsec_bWluZQ==\n").unwrap();
    done(folder.path(), &[&["backup", "one.tar"], &apart[..]].concat());
    fs::write(folder.path().join("state/webhook-secret"), "whsec_bmV3\n").unwrap();
    done(folder.path(), &[&["restore", "one.tar"], &apart[..]].concat());
    assert_eq!(fs::read(folder.path().join("state/webhook-secret")).unwrap(), b"whsec_bWluZQ==\n");
    // In the state folder is also what tells of the last backup.
    for (place, kept, files_left) in [("state", "webhook-secret", 3), ("records", "shop.db", 2)] {
        let left = files(&folder.path().join(place));
        let aside = left.iter().find(|name| name.starts_with("before-restore-")).unwrap();
        assert_eq!(
            (left.len(), files(&folder.path().join(place).join(aside))),
            (files_left, vec![kept.to_owned()])
        );
    }
}

#[test]
fn what_can_not_be_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| refused(folder.path(), arguments, 2);
    assert!(told(&["backup", "kept"]).contains("there are no records in pixmill-data"));
    let mongodb = ["backup", "kept", "--database", "mongodb://user:secret@db/shop"];
    assert!(told(&mongodb).contains("mongodump") && !told(&mongodb).contains("secret@"));
    let mongodb = ["restore", "one.tar", "--database", "mongodb://db/shop"];
    assert!(told(&mongodb).contains("mongorestore"));
    assert!(told(&["migrate", "status", "--database", "mongodb://db/shop"]).contains("mongodb://db/shop"));
    assert!(told(&["restore", "none.tar"]).contains("there is no file none.tar"));
    assert!(told(&["backup", "verify", "none.tar"]).contains("there is no file none.tar"));
    assert!(told(&["migrate", "status"]).contains("there are no records"));
    done(folder.path(), &["keys", "create"]);
    assert!(told(&["backup", "one.tar", "--keep", "2"]).contains("--keep"));
    assert!(told(&["backup", "-", "--json"]).contains("--json"));
    let bucket = ["backup", "one.tar", "--outputs", "--storage", "s3://shop"];
    assert!(told(&bucket).contains("s3://shop"));
    fs::write(folder.path().join("file"), "a file").unwrap();
    assert!(told(&["backup", "file"]).contains("file is a file"));
    fs::write(folder.path().join("photos.tar"), "photos").unwrap();
    let told = refused(folder.path(), &["backup", "photos.tar"], 1);
    assert!(told.contains("backup.invalid") && told.contains("left alone"), "{told}");
    fs::write(folder.path().join("pixmill-data/pixmill.db"), "damaged".repeat(9000)).unwrap();
    let told = refused(folder.path(), &["backup", "kept"], 1);
    assert!(told.contains("backend.unavailable") && told.contains("damaged"), "{told}");
    assert!(files(&folder.path().join("kept")).is_empty(), "nothing is left over");
}

#[test]
fn damaged_records_are_replaced_and_kept_with_their_log() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    done(folder.path(), &["backup", "one.tar"]);
    let data = folder.path().join("pixmill-data");
    fs::write(data.join("pixmill.db"), "damaged".repeat(9000)).unwrap();
    fs::write(data.join("pixmill.db-wal"), "its log").unwrap();
    done(folder.path(), &["restore", "one.tar"]);
    done(folder.path(), &["keys", "list"]);
    let aside = files(&data).into_iter().find(|name| name.starts_with("before-restore-")).unwrap();
    assert_eq!(files(&data.join(&aside)), ["pixmill.db", "pixmill.db-wal"]);
    assert_eq!(fs::read(data.join(aside).join("pixmill.db-wal")).unwrap(), b"its log");
}

/// Whether tests may change owners and mount: only root may.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout == b"0\n" || {
        eprintln!("skipped: only root can play this");
        false
    }
}

#[test]
fn what_root_restores_belongs_to_whose_the_folder_is() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("pixmill-data");
    done(folder.path(), &["keys", "create"]);
    let outputs = data.join("images/processed_images/a");
    fs::create_dir_all(&outputs).unwrap();
    fs::write(outputs.join("1.jpg"), "picture").unwrap();
    done(folder.path(), &["backup", "one.tar", "--outputs"]);
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    chown(&data, Some(10_001), Some(10_001)).unwrap();
    for _ in 0..2 {
        done(folder.path(), &["restore", "one.tar"]);
    }
    let mut paths = vec![data.clone()];
    while let Some(path) = paths.pop() {
        assert_eq!(fs::symlink_metadata(&path).unwrap().uid(), 10_001, "{}", path.display());
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    let told = done(folder.path(), &["migrate", "status"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("up to date"));
}

#[test]
fn a_folder_of_somebody_else_is_told_with_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    done(folder.path(), &["keys", "create"]);
    done(folder.path(), &["backup", "one.tar"]);
    fs::set_permissions(folder.path().join("one.tar"), fs::Permissions::from_mode(0o644)).unwrap();
    for arguments in [&["restore", "one.tar"][..], &["backup", "/tmp/pixmill-never.tar"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.args(arguments).current_dir(folder.path()).uid(10_001).gid(10_001);
        // Where this user can't even reach the binary there is nothing to be seen.
        let Ok(output) = command.output() else { return eprintln!("skipped: another user can't run it") };
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("belongs to 0:0") && told.contains("10001:10001"), "{told}");
    }
}

/// A schema of before, in which keys had a table of their own.
pub(crate) const OLDER_SCHEMA: u64 = 17;
/// Makes records of the latest schema such ones.
pub(crate) const TO_OLDER_SCHEMA: &str = "PRAGMA user_version = 17;
ALTER TABLE deliveries DROP COLUMN took;
ALTER TABLE deliveries DROP COLUMN body;
DELETE FROM schema_changes;
DELETE FROM boards;
CREATE TABLE keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL,
  per_minute INTEGER, created INTEGER NOT NULL, revoked INTEGER, role TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (tenant TEXT, key TEXT, request TEXT, held_until INTEGER, at INTEGER) STRICT;
CREATE TABLE rights (name TEXT PRIMARY KEY, token INTEGER NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO keys VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', 'default', 'carried over', 'h', 9, 7, NULL, 'read')";

#[test]
fn a_schema_is_changed_after_a_copy_and_older_ones_say_how_to_go_back() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    let status = || object(&done(folder.path(), &["migrate", "status", "--json"]));
    let latest = status()["wanted"].as_u64().unwrap();
    assert_eq!((&status()["upToDate"], status()["copies"].as_array().unwrap().len()), (&true.into(), 0));
    let data = folder.path().join("pixmill-data");
    let records = rusqlite::Connection::open(data.join("pixmill.db")).unwrap();
    records.execute_batch(TO_OLDER_SCHEMA).unwrap();
    drop(records);
    assert_eq!(status()["upToDate"], false, "looking changes nothing");
    assert!(status()["copyBytes"].as_u64().unwrap() > 0);
    let output = done(folder.path(), &["keys", "list"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("carried over"), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("from schema {OLDER_SCHEMA} to {latest}")), "{told}");
    let copy = status()["copies"][0].as_str().unwrap().to_owned();
    assert!(told.contains(&copy), "{told}");
    assert_eq!(status()["last"]["from"], OLDER_SCHEMA);
    assert_eq!(
        String::from_utf8_lossy(&done(folder.path(), &["migrate", "up"]).stderr),
        "the records are up to date\n"
    );

    let records = rusqlite::Connection::open(data.join("pixmill.db")).unwrap();
    let newer = "INSERT INTO schema_changes VALUES (?1, ?2, '9.8.7', 0, 0, ?3)";
    let name = Path::new(&copy).file_name().unwrap().to_str().unwrap();
    records.execute(newer, rusqlite::params![latest + 1, latest, name]).unwrap();
    records.pragma_update(None, "user_version", latest + 1).unwrap();
    drop(records);
    for arguments in [&["keys", "list"][..], &["backup", "one.tar"], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = pixmill(folder.path(), arguments);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        for part in ["9.8.7", env!("CARGO_PKG_VERSION"), copy.as_str()] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    done(folder.path(), &["restore", &copy]);
    done(folder.path(), &["keys", "list"]);
}

#[test]
fn a_restore_that_broke_off_is_told_until_it_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["keys", "create"]);
    done(folder.path(), &["backup", "one.tar"]);
    let marker: PathBuf = folder.path().join("pixmill-data/pixmill.db.restoring");
    fs::write(&marker, "pixmill-data/before-restore-20260101-000000").unwrap();
    for arguments in [&["keys", "list"][..], &["backup", "two.tar"], &["migrate", "status"]] {
        let told = refused(folder.path(), arguments, 1);
        assert!(told.contains("state.busy") && told.contains("pixmill restore again"), "{told}");
    }
    done(folder.path(), &["restore", "one.tar"]);
    done(folder.path(), &["keys", "list"]);
    assert!(!marker.exists());
    assert!(requests(&folder.path().join("pixmill-data/pixmill.db")).is_empty());
}
