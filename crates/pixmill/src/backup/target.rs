//! Where a backup goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::{keep, parent, read, unwritable};

/// What a name must end with to be a file's.
const ENDING: &str = "tar";

/// Where a backup goes, as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// To standard output.
    Output,
    /// A file of this name, which may be an older backup.
    File(PathBuf),
    /// A file named by the time, in this folder.
    Folder(PathBuf),
}

impl Target {
    /// A name that ends with `.tar` is a file's, any other one a folder's, but for `-`.
    pub(crate) fn of(said: &Path) -> Self {
        match said.extension() {
            _ if said == Path::new("-") => Target::Output,
            Some(extension) if extension == ENDING && !said.is_dir() => Target::File(said.to_owned()),
            _ => Target::Folder(said.to_owned()),
        }
    }

    /// The folder that the file will be in, made where it is missing; none for standard output.
    ///
    /// # Errors
    /// `disk.*`, `backup.invalid` when something that is no backup would be overwritten.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, Fault> {
        let folder = match self {
            Target::Output => return Ok(None),
            Target::Folder(folder) => folder.clone(),
            Target::File(file) => parent(file).to_owned(),
        };
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        if let Target::File(file) = self {
            match fs::symlink_metadata(file) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unwritable(file, &error)),
                Ok(_) if read::is_backup(file) => {}
                Ok(_) => {
                    let told =
                        "it is there already and is no backup, so it is left alone: choose another name";
                    return Err(super::unusable(file, told));
                }
            }
        }
        Ok(Some(folder))
    }

    /// Gives a file that is whole its name; in a folder, the first that is free.
    ///
    /// # Errors
    /// `disk.*`.
    pub(super) fn name(&self, whole: &Path, now: Timestamp) -> Result<PathBuf, Fault> {
        match self {
            Target::File(file) => {
                fs::rename(whole, file).map_err(|error| unwritable(file, &error)).map(|()| file.clone())
            }
            Target::Folder(folder) => {
                // Names are to the second, and sort by time: whoever comes second in one gets the next.
                for second in 0.. {
                    let time = now + std::time::Duration::from_secs(second);
                    let file = folder.join(keep::name(time));
                    match fs::hard_link(whole, &file) {
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        Err(_) if !file.exists() => {
                            // Some file systems know no second name for a file.
                            let renamed = fs::rename(whole, &file);
                            return renamed.map_err(|error| unwritable(&file, &error)).map(|()| file);
                        }
                        Err(error) => return Err(unwritable(&file, &error)),
                        Ok(()) => {
                            // Its other name goes with the folder in which it was made.
                            return Ok(file);
                        }
                    }
                }
                unreachable!("one second of all is free")
            }
            Target::Output => Ok(PathBuf::from("-")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_it_is_a_file_or_a_folder() {
        assert_eq!(Target::of(Path::new("-")), Target::Output);
        assert_eq!(Target::of(Path::new("a/b.tar")), Target::File("a/b.tar".into()));
        for folder in ["a", "a/", "a.d", "/var/backups/pixmill"] {
            assert_eq!(Target::of(Path::new(folder)), Target::Folder(folder.into()));
        }
    }

    #[test]
    fn what_is_no_backup_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("photos.tar");
        fs::write(&file, "not a backup").unwrap();
        assert!(Target::of(&file).folder().is_err());
        assert_eq!(fs::read(&file).unwrap(), b"not a backup");
    }

    #[test]
    fn two_backups_of_one_second_get_two_names() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Folder(folder.path().to_owned());
        let names: Vec<_> = (0..2)
            .map(|number| {
                let whole = folder.path().join(format!("whole-{number}"));
                fs::write(&whole, number.to_string()).unwrap();
                target.name(&whole, Timestamp(1_700_000_000_000)).unwrap()
            })
            .collect();
        assert_eq!(names[0].file_name().unwrap(), "pixmill-20231114-221320.tar");
        assert_eq!(names[1].file_name().unwrap(), "pixmill-20231114-221321.tar");
        assert_eq!(fs::read(&names[0]).unwrap(), b"0");
    }
}
