//! Folders in which something is made ready, beside where it goes, so that it can be renamed into its place.
//!
//! They are removed when the work is over, and at a signal. Of a process that was killed the next one removes them: a lock
//! says whether whoever made one still lives.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

/// What their names begin with.
pub(super) const BEGINNING: &str = ".pixmill-part-";

/// In each, locked for as long as its process lives.
const LOCK: &str = "lock";

/// One that has something in it and no lock may just be going.
const JUST_MADE: Duration = Duration::from_secs(60);

/// Those of this process.
static MINE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder of this process's own, gone once it is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: TempDir,
    _alive: File,
}

impl Staging {
    /// One in a folder that is there, in which those of the dead are removed.
    pub(super) fn within(folder: &Path) -> io::Result<Self> {
        sweep(folder);
        loop {
            let made = tempfile::Builder::new().prefix(BEGINNING).tempdir_in(folder)?;
            match File::create(made.path().join(LOCK)) {
                // Another process took it for one of the dead.
                Err(error) if error.kind() == ErrorKind::NotFound && folder.exists() => {}
                Err(error) => return Err(error),
                Ok(alive) => {
                    alive.lock()?;
                    mine().push(made.path().to_owned());
                    return Ok(Staging { folder: made, _alive: alive });
                }
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        mine().retain(|path| path != self.folder.path());
    }
}

fn mine() -> MutexGuard<'static, Vec<PathBuf>> {
    MINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps signals from ending the process while this is held.
pub(super) fn unstoppable() -> MutexGuard<'static, Vec<PathBuf>> {
    mine()
}

/// Removes what this process has half made, for it is about to end. Waits for what must not be stopped.
pub(crate) fn forsake() {
    let mine = mine();
    mine.iter().for_each(|path| drop(fs::remove_dir_all(path)));
    // Nothing more is begun.
    std::mem::forget(mine);
}

/// Removes what processes that are gone have left. What can't be removed does no harm.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(BEGINNING)) {
            let path = entry.path();
            // One in which nothing is yet has no lock: whoever has just made it makes another.
            let _ = if is_left(&path) { fs::remove_dir_all(&path) } else { fs::remove_dir(&path) };
        }
    }
}

fn is_left(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let age = fs::metadata(folder).and_then(|found| found.modified()).map(|made| made.elapsed());
            age.is_ok_and(|age| age.is_ok_and(|age| age > JUST_MADE))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_dead_is_removed_and_the_living_keep_theirs() {
        let parent = tempfile::tempdir().unwrap();
        let living = Staging::within(parent.path()).unwrap();
        let dead = parent.path().join(format!("{BEGINNING}dead"));
        let other = parent.path().join("other");
        let unborn = parent.path().join(format!("{BEGINNING}unborn"));
        fs::create_dir(&unborn).unwrap();
        for folder in [&dead, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(LOCK), "").unwrap();
        }
        let third = Staging::within(parent.path()).unwrap();
        assert!(living.path().exists() && third.path().exists() && other.exists());
        assert!(!dead.exists() && !unborn.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
