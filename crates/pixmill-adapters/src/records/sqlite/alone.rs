//! Taking the place of a file of records: only while no process has it open, and so that none can open half of it.
//!
//! In write-ahead mode every connection holds the file for as long as it is open, so whoever can leave that mode is alone.
//! While files are being put in place a marker lies beside them. Whoever opens records looks for it, and whether the
//! file has become another one, once it holds the file: neither half a restore is opened nor a file that was put aside.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::fault::file_fault;
use super::schema;
use crate::storage::disk;

/// How long a command that looks at records for a moment is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What files of SQLite begin with.
pub const MAGIC: &[u8] = b"SQLite format 3\0";

/// What SQLite may leave beside a file.
pub const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The path of a file beside the records, which has the same name and this after it.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Makes a folder that only its owner may enter, where there is none.
///
/// # Errors
/// Those of the file system.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut folders = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
    folders.recursive(true).create(folder)
}

/// Makes a file that only its owner may read, which was not there.
///
/// # Errors
/// Those of the file system; `AlreadyExists` where one is there.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.read(true).write(true).create_new(true).open(path)
}

/// As long as this lives, no other process can read or write the records.
#[derive(Debug)]
pub struct Alone {
    /// None where the file is no database that could be locked, and nobody has it open.
    _held: Option<Connection>,
}

/// Takes the records of a file for this process alone. Their log is written back, so that the file is all there is of
/// them; of a file that is damaged it stays beside.
///
/// # Errors
/// `state.busy` when another process has them open, `disk.*`.
pub fn take(file: &Path) -> Result<Alone, Fault> {
    // SQLite throws the log away of what is no database, and somebody may want to save what is in it.
    if !is_database(file).map_err(|error| file_fault(&error, file))? {
        return of_nobody(file);
    }
    let locked = schema::open(file, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)
        .and_then(|connection| lock(&connection).map(|left| left.then_some(connection)));
    match locked {
        Ok(Some(connection)) => Ok(Alone { _held: Some(connection) }),
        Ok(None) => Err(busy(file)),
        Err(error) if is_busy(&error) => Err(busy(file)),
        Err(error) if is_no_database(&error) => of_nobody(file),
        Err(error) => Err(super::fault::fault(&error, file)),
    }
}

/// Whether a file begins as databases do; an empty one is one too.
fn is_database(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start.is_empty() || start == MAGIC)
}

/// A file that can't be locked as a database, as long as nobody has it open.
fn of_nobody(file: &Path) -> Result<Alone, Fault> {
    match is_held(file) {
        Ok(true) => Err(busy(file)),
        Ok(false) => Ok(Alone { _held: None }),
        Err(error) => Err(file_fault(&error, file)),
    }
}

/// Whether nobody else has the file, which nobody can have from here on.
fn lock(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(PATIENCE)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0))?;
    if mode != "delete" {
        return Ok(false);
    }
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    Ok(true)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn is_no_database(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn busy(file: &Path) -> Fault {
    let message = format!(
        "the records in {} are in use: stop every pixmill that works with them, then try again",
        file.display()
    );
    Fault::permanent(Code::StateBusy, message).of(Blame::Backend)
}

/// Whether a process has locked any byte of a file, as SQLite does of one that it has open.
#[cfg(unix)]
fn is_held(file: &Path) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, fcntl_lock};
    let file = File::options().read(true).write(true).open(file)?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn is_held(file: &Path) -> io::Result<bool> {
    File::options().read(true).write(true).open(file).map(|_| false)
}

/// Lies beside records for as long as files are being put in their place.
#[derive(Debug)]
pub struct Marker(PathBuf);

impl Marker {
    /// Lays it down, saying where what was there before is; durable.
    ///
    /// # Errors
    /// `disk.*`.
    pub fn lay(file: &Path, aside: &Path) -> Result<Self, Fault> {
        let path = beside(file, RESTORING);
        let laid = File::create(&path).and_then(|mut marker| {
            marker.write_all(aside.to_string_lossy().as_bytes())?;
            marker.sync_all()
        });
        laid.and_then(|()| sync_folder(&path)).map_err(|error| file_fault(&error, &path))?;
        Ok(Marker(path))
    }

    /// Takes it away: everything is in place, durably.
    ///
    /// # Errors
    /// `disk.*`.
    pub fn lift(self) -> Result<(), Fault> {
        let lifted =
            sync_folder(&self.0).and_then(|()| fs::remove_file(&self.0)).and_then(|()| sync_folder(&self.0));
        lifted.map_err(|error| file_fault(&error, &self.0))
    }
}

/// What a marker's name ends with.
const RESTORING: &str = ".restoring";

/// Makes what happened to names in a file's folder durable.
///
/// # Errors
/// Those of the file system.
pub fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    disk::sync_folder(folder.unwrap_or(Path::new(".")))
}

/// # Errors
/// `state.busy` while files are being put in place, or where that broke off.
pub(super) fn refuse_while_restored(file: &Path) -> Result<(), Fault> {
    let path = beside(file, RESTORING);
    let aside = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_fault(&error, &path)),
        Ok(aside) => aside,
    };
    let message = format!(
        "a backup is being restored into {}, or that broke off: run pixmill restore again. What was there before is \
         in {aside}; to go on with what is there now, delete {}",
        file.display(),
        path.display()
    );
    Err(Fault::permanent(Code::StateBusy, message).of(Blame::Backend))
}

/// Which file a path leads to, before it is opened.
pub(super) struct Place<'p> {
    file: &'p Path,
    identity: Option<(u64, u64)>,
}

impl<'p> Place<'p> {
    pub(super) fn of(file: &'p Path) -> Self {
        Place { file, identity: identity(file) }
    }

    /// Whether what was opened, and is held by now, is what the path leads to.
    ///
    /// # Errors
    /// Transient where it leads elsewhere by now; `state.busy`.
    pub(super) fn is_still(&self) -> Result<(), Fault> {
        refuse_while_restored(self.file)?;
        if self.identity == identity(self.file) {
            return Ok(());
        }
        let message = format!("the records in {} were replaced while they were opened", self.file.display());
        Err(Fault::transient(Code::BackendUnavailable, message).of(Blame::Backend))
    }
}

#[cfg(unix)]
fn identity(file: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(_file: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::*;

    #[test]
    fn records_that_somebody_has_open_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixmill.db");
        let open = Sqlite::open(&file).unwrap();
        let fault = take(&file).unwrap_err();
        assert_eq!(fault.code, Code::StateBusy);
        drop(open);
        let alone = take(&file).unwrap();
        assert!(BESIDE.iter().all(|ending| !beside(&file, ending).exists()), "the file is all there is");
        drop(alone);
        Sqlite::open(&file).unwrap();
    }

    #[test]
    fn a_damaged_file_is_taken_once_nobody_has_it_open() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixmill.db");
        fs::write(&file, "no database at all".repeat(500)).unwrap();
        fs::write(beside(&file, "-wal"), "its log").unwrap();
        take(&file).unwrap();
        assert!(beside(&file, "-wal").exists(), "what may be saved from it is not thrown away");
        assert!(fs::read(&file).unwrap().starts_with(b"no database"));
    }

    #[test]
    fn half_a_restore_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pixmill.db");
        let marker = Marker::lay(&file, Path::new("data/before-restore-1")).unwrap();
        let fault = Sqlite::open(&file).err().unwrap();
        assert_eq!(fault.code, Code::StateBusy);
        assert!(fault.message.contains("data/before-restore-1"), "{fault}");
        assert!(!file.exists(), "nothing is made meanwhile");
        marker.lift().unwrap();
        Sqlite::open(&file).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_while_it_was_opened_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("pixmill.db"), folder.path().join("other.db"));
        fs::write(&file, "old").unwrap();
        fs::write(&other, "new").unwrap();
        let place = Place::of(&file);
        assert_eq!(place.is_still(), Ok(()));
        fs::rename(&other, &file).unwrap();
        assert_eq!(place.is_still().is_err_and(|fault| fault.transient), cfg!(unix));
    }
}
