//! Folders: why one can't be written to.

use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

/// The fault, with the reason where a folder can't be written to because it is somebody else's, or because the process is
/// kept out of it: both befall whoever runs pixmill in a container or under systemd.
#[cfg(unix)]
pub(super) fn explained(fault: Fault, place: &Path) -> Fault {
    use std::os::unix::fs::MetadataExt;
    if fault.code != Code::DiskReadOnly {
        return fault;
    }
    let Some((folder, found)) = place.ancestors().find_map(|above| Some((above, above.metadata().ok()?)))
    else {
        return fault;
    };
    let (own, user) = (found.uid(), rustix::process::geteuid().as_raw());
    let folder = folder.display();
    let why = match tempfile::tempfile_in(place.parent().unwrap_or(place)) {
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => format!(
            "the file system is read-only for this process: a container needs a volume there, a systemd service \
             ReadWritePaths={folder}"
        ),
        _ if user != 0 && own != user => format!(
            "{folder} belongs to {own}:{}, and pixmill runs as {user}: chown -R {user} {folder}, or run it as {own}",
            found.gid()
        ),
        _ => return fault,
    };
    Fault { message: format!("{}; {why}", fault.message), ..fault }
}

/// The system is not asked.
#[cfg(not(unix))]
pub(super) fn explained(fault: Fault, _place: &Path) -> Fault {
    fault
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn other_faults_and_folders_of_ones_own_are_told_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for code in [Code::DiskFull, Code::DiskReadOnly] {
            let fault = Fault::permanent(code, "it can't be written");
            assert_eq!(explained(fault.clone(), &folder.path().join("a/b")), fault);
        }
    }
}
