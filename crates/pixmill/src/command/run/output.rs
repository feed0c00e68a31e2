//! The output folder: made, and claimed for one run at a time.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

use crate::config::options::RunOptions;

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

/// The state file that names the catalogue as it was written again.
const AGAIN: &str = "again";

/// What standard input was written to.
const STANDARD_INPUT: &str = "standard-input.csv";

/// Takes standard input in, where it is the catalogue, and finds a name for the catalogue again that leaves alone what no
/// run made.
///
/// # Errors
/// `disk.full`, `disk.read_only`, `file.missing`.
pub(super) fn taken_in(mut options: RunOptions) -> Result<RunOptions, Fault> {
    let state = options.output.join(STATE);
    if options.catalogue == Path::new("-") {
        let path = state.join(STANDARD_INPUT);
        let copied = File::create(&path).and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file));
        copied.map_err(|error| fault(&error, &options.output))?;
        options.catalogue = path;
        options.again = options.output.join(STANDARD_INPUT);
    }
    if options.output_prefix.is_none() {
        return Ok(options);
    }
    if is_spreadsheet(&options.catalogue) {
        options.again.set_extension("csv");
    }
    let marker = state.join(AGAIN);
    let mine = std::fs::read_to_string(&marker).unwrap_or_default();
    let name = PathBuf::from(options.again.file_name().unwrap_or_default());
    let other = PathBuf::from(format!("new-{}", name.display()));
    let is_free = |name: &PathBuf| {
        let path = options.output.join(name);
        name != Path::new("results.csv")
            && !same_file(&path, &options.catalogue)
            && (!path.exists() || mine.lines().any(|line| Path::new(line) == name))
    };
    let name = [name, other].into_iter().find(is_free).ok_or_else(|| {
        let message =
            format!("{} holds files of the catalogue's name that no run made", options.output.display());
        Fault::permanent(Code::StateOtherCatalogue, message)
    })?;
    std::fs::write(&marker, name.to_string_lossy().as_bytes())
        .map_err(|error| fault(&error, &options.output))?;
    options.again = options.output.join(name);
    Ok(options)
}

/// Whether a catalogue is written again as CSV, though it came as something else.
fn is_spreadsheet(catalogue: &Path) -> bool {
    let mut start = [0; 4];
    File::open(catalogue).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"PK\x03\x04"
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
