//! Putting files in the place of others, which are kept aside, for whoever owns the place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixmill_engine::model::time::Timestamp;

use crate::wiring::records_file;

/// Makes a folder that only its owner may enter, where there is none; whose the folder above is, who has it.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    records_file::private_folder(path)?;
    if let Some(owner) = missing.last().and_then(|made| Owner::of(super::parent(made))) {
        missing.iter().try_for_each(|made| owner.give(made))?;
    }
    Ok(())
}

/// The name of the folder aside, in the folder of what it keeps.
pub(super) fn aside(now: Timestamp, folders: &[&Path]) -> String {
    let name = |second| format!("before-restore-{}", (now + Duration::from_secs(second)).in_a_name());
    let is_free = |name: &String| folders.iter().all(|folder| !folder.join(name).exists());
    (0..).map(name).find(is_free).expect("one second of all is free")
}

/// Something that is ready, and where it goes.
#[derive(Debug)]
pub(super) struct Move {
    /// On the same file system as its place.
    pub(super) ready: PathBuf,
    /// Its place.
    pub(super) place: PathBuf,
    /// Where what is in its place now is kept.
    pub(super) aside: PathBuf,
}

impl Move {
    /// Keeps a file that is in the place by a second name, so that the place is never empty. A folder stays.
    pub(super) fn keep(&self) -> io::Result<()> {
        if !self.place.is_file() {
            return Ok(());
        }
        self.make_aside()?;
        fs::hard_link(&self.place, &self.aside).or_else(|_| {
            // Some file systems know no second name for a file.
            fs::copy(&self.place, &self.aside)?;
            fs::File::open(&self.aside)?.sync_all()
        })?;
        records_file::sync_folder(&self.aside)
    }

    /// Puts it in its place.
    pub(super) fn put(&self) -> io::Result<()> {
        if self.place.is_dir() {
            self.make_aside()?;
            fs::rename(&self.place, &self.aside)?;
        }
        fs::rename(&self.ready, &self.place)?;
        records_file::sync_folder(&self.place)
    }

    fn make_aside(&self) -> io::Result<()> {
        folder(super::parent(&self.aside))?;
        records_file::sync_folder(super::parent(&self.aside))
    }
}

/// What SQLite has left beside records goes aside with them: it belongs to nothing else.
pub(super) fn keep_beside(records: &Path, aside: &Path) -> io::Result<()> {
    for ending in records_file::BESIDE {
        let (left, kept) = (records_file::beside(records, ending), records_file::beside(aside, ending));
        if left.exists() {
            folder(super::parent(&kept))?;
            fs::rename(&left, &kept)?;
        }
    }
    Ok(())
}

/// Whose a folder is, where that is somebody other than whoever runs this and may give things away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    #[cfg(unix)]
    ids: (u32, u32),
}

#[cfg(unix)]
impl Owner {
    pub(super) fn of(folder: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = fs::metadata(folder).ok()?;
        let may_give = rustix::process::geteuid().is_root() && found.uid() != 0;
        may_give.then(|| Owner { ids: (found.uid(), found.gid()) })
    }

    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::lchown(path, Some(self.ids.0), Some(self.ids.1))
    }
}

#[cfg(not(unix))]
impl Owner {
    pub(super) fn of(_folder: &Path) -> Option<Self> {
        None
    }

    pub(super) fn give(self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Says whose a path is, where it is not whoever's runs this.
#[cfg(unix)]
pub(super) fn whose(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let found = path.ancestors().filter(|path| !path.as_os_str().is_empty());
    match found.filter_map(|path| Some((path, fs::metadata(path).ok()?))).next() {
        Some((path, found)) if found.uid() != uid => format!(
            ". {} belongs to {}:{}, and this is run by {uid}:{gid}: run it as the owner (sudo -u '#{}' pixmill …) or as \
             root",
            path.display(),
            found.uid(),
            found.gid(),
            found.uid()
        ),
        _ => String::new(),
    }
}

#[cfg(not(unix))]
pub(super) fn whose(_path: &Path) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_move(folder: &Path, name: &str) -> Move {
        Move { ready: folder.join("ready"), place: folder.join(name), aside: folder.join("aside").join(name) }
    }

    #[test]
    fn a_file_is_replaced_and_the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let a_move = a_move(folder.path(), "file");
        fs::write(&a_move.place, "old").unwrap();
        fs::write(&a_move.ready, "new").unwrap();
        a_move.keep().unwrap();
        assert_eq!(fs::read(&a_move.place).unwrap(), b"old", "it stays until the new one is there");
        a_move.put().unwrap();
        assert_eq!(fs::read(&a_move.place).unwrap(), b"new");
        assert_eq!(fs::read(&a_move.aside).unwrap(), b"old");
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let a_move = a_move(folder.path(), "pictures");
        for (path, name) in [(&a_move.place, "old"), (&a_move.ready, "new")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join(name), name).unwrap();
        }
        a_move.keep().unwrap();
        a_move.put().unwrap();
        assert!(a_move.place.join("new").exists() && !a_move.place.join("old").exists());
        assert!(a_move.aside.join("old").exists());
    }

    #[test]
    fn where_nothing_was_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let a_move = a_move(folder.path(), "file");
        fs::write(&a_move.ready, "new").unwrap();
        a_move.keep().unwrap();
        a_move.put().unwrap();
        assert!(a_move.place.exists() && !folder.path().join("aside").exists());
    }

    #[test]
    fn each_restore_keeps_what_was_there_in_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = aside(Timestamp(0), &[folder.path()]);
        assert_eq!(first, "before-restore-19700101-000000");
        fs::create_dir(folder.path().join(&first)).unwrap();
        assert_eq!(aside(Timestamp(0), &[folder.path()]), "before-restore-19700101-000001");
    }
}
