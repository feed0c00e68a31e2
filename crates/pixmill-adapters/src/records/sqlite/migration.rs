//! Bringing records to the schema of this pixmill: never before there is a copy of them as they were.
//!
//! The copies lie beside the records, in `backups/before-vSCHEMA-TIME.db`; the last two are kept. What was changed when,
//! by which pixmill, is in the records themselves, so that an older one can say what it can't open and how to go back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::Clock;
use rusqlite::{Connection, OptionalExtension, params};
use rusqlite_migration::Error as MigrationError;

use super::alone::{private_folder, sync_folder};
use super::copy;
use super::fault::{fault, file_fault};
use super::schema::{self, LATEST, MIGRATIONS, has_table};
use crate::clock::SystemClock;

/// Every change of the schema since this was written down: what it was brought to and from, by which pixmill, when, how
/// long that took with the copy (milliseconds), and the copy's name.
pub(super) const CHANGES: &str = "CREATE TABLE schema_changes (
  schema INTEGER PRIMARY KEY,
  before INTEGER NOT NULL,
  pixmill TEXT NOT NULL,
  at INTEGER NOT NULL,
  took INTEGER NOT NULL,
  copy TEXT
) STRICT";

/// The table of these.
const TABLE: &str = "schema_changes";

/// Where copies are, beside the records.
const FOLDER: &str = "backups";

/// What their names begin and end with.
const BEGINNING: &str = "before-v";
const ENDING: &str = ".db";

/// What comes after that while a copy is being made.
const PART: &str = ".part";

/// Copies that are kept.
const KEPT: usize = 2;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before.
    pub from: u32,
    /// The schema now.
    pub to: u32,
    /// The records as they were before.
    pub copy: PathBuf,
    /// How long it took, with the copy.
    pub took: Duration,
}

/// How records stand to this pixmill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Their schema.
    pub schema: u32,
    /// That of this pixmill.
    pub wanted: u32,
    /// Their bytes, which a copy would take.
    pub bytes: u64,
    /// The last change of the schema, where one is known.
    pub last: Option<Change>,
    /// Copies from before changes, oldest first.
    pub copies: Vec<PathBuf>,
}

/// A change, as the records tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The pixmill that made it.
    pub pixmill: String,
    /// The schema before.
    pub from: u32,
    /// When.
    pub at: Timestamp,
    /// How long it took, with the copy.
    pub took: Duration,
}

/// Whether a schema is known to this pixmill.
pub(super) enum Known {
    /// It is.
    Schema(u32),
    /// It is a newer pixmill's: what to do, in words.
    Newer(String),
}

impl Known {
    /// # Errors
    /// `backend.unavailable` where it is a newer pixmill's.
    pub(super) fn or_refused(self) -> Result<u32, Fault> {
        match self {
            Known::Schema(schema) => Ok(schema),
            Known::Newer(told) => Err(Fault::permanent(Code::BackendUnavailable, told).of(Blame::Backend)),
        }
    }
}

/// How the records in a file stand to this pixmill. Changes nothing.
///
/// # Errors
/// `backend.unavailable`, `state.busy`.
pub fn status(file: &Path) -> Result<Status, Fault> {
    let records = schema::open_to_look(file)?;
    let of_records = |error: rusqlite::Error| fault(&error, file);
    Ok(Status {
        schema: schema_of(&records).map_err(of_records)?,
        wanted: LATEST,
        bytes: copy::bytes(&records).map_err(of_records)?,
        last: last(&records).map_err(of_records)?,
        copies: copies(file).map_err(|error| file_fault(&error, file))?,
    })
}

/// Brings records up to date, if they are not.
///
/// # Errors
/// Those of opening records.
pub fn up(file: &Path) -> Result<Option<Migrated>, Fault> {
    schema::open_writer(file).map(|(_, migrated)| migrated)
}

/// The schema of a file, or what to say of a newer one.
pub(super) fn known(records: &Connection, file: &Path) -> rusqlite::Result<Known> {
    let schema = schema_of(records)?;
    match schema > LATEST {
        true => newer(records, file, schema).map(Known::Newer),
        false => Ok(Known::Schema(schema)),
    }
}

fn schema_of(records: &Connection) -> rusqlite::Result<u32> {
    records.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Why records can't be opened, and how to go on.
fn newer(records: &Connection, file: &Path, schema: u32) -> rusqlite::Result<String> {
    let by = last(records)?.map_or(String::new(), |change| format!(" {}", change.pixmill));
    let back = match copy_before(records, file)? {
        Some(copy) => format!(
            "or go back to how they were before: pixmill restore {} (what happened since is not in it)",
            copy.display()
        ),
        None => "or restore a backup that is older".to_owned(),
    };
    Ok(format!(
        "the records in {} were written by a newer pixmill{by} (schema {schema}), and this is {VERSION}, which knows \
         schemas up to {LATEST}: update this one, {back}",
        file.display()
    ))
}

/// The copy that was made when records went beyond the schemas of this pixmill, if it is still there.
fn copy_before(records: &Connection, file: &Path) -> rusqlite::Result<Option<PathBuf>> {
    if !has_table(records, TABLE)? {
        return Ok(None);
    }
    let beyond = "SELECT copy FROM schema_changes WHERE schema > ?1 AND before <= ?1 AND copy IS NOT NULL";
    let name = records.query_row(beyond, [LATEST], |row| row.get::<_, String>(0)).optional()?;
    Ok(name.map(|name| folder(file).join(name)).filter(|copy| copy.exists()))
}

fn last(records: &Connection) -> rusqlite::Result<Option<Change>> {
    if !has_table(records, TABLE)? {
        return Ok(None);
    }
    let last = "SELECT pixmill, before, at, took FROM schema_changes ORDER BY schema DESC LIMIT 1";
    let change = |row: &rusqlite::Row<'_>| {
        Ok(Change {
            pixmill: row.get(0)?,
            from: row.get(1)?,
            at: Timestamp(row.get(2)?),
            took: Duration::from_millis(row.get(3)?),
        })
    };
    records.query_row(last, [], change).optional()
}

/// Brings records to the latest schema, where they are of an earlier one; what was changed.
///
/// # Errors
/// `backend.unavailable` (a newer pixmill's), `disk.full` and `disk.read_only` (also where there is no place for the
/// copy: nothing is changed then).
pub(super) fn migrate(records: &mut Connection, file: &Path) -> Result<Option<Migrated>, Fault> {
    let of_records = |error: rusqlite::Error| fault(&error, file);
    let schema = known(records, file).map_err(of_records)?.or_refused()?;
    if schema == LATEST {
        return Ok(None);
    }
    if schema == 0 && is_empty(records).map_err(of_records)? {
        to_latest(records, file)?;
        note(records, 0, Duration::ZERO, None).map_err(of_records)?;
        return Ok(None);
    }
    // Of processes that start at the same time, one makes the copy and the change.
    let _turn = turn(file).map_err(|error| no_copy(&file_fault(&error, file), schema, file))?;
    let from = schema_of(records).map_err(of_records)?;
    if from == LATEST {
        return Ok(None);
    }
    tracing::info!(from, to = LATEST, "the records' schema is to be changed: a copy is made before");
    let began = Instant::now();
    let copy = copy_of(file).map_err(|fault| no_copy(&fault, from, file))?;
    pixmill_engine::fail_point!("before_migration");
    to_latest(records, file)?;
    let took = began.elapsed();
    note(records, from, took, copy.file_name().and_then(|name| name.to_str())).map_err(of_records)?;
    forget_old(file);
    tracing::info!(from, to = LATEST, copy = %copy.display(), seconds = took.as_secs_f64(), "the records' schema was changed");
    Ok(Some(Migrated { from, to: LATEST, copy, took }))
}

fn is_empty(records: &Connection) -> rusqlite::Result<bool> {
    Ok(!records.prepare("SELECT 1 FROM sqlite_schema")?.exists([])?)
}

fn to_latest(records: &mut Connection, file: &Path) -> Result<(), Fault> {
    let migrated = MIGRATIONS.to_latest(records).or_else(|error| match error {
        // Another process may have made the schema between our look and our transaction.
        MigrationError::RusqliteError { .. } => MIGRATIONS.to_latest(records),
        error => Err(error),
    });
    migrated.map_err(|error| match error {
        MigrationError::RusqliteError { err, .. } => fault(&err, file),
        error => Fault::permanent(
            Code::BackendUnavailable,
            format!("the schema of the records in {} can't be changed: {error}", file.display()),
        ),
    })
}

fn note(records: &Connection, from: u32, took: Duration, copy: Option<&str>) -> rusqlite::Result<()> {
    let note = "INSERT OR IGNORE INTO schema_changes (schema, before, pixmill, at, took, copy)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    records.execute(note, params![LATEST, from, VERSION, SystemClock.wall().0, took, copy]).map(drop)
}

fn no_copy(fault: &Fault, from: u32, file: &Path) -> Fault {
    let told = format!(
        "the records in {} must be brought from schema {from} to {LATEST}, and there can be no copy of them before, so \
         nothing was changed: {}",
        file.display(),
        fault.message
    );
    Fault { message: told, ..fault.clone() }
}

fn folder(file: &Path) -> PathBuf {
    file.with_file_name(FOLDER)
}

/// Waits for others who change the schema of these records.
fn turn(file: &Path) -> io::Result<File> {
    let folder = folder(file);
    private_folder(&folder)?;
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// A copy under its name, which it gets once it is whole.
fn copy_of(file: &Path) -> Result<PathBuf, Fault> {
    let folder = folder(file);
    let name = format!("{BEGINNING}{LATEST}-{}{ENDING}", SystemClock.wall().in_a_name());
    let (path, unfinished) = (folder.join(&name), folder.join(format!(".{name}{PART}")));
    sweep(&folder).map_err(|error| file_fault(&error, &folder))?;
    let copied = copy::copy(file, &unfinished, &|_| ()).and_then(|_| {
        let renamed = fs::rename(&unfinished, &path).and_then(|()| sync_folder(&path));
        renamed.map_err(|error| file_fault(&error, &path))
    });
    copied.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    Ok(path)
}

/// Removes what a process that died has left half done. Only whoever has the turn may.
fn sweep(folder: &Path) -> io::Result<()> {
    let (beginning, ending) = (format!(".{BEGINNING}"), format!("{ENDING}{PART}"));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&beginning) && name.contains(&ending)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Copies from before changes, oldest first.
fn copies(file: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut copies = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(ENDING));
        // By time, which is the same as by schema unless an older pixmill's records were restored.
        if let Some((schema, time)) = rest.and_then(|rest| rest.split_once('-'))
            && schema.bytes().all(|byte| byte.is_ascii_digit())
        {
            copies.push((time.to_owned(), path.clone()));
        }
    }
    copies.sort();
    Ok(copies.into_iter().map(|(_, path)| path).collect())
}

/// Keeps the last copies. One that can't be removed does no harm.
fn forget_old(file: &Path) {
    let copies = copies(file).unwrap_or_default();
    for old in &copies[..copies.len().saturating_sub(KEPT)] {
        if let Err(error) = fs::remove_file(old) {
            tracing::warn!(copy = %old.display(), %error, "an old copy of records can't be removed");
        }
    }
}

#[cfg(test)]
#[path = "tests/migration.rs"]
mod tests;
