//! How many backups a folder keeps.

use std::fs;
use std::path::{Path, PathBuf};

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;

use super::{read, unwritable};

const BEGINNING: &str = "pixmill-";
const ENDING: &str = ".tar";

/// What a backup of this time is called in a folder.
pub(super) fn name(time: Timestamp) -> String {
    format!("{BEGINNING}{}{ENDING}", time.in_a_name())
}

/// Removes all but the newest backups of a folder; those that were removed. Whatever is called otherwise, or is none,
/// stays.
///
/// # Errors
/// `disk.*`.
pub(super) fn newest(folder: &Path, kept: usize) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(folder).map_err(|error| unwritable(folder, &error))?;
    let mut backups: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_name))
        .map(|entry| entry.path())
        .filter(|path| read::is_backup(path))
        .collect();
    backups.sort();
    backups.truncate(backups.len().saturating_sub(kept));
    for old in &backups {
        fs::remove_file(old).map_err(|error| unwritable(old, &error))?;
    }
    Ok(backups)
}

fn is_name(name: &str) -> bool {
    let time = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| {
        time.len() == 15
            && time
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_backups_are_given_are_theirs() {
        assert!(is_name(&name(Timestamp(1_700_000_000_000))));
        for other in ["pixmill-1.tar", "pixmill-20231114-2213200.tar", "pixmill-20231114+221320.tar", "a.tar"]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
