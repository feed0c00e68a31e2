//! Backups of a server: one tar of the records as they were at one moment, the secret that signs webhooks, the settings,
//! and outputs where they are asked for. Taken beside a working server, and put back where none works.
//!
//! A backup gets its name once it is whole (`take`); nothing is put in the place of what is there before all of a backup
//! has been read and found right (`restore`), and what was there before is kept.

mod archive;
mod held;
mod keep;
mod manifest;
mod outputs;
mod place;
mod read;
mod restore;
mod room;
mod staging;
mod take;
mod target;
mod verify;

use std::fmt::Display;
use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

pub(crate) use manifest::Counts;
pub(crate) use restore::{Restored, Restoring, restore};
pub(crate) use staging::forsake;
pub(crate) use take::{Taken, Taking, take};
pub(crate) use target::Target;
pub(crate) use verify::verify;

/// What is told while something goes on.
pub(crate) type Tell<'t> = &'t (dyn Fn(Told<'_>) + Sync);

/// Something that goes on.
pub(crate) enum Told<'t> {
    /// So many bytes of about so many are done of this; 0 where it is not known.
    Doing(&'t str, u64, u64),
}

/// In the state folder, and in backups.
const RECORDS: &str = "pixmill.db";
const SECRET: &str = "webhook-secret";
const SETTINGS: &str = "pixmill.toml";

/// The folder that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A backup that can't be used.
fn unusable(file: &Path, why: impl Display) -> Fault {
    Fault::permanent(Code::BackupInvalid, format!("{} can't be used: {why}", file.display()))
}

/// A file or folder that can't be read or written, and whose it is where that is why.
fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    let told = format!("{} can't be read or written: {error}", path.display());
    let told = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!("no room is left for {}", path.display())
        }
        std::io::ErrorKind::PermissionDenied => format!("{told}{}", place::whose(path)),
        _ => told,
    };
    Fault::permanent(Code::of_unwritable(error.kind()), told)
}

#[cfg(test)]
mod tests;
