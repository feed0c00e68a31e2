//! What an error of SQLite means to whoever asked, in a sentence that names the file.

use std::io;
use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why some work on the database did not come about.
#[derive(Debug)]
pub(super) enum Broken {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// The work itself did.
    Refused(Fault),
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Broken::Sqlite(error)
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Broken::Refused(fault)
    }
}

impl Broken {
    pub(super) fn into_fault(self, file: &Path) -> Fault {
        match self {
            Broken::Sqlite(error) => fault(&error, file),
            Broken::Refused(fault) => fault,
        }
    }
}

/// Whether a row holds something that can't be read: a newer pixmill may have written it.
pub(super) fn is_of_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}

/// The fault that an error of SQLite stands for.
pub(super) fn fault(error: &rusqlite::Error, file: &Path) -> Fault {
    let name = file.display();
    if is_of_row(error) {
        let message =
            format!("a request in {name} can't be read, a newer pixmill may have written it: {error}");
        return Fault::permanent(Code::RecipeInvalid, message).of(Blame::Request);
    }
    of_file(error, file).of(Blame::Backend)
}

fn of_file(error: &rusqlite::Error, file: &Path) -> Fault {
    let name = file.display();
    let (kind, extended) = match error {
        rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
        _ => (ErrorCode::Unknown, 0),
    };
    match kind {
        ErrorCode::DiskFull => disk_full(file),
        // The shared memory file could not be made as long as it must be.
        _ if extended == ffi::SQLITE_IOERR_SHMSIZE => disk_full(file),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => read_only(file),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Fault::transient(
            Code::BackendUnavailable,
            format!("the records in {name} are locked by another process: {error}"),
        ),
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Fault::transient(
            Code::BackendUnavailable,
            format!("the records in {name} can't be read or written: {error}"),
        ),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Fault::permanent(
            Code::BackendUnavailable,
            format!("{name} is damaged or holds something other than records: {error}"),
        ),
        _ => Fault::permanent(Code::BackendUnavailable, format!("the records in {name} failed: {error}")),
    }
}

fn disk_full(file: &Path) -> Fault {
    Fault::permanent(Code::DiskFull, format!("no room is left for the records in {}", file.display()))
}

fn read_only(file: &Path) -> Fault {
    Fault::permanent(Code::DiskReadOnly, format!("the records in {} can't be written to", file.display()))
}

/// The fault that an error of the file system stands for, while the database is being opened.
pub(super) fn file_fault(error: &io::Error, file: &Path) -> Fault {
    let fault = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(file),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => read_only(file),
        _ => Fault::permanent(
            Code::BackendUnavailable,
            format!("the records in {} can't be opened: {error}", file.display()),
        ),
    };
    fault.of(Blame::Backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Fault {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        fault(&error, Path::new("data/pixmill.db"))
    }

    #[test]
    fn every_error_gets_its_code_and_names_the_file() {
        for (sqlite, code, transient) in [
            (ffi::SQLITE_FULL, Code::DiskFull, false),
            (ffi::SQLITE_IOERR_SHMSIZE, Code::DiskFull, false),
            (ffi::SQLITE_READONLY, Code::DiskReadOnly, false),
            (ffi::SQLITE_PERM, Code::DiskReadOnly, false),
            (ffi::SQLITE_BUSY, Code::BackendUnavailable, true),
            (ffi::SQLITE_IOERR_FSYNC, Code::BackendUnavailable, true),
            (ffi::SQLITE_CANTOPEN, Code::BackendUnavailable, true),
            (ffi::SQLITE_CORRUPT, Code::BackendUnavailable, false),
            (ffi::SQLITE_NOTADB, Code::BackendUnavailable, false),
        ] {
            let fault = of(sqlite);
            assert_eq!((fault.code, fault.transient), (code, transient), "{fault}");
            assert!(fault.message.contains("data/pixmill.db"), "{fault}");
        }
    }
}
