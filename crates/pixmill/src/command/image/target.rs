//! A file that is there as a whole or not at all.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use tempfile::{Builder, NamedTempFile};

use crate::config::options::folder_of;

/// Written beside its place, then renamed onto it.
pub(super) struct Target<'a> {
    file: NamedTempFile,
    path: &'a Path,
}

impl<'a> Target<'a> {
    /// Makes the file beside `path`, so that the rename stays on one file system.
    ///
    /// # Errors
    /// `disk.full`, `disk.read_only` or `store.rejected`.
    pub(super) fn beside(path: &'a Path) -> Result<Self, Fault> {
        let mut builder = Builder::new();
        builder.prefix(".pixmill-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // What the user's umask leaves of it, as for any file made anew.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder_of(path)).map_err(|error| fault(&error, path))?;
        Ok(Target { file, path })
    }

    /// Writes the whole file and puts it in its place.
    ///
    /// # Errors
    /// `disk.full`, `disk.read_only` or `store.rejected`; then the place is as it was.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.as_file().sync_all());
        written.map_err(|error| fault(&error, self.path))?;
        self.file.persist(self.path).map_err(|error| fault(&error.error, self.path))?;
        Ok(())
    }
}

fn fault(error: &io::Error, path: &Path) -> Fault {
    let code = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::DiskFull,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::DiskReadOnly,
        _ => Code::StoreRejected,
    };
    Fault::permanent(code, format!("{} can't be written: {error}", path.display()))
}
