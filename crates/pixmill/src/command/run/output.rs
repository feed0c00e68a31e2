//! The output folder: made, and claimed for one run at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

/// The state's folder in the output folder.
const STATE: &str = ".pixmill";

/// Makes the folder and its state folder, and locks the latter until the answer is dropped. The system drops the
/// lock of a process that dies, so that none is ever left behind.
///
/// # Errors
/// `state.busy` when another run holds it, `state.other_catalogue` when it holds results that no run made,
/// `disk.full`, `disk.read_only`.
pub(super) fn claim(output: &Path, catalogue: &Path) -> Result<File, Fault> {
    let state = output.join(STATE);
    let results = output.join("results.csv");
    if same_file(&results, catalogue) || (results.exists() && !state.exists()) {
        let message =
            format!("{} is there already and was not made by a run: it is left alone", results.display());
        return Err(Fault::permanent(Code::StateOtherCatalogue, message));
    }
    let path = state.join("lock");
    let opened = std::fs::create_dir_all(&state)
        .and_then(|()| File::options().create(true).write(true).truncate(false).open(&path));
    let lock = opened.map_err(|error| fault(&error, output))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Fault::permanent(Code::StateBusy, format!("another run works on {}", output.display())))
        }
        Err(TryLockError::Error(error)) => Err(fault(&error, output)),
    }
}

/// Whether two paths lead to one file that is there.
pub(in crate::command) fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn fault(error: &io::Error, output: &Path) -> Fault {
    let code = Code::of_unwritable(error.kind());
    Fault::permanent(code, format!("{} can't be written to: {error}", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let lock = claim(&output, Path::new("c.csv")).unwrap();
        assert_eq!(claim(&output, Path::new("c.csv")).unwrap_err().code, Code::StateBusy);
        drop(lock);
        claim(&output, Path::new("c.csv")).unwrap();
    }

    #[test]
    fn results_that_no_run_made_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results.csv");
        std::fs::write(&results, "mine").unwrap();
        for catalogue in [Path::new("c.csv"), &results] {
            assert_eq!(claim(folder.path(), catalogue).unwrap_err().code, Code::StateOtherCatalogue);
        }
        std::fs::create_dir(folder.path().join(STATE)).unwrap();
        assert!(claim(folder.path(), Path::new("c.csv")).is_ok());
        assert!(claim(folder.path(), &results).is_err(), "a catalogue is never overwritten");
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        std::fs::write(&output, "a file").unwrap();
        let fault = claim(&output, Path::new("c.csv")).unwrap_err();
        assert_eq!(fault.code, Code::DiskReadOnly);
        assert!(fault.message.contains("out"), "{fault}");
    }
}
