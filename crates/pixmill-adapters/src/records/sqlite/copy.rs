//! Copies of records: whole and of one moment, made beside whoever works on them.
//!
//! `VACUUM INTO` reads from one snapshot, so writers go on meanwhile; SQLite's stepwise copying begins anew at each write
//! of another process and would never end beside a busy server.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::alone::private_file;
use super::fault::{fault, file_fault};
use super::migration::{self, Known};
use super::schema;

/// How often it is looked how far a copy is.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes of a copy that may wait to be written to the disk: syncs of those who work on the records wait for them too.
const UNSYNCED: u64 = 4 << 20;

/// Memory for pages of the records that are copied, KiB.
const CACHE_KIB: i32 = 2 * 1024;

/// What a file of records holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// The number of its schema.
    pub schema: u32,
    /// Requests, those among them that are being taken in.
    pub requests: u64,
    /// Rows of their catalogues.
    pub rows: u64,
    /// Images.
    pub images: u64,
    /// Completions, told or to be told.
    pub events: u64,
}

/// Why a file that should be a copy of records is none that can be used.
#[derive(Debug)]
pub enum Unfit {
    /// It is something else.
    Foreign,
    /// Of a schema that this pixmill does not know; in words.
    Newer(String),
    /// It is not whole, in SQLite's words.
    Damaged(String),
    /// It could not be read.
    Fault(Fault),
}

/// The most bytes that a copy of these records takes.
///
/// # Errors
/// `backend.unavailable`, `state.busy`.
pub fn size(file: &Path) -> Result<u64, Fault> {
    bytes(&schema::open_to_look(file)?).map_err(|error| fault(&error, file))
}

/// The same of records that are open.
pub(super) fn bytes(records: &Connection) -> rusqlite::Result<u64> {
    let pages = schema::pages(records)?;
    Ok(pages.all.saturating_sub(pages.free) * pages.bytes)
}

/// Copies the records of a file into a new one, durably, and looks it through; tells now and then how many bytes are
/// there. The new file is its owner's alone.
///
/// # Errors
/// `backend.unavailable`: there are no records, they are damaged, or a newer pixmill's. `disk.full` and `disk.read_only`
/// are about the new file. `state.busy`.
pub fn copy(from: &Path, to: &Path, watch: &(dyn Fn(u64) + Sync)) -> Result<Contents, Fault> {
    let records = schema::open_to_look(from)?;
    let of_records = |error: rusqlite::Error| fault(&error, from);
    records.pragma_update(None, "cache_size", -CACHE_KIB).map_err(of_records)?;
    migration::known(&records, from).map_err(of_records)?.or_refused()?;
    let name = to.to_str().ok_or_else(|| {
        let told = format!("{} is no name that SQLite takes: choose one in UTF-8", to.display());
        Fault::permanent(Code::DiskReadOnly, told).of(Blame::Backend)
    })?;
    let file = private_file(to).map_err(|error| file_fault(&error, to))?;
    let copied = watched(&file, watch, || records.execute("VACUUM INTO ?1", [name]));
    copied.map_err(|error| of_either(&error, from, to))?;
    file.sync_all().map_err(|error| file_fault(&error, to))?;
    examine(to).map_err(|unfit| match unfit {
        Unfit::Fault(fault) => fault,
        unfit => {
            let told =
                format!("a copy of {} can't be used ({unfit:?}): the records are damaged", from.display());
            Fault::permanent(Code::BackendUnavailable, told).of(Blame::Backend)
        }
    })
}

/// Tells how long a file is while it is written, and has it written to the disk little by little.
fn watched<T>(file: &File, watch: &(dyn Fn(u64) + Sync), write: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (over, is_over) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut synced = 0;
            while let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(LOOK) {
                let bytes = file.metadata().map_or(0, |found| found.len());
                watch(bytes);
                if bytes > synced + UNSYNCED {
                    // What can't be written is told at the end.
                    let _ = file.sync_data();
                    synced = bytes;
                }
            }
        });
        let written = write();
        drop(over);
        written
    })
}

/// What is short of room or may not be written is the new file; what can't be read is the old one.
fn of_either(error: &rusqlite::Error, from: &Path, to: &Path) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            let told = format!("no room is left for a copy of {} in {}", from.display(), to.display());
            Fault::permanent(Code::DiskFull, told).of(Blame::Backend)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => fault(error, to),
        _ => fault(error, from),
    }
}

/// Looks a copy of records through: whether it is whole and of a schema that is known, and what is in it. Nobody may be
/// writing to it.
///
/// # Errors
/// What is wrong with it.
pub fn examine(file: &Path) -> Result<Contents, Unfit> {
    let look = || -> rusqlite::Result<Result<Contents, Unfit>> {
        let copy = schema::open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        copy.pragma_update(None, "cache_size", -CACHE_KIB)?;
        if !is_of_pixmill(&copy)? {
            return Ok(Err(Unfit::Foreign));
        }
        let schema = match migration::known(&copy, file)? {
            Known::Newer(told) => return Ok(Err(Unfit::Newer(told))),
            Known::Schema(schema) => schema,
        };
        let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Ok(Err(Unfit::Damaged(found)));
        }
        let count =
            |table: &str| copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        Ok(Ok(Contents {
            schema,
            requests: count("requests")?,
            rows: count("rows")?,
            images: count("images")?,
            events: count("events")?,
        }))
    };
    look().unwrap_or_else(|error| {
        Err(match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Unfit::Foreign,
            Some(ErrorCode::DatabaseCorrupt) => Unfit::Damaged(error.to_string()),
            _ => Unfit::Fault(fault(&error, file)),
        })
    })
}

fn is_of_pixmill(copy: &Connection) -> rusqlite::Result<bool> {
    let tables =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('requests', 'rows', 'images',
      'events', 'inputs', 'stale_outputs')";
    let schema: i64 = copy.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(schema > 0 && copy.query_row(tables, [], |row| row.get::<_, i64>(0))? == 6)
}

/// What was held when the copy was made is held by nobody: leases end now, and the attempts that were under way do not
/// count, as if their workers had stopped cleanly.
///
/// # Errors
/// `disk.full`, `backend.unavailable`.
pub fn let_go(file: &Path, now: Timestamp) -> Result<(), Fault> {
    let free = || -> rusqlite::Result<()> {
        let mut copy = schema::open(file, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
        let transaction = copy.transaction()?;
        transaction.execute(
            "UPDATE images SET lease_until = min(lease_until, ?1), attempts = max(attempts - 1, 0)
             WHERE lease_until IS NOT NULL",
            [now.0],
        )?;
        // Copies of older schemas have their rights in a table.
        if schema::has_table(&transaction, "rights")? {
            transaction.execute("UPDATE rights SET until = min(until, ?1)", [now.0])?;
        }
        if schema::has_table(&transaction, "boards")? {
            transaction
                .execute("UPDATE boards SET until = min(until, ?1) WHERE board = 'rights'", [now.0])?;
        }
        transaction.commit()
    };
    free().map_err(|error| fault(&error, file))
}

/// How many outputs the records name that are not below a folder.
///
/// # Errors
/// `backend.unavailable`.
pub fn lost(file: &Path, root: &Path) -> Result<u64, Fault> {
    let look = || -> rusqlite::Result<u64> {
        let records = schema::open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut outputs = records.prepare("SELECT DISTINCT output FROM images WHERE output IS NOT NULL")?;
        let mut outputs = outputs.query([])?;
        let mut lost = 0;
        while let Some(row) = outputs.next()? {
            let location = row.get::<_, String>(0)?;
            lost += u64::from(!root.join(location).is_file());
        }
        Ok(lost)
    };
    look().map_err(|error| fault(&error, file))
}
