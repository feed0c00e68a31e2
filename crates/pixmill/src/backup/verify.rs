//! Whether a backup could be restored: all that restoring does, into a folder that is removed again.

use std::io::Read;
use std::path::Path;

use pixmill_engine::fault::Fault;
use tempfile::TempDir;

use super::manifest::Manifest;
use super::outputs::Amount;
use super::read::{self, Broke};
use super::staging::Staging;
use super::{Tell, parent, unwritable};

/// Reads all of a backup and looks its records through; what it holds.
///
/// # Errors
/// `backup.invalid`, and `disk.*` where its records can't be unpacked.
pub(crate) fn verify(file: &Path, tell: Tell<'_>) -> Result<(Manifest, Amount), Fault> {
    read::kind(file)?;
    let room = Room::beside(file)?;
    let mut counted = |_: &str, from: &mut dyn Read| {
        let mut from = from;
        std::io::copy(&mut from, &mut std::io::sink())
            .map_err(|error| Broke::Unusable(format!("it is damaged or cut short ({error})")))
    };
    let unpacked = read::unpack(file, room.path(), &mut counted, tell)?;
    Ok((unpacked.manifest, unpacked.outputs))
}

/// Beside the backup, where there is room for it; elsewhere where its folder may only be read.
enum Room {
    Beside(Staging),
    Elsewhere(TempDir),
}

impl Room {
    fn beside(file: &Path) -> Result<Self, Fault> {
        Staging::within(parent(file)).map(Room::Beside).or_else(|_| {
            let elsewhere = std::env::temp_dir();
            tempfile::tempdir().map(Room::Elsewhere).map_err(|error| unwritable(&elsewhere, &error))
        })
    }

    fn path(&self) -> &Path {
        match self {
            Room::Beside(staging) => staging.path(),
            Room::Elsewhere(folder) => folder.path(),
        }
    }
}
