//! Where outputs are while they are being written: a folder for each process that shares a storage.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// In a process's folder, locked for as long as the process lives.
const LOCK: &str = "lock";

/// A folder of this process's own.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) folder: PathBuf,
    /// The system gives it up when the process dies, however it dies.
    _alive: File,
}

impl Temporary {
    /// Makes a folder below `parent`, and removes those whose processes are gone.
    pub(super) fn claim(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Whoever makes a folder has locked it before anyone else looks.
        let gate = File::create(parent.join(LOCK))?;
        gate.lock()?;
        for entry in fs::read_dir(parent)? {
            let folder = entry?.path();
            if folder.is_dir() && !is_alive(&folder) {
                fs::remove_dir_all(&folder)?;
            }
        }
        let folder = parent.join(Uuid::new_v4().to_string());
        fs::create_dir(&folder)?;
        let alive = File::create(folder.join(LOCK))?;
        alive.lock()?;
        Ok(Temporary { folder, _alive: alive })
    }
}

/// Whether the process that made a folder still holds its lock.
fn is_alive(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_dead_is_removed_and_the_living_keep_theirs() {
        let parent = tempfile::tempdir().unwrap();
        let living = Temporary::claim(parent.path()).unwrap();
        let dead = Temporary::claim(parent.path()).unwrap().folder;
        fs::write(living.folder.join("0.part"), b"half").unwrap();
        fs::write(dead.join("0.part"), b"half").unwrap();
        let third = Temporary::claim(parent.path()).unwrap();
        assert!(living.folder.join("0.part").exists() && third.folder.exists());
        assert!(!dead.exists());
    }
}
