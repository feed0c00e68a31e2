//! Outputs below a folder: how many there are, and how to come by each.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use pixmill_engine::pipeline::OUTPUTS_FOLDER;

/// How many outputs, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Files.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// Counts them. Those that go meanwhile do not count.
pub(super) fn count(root: &Path) -> io::Result<Amount> {
    let mut amount = Amount::default();
    each(root, &mut |_, path| {
        match fs::metadata(path) {
            Ok(found) => {
                amount.files += 1;
                amount.bytes += found.len();
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    Ok(amount)
}

/// Calls for each output with its location and its path. What a storage keeps beside is none.
pub(super) fn each(root: &Path, call: &mut dyn FnMut(&str, &Path) -> io::Result<()>) -> io::Result<()> {
    let mut folders = vec![OUTPUTS_FOLDER.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            // Requests are deleted meanwhile, or there is no output yet.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // Keys are text.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let location = format!("{folder}/{name}");
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(location),
                kind if kind.is_file() => call(&location, &entry.path())?,
                _ => {}
            }
        }
    }
    Ok(())
}
