//! Whether there is room for what is to be written, so that it is told before rather than in the middle.

use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

use crate::display::units::Bytes;
use crate::figures::disks::room;

/// # Errors
/// `disk.full` when a folder's disk has less room than that. Where a disk does not say, it is tried.
pub(super) fn needed(folder: &Path, bytes: u64, what: &str) -> Result<(), Fault> {
    // Some kinds of disks have no bounds, and say 0 of all.
    match room(folder).filter(|(_, size)| *size > 0) {
        Some((free, _)) if free < bytes => {
            let told = format!(
                "{what} needs {} in {}, and {} are free there",
                Bytes(bytes),
                folder.display(),
                Bytes(free)
            );
            Err(Fault::permanent(Code::DiskFull, told))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(needed(folder.path(), 1, "a backup"), Ok(()));
        if cfg!(unix) {
            let fault = needed(folder.path(), u64::MAX, "a backup").unwrap_err();
            assert_eq!(fault.code, Code::DiskFull);
            assert!(fault.message.contains("a backup needs"), "{fault}");
        }
    }
}
