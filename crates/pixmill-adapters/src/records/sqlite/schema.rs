//! Opening the file: its schema, and how connections to it are set up.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pixmill_engine::fault::Fault;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use super::alone::{self, Place};
use super::fault::{fault, file_fault};
use super::migration::{Migrated, migrate};

/// Every change of the schema, oldest first. What is published is never edited.
pub(super) const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);
const STEPS: &[M<'static>] = &[
    M::up(include_str!("schema.sql")),
    M::up(include_str!("outbox.sql")),
    M::up(FEEDER),
    M::up(include_str!("api.sql")),
    M::up(RETIREMENT),
    M::up(TRACES),
    M::up(READING),
    M::up(super::steps::MIGRATION),
    M::up(include_str!("upkeep.sql")),
    M::up(super::originals::MIGRATION),
    M::up(NOTES),
    M::up(ROLES),
    M::up(super::boards::MIGRATION),
    M::up(DELETIONS),
    M::up(FAILED),
    M::up(super::migration::CHANGES),
    M::up(OLDEST),
    M::up(super::boards::ALL_IN_ONE),
    M::up(SAID),
];

/// The schema that this pixmill writes.
pub(super) const LATEST: u32 = STEPS.len() as u32;

/// The one right to feed a shared queue: whose it is, and until when.
const FEEDER: &str = "CREATE TABLE feeder (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  token INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT";

/// What is about to be deleted for its age, and how such requests are found.
const RETIREMENT: &str = "ALTER TABLE requests ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
CREATE INDEX requests_ended ON requests (coalesce(completed, touched)) WHERE status IN ('completed', 'cancelled')";

/// Where the trace of a request goes on.
const TRACES: &str = "ALTER TABLE requests ADD COLUMN traceparent TEXT";

/// How the catalogue of a request was read.
const READING: &str = "ALTER TABLE requests ADD COLUMN reading TEXT NOT NULL DEFAULT ''";

/// Frames of the source, where there was more than the one that is stored.
const NOTES: &str = "ALTER TABLE images ADD COLUMN frames INTEGER;
CREATE INDEX images_noted ON images (id) WHERE frames IS NOT NULL";

/// Requests whose deletion was begun: `retired` is 2 where their outputs stay, and 3 where these go too.
const DELETIONS: &str = "CREATE INDEX requests_deletions ON requests (retired, num) WHERE retired > 1";

/// What keys allow. Those that were made before there were roles hand catalogues in.
const ROLES: &str = "ALTER TABLE keys ADD COLUMN role TEXT NOT NULL DEFAULT 'submit'";

/// Failures, which people look for among a million that did not fail.
const FAILED: &str = "CREATE INDEX images_failed ON images (id, code) WHERE status = 3";

/// The oldest that is open, among however many.
const OLDEST: &str =
    "CREATE INDEX requests_oldest ON requests (created) WHERE status IN ('pending', 'processing')";

/// What tries to tell webhooks said, and how long each took, milliseconds.
const SAID: &str =
    "ALTER TABLE deliveries ADD COLUMN took INTEGER; ALTER TABLE deliveries ADD COLUMN body TEXT";

/// How long a connection waits for another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it waits between tries where SQLite does not wait itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Bytes of a page: larger than SQLite's own, for rows are written and read in runs.
const PAGE_BYTES: u32 = 8192;

/// Pages in the write-ahead log at which it is written back, and the size to which its file is cut after that.
const CHECKPOINT_PAGES: u32 = 4096;
const LOG_BYTES: u32 = CHECKPOINT_PAGES * PAGE_BYTES;

/// Memory for pages, KiB.
const WRITER_CACHE_KIB: i32 = 8 * 1024;
const READER_CACHE_KIB: i32 = 2 * 1024;

/// Opens the connection that writes; makes the file, its folder and the schema where they are missing.
///
/// # Errors
/// `disk.full`, `disk.read_only`, `backend.unavailable`.
pub(super) fn open_writer(file: &Path) -> Result<(Connection, Option<Migrated>), Fault> {
    alone::refuse_while_restored(file)?;
    // SQLite says only that it could not open the file, and opens one that can't be written for reading.
    make(file).map_err(|error| file_fault(&error, file))?;
    patiently(|| {
        let place = Place::of(file);
        let mut connection = open(file, OpenFlags::default()).map_err(|error| fault(&error, file))?;
        set_up_writer(&mut connection).map_err(|error| fault(&error, file))?;
        place.is_still()?;
        let migrated = migrate(&mut connection, file)?;
        #[cfg(test)]
        super::tests::plans::listen(&connection);
        Ok((connection, migrated))
    })
}

/// Opens a connection to a file that is there, changing nothing about it.
///
/// # Errors
/// Those of [`open_reader`].
pub(super) fn open_to_look(file: &Path) -> Result<Connection, Fault> {
    patiently(|| {
        let place = Place::of(file);
        let connection = open(file, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| fault(&error, file))?;
        // What is read first says whether it is a database, and has the file held from here on.
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(|error| fault(&error, file))?;
        place.is_still()?;
        Ok(connection)
    })
}

/// Makes the file and its folder where they are missing, for their owner alone: addresses in it hold tokens. SQLite gives
/// the files beside it the same mode.
fn make(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Some(folder) = file.parent() {
        alone::private_folder(folder)?;
    }
    options.append(true).create(true).open(file).map(drop)
}

/// Tries again while another process is opening or closing the file: SQLite itself does not wait then.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(fault) if fault.transient && began.elapsed() < BUSY_TIMEOUT => thread::sleep(BUSY_PAUSE),
            done => return done,
        }
    }
}

fn set_up_writer(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))
}

/// Opens a connection that only reads.
///
/// # Errors
/// `backend.unavailable`.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Fault> {
    patiently(|| {
        // Not read-only: the last connection to close may be this one, and it must be able to write the log back.
        let connection = open(file, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| fault(&error, file))?;
        set_up_reader(&connection).map_err(|error| fault(&error, file))?;
        #[cfg(test)]
        super::tests::plans::listen(&connection);
        Ok(connection)
    })
}

fn set_up_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)
}

pub(super) fn open(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // A path that begins with `file:` is a path all the same.
    let connection = Connection::open_with_flags(file, flags & !OpenFlags::SQLITE_OPEN_URI)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Pages of a file: how many there are, how many of them hold nothing, and the bytes of one.
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) free: u64,
    pub(super) bytes: u64,
}

pub(super) fn pages(connection: &Connection) -> rusqlite::Result<Pages> {
    let of = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok(Pages { all: of("page_count")?, free: of("freelist_count")?, bytes: of("page_size")? })
}

/// Whether a file has a table; older ones have not all.
pub(super) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

#[cfg(test)]
mod tests {
    use pixmill_engine::code::Code;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_records() {
        use std::os::unix::fs::PermissionsExt;
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("data");
        let file = folder.join("pixmill.db");
        let _writer = open_writer(&file).unwrap();
        let _reader = open_reader(&file).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 2, "{files:?}");
        files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
    }

    #[test]
    fn a_folder_in_the_way_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let fault = open_writer(folder.path()).unwrap_err();
        assert_eq!(fault.code, Code::BackendUnavailable);
        assert!(fault.message.contains(&folder.path().display().to_string()), "{fault}");
    }

    #[test]
    fn a_file_that_is_no_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixmill.db");
        std::fs::write(&file, "S. No.,Product Name,Input Image Urls\n".repeat(1000)).unwrap();
        let fault = open_writer(&file).unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::BackendUnavailable, false), "{fault}");
    }

    #[test]
    fn a_million_images_are_found_by_partial_indexes_only() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = open_writer(&folder.path().join("pixmill.db")).unwrap();
        let mut indexes = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'images' AND sql NOT LIKE '%WHERE%'")
            .unwrap();
        assert!(!indexes.exists([]).unwrap(), "an index without a condition costs every fresh image");
    }
}
