//! When the last backup was made: a file in the state folder that is made anew after each, by `pixmill backup` or by
//! whatever else backs records up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pixmill_engine::checkup::Finding;

/// In the state folder.
const NAME: &str = "last-backup";

/// Records are backed up more often than that, or it is told.
const OFTEN: Duration = Duration::from_secs(2 * 86_400);

const ADVICE: &str = "Run 'pixmill backup FOLDER' each night, by pixmill-backup.timer or by cron. Where something else backs \
                      records up, let it touch 'last-backup' in the state folder after each.";

/// The file of a state folder.
pub(crate) fn mark(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// When the last one was made, as far as anybody told.
pub(crate) fn made(mark: &Path) -> Option<SystemTime> {
    fs::metadata(mark).ok()?.modified().ok()
}

/// Tells that one was made now. The file is replaced, for an older one may be another user's.
pub(crate) fn tell(data: &Path) -> io::Result<()> {
    let file = tempfile::Builder::new().prefix(".last-backup-").tempfile_in(data)?;
    file.persist(mark(data)).map(drop).map_err(|error| error.error)
}

/// How old it is, for whoever set the server up; `records` where they are a file.
pub(crate) fn finding(data: &Path, records: Option<&Path>) -> Finding {
    let age = |time: SystemTime| time.elapsed().unwrap_or_default();
    let of_records = records.and_then(|file| fs::metadata(file).ok()?.created().ok()).map(age);
    judged(made(&mark(data)).map(age), records.is_some(), of_records)
}

fn judged(age: Option<Duration>, in_a_file: bool, of_records: Option<Duration>) -> Finding {
    const ABOUT: &str = "last one";
    match age {
        Some(age) if age > OFTEN => Finding::doubtful(ABOUT, format!("made {}", ago(age)), ADVICE),
        Some(age) => Finding::well(ABOUT, format!("made {}", ago(age))),
        None if !in_a_file => {
            Finding::well(ABOUT, "none is told of: records are backed up by the database's own tools")
        }
        None if of_records.is_some_and(|age| age > OFTEN) => {
            Finding::doubtful(ABOUT, "none was made yet", ADVICE)
        }
        None => Finding::well(ABOUT, "none was made yet; 'pixmill backup FOLDER' makes one"),
    }
}

/// A time that has passed, in words.
fn ago(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} minutes ago"),
        120..2_880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixmill_engine::checkup::Severity;

    #[test]
    fn a_backup_that_is_old_or_was_never_made_is_told() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
        for (age, in_a_file, of_records, verdict, told) in [
            (hours(0), true, hours(900), Severity::Well, "made 0 minutes ago"),
            (hours(47), true, hours(900), Severity::Well, "made 47 hours ago"),
            (hours(49), true, hours(900), Severity::Doubtful, "made 2 days ago"),
            (hours(49), false, None, Severity::Doubtful, "made 2 days ago"),
            (None, true, hours(49), Severity::Doubtful, "none was made yet"),
            (None, true, hours(1), Severity::Well, "none was made yet; 'pixmill backup FOLDER' makes one"),
            (None, true, None, Severity::Well, "none was made yet; 'pixmill backup FOLDER' makes one"),
        ] {
            let found = judged(age, in_a_file, of_records);
            assert_eq!((found.severity, found.told.as_str()), (verdict, told));
            assert_eq!(found.severity == Severity::Well, found.advice.is_empty());
        }
        assert_eq!(judged(None, false, None).severity, Severity::Well, "they are not ours to back up");
    }

    #[test]
    fn one_that_was_told_is_new() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(made(&mark(folder.path())), None);
        tell(folder.path()).unwrap();
        let long_ago = SystemTime::now() - OFTEN * 2;
        fs::File::options().write(true).open(mark(folder.path())).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(finding(folder.path(), None).severity, Severity::Doubtful);
        tell(folder.path()).unwrap();
        assert_eq!(finding(folder.path(), None).told, "made 0 minutes ago");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
