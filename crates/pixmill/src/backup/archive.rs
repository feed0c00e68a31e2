//! The tar that a backup is: `manifest.json`, files, outputs, and last the digest of all that comes before it. So a byte
//! that was changed anywhere is found, and an end that is missing too; and any tar program can read it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::held::{self, BLOCK, Summed};
use super::manifest::Manifest;

/// The first entry.
pub(super) const MANIFEST: &str = "manifest.json";

/// The last entry, and the length of what it holds: 64 digits and a line end.
pub(super) const DIGEST: &str = "sha256";
pub(super) const DIGEST_BYTES: u64 = 65;

/// What comes at the end: the last entry, and two empty blocks.
pub(super) const END_BYTES: u64 = 4 * BLOCK as u64;

/// What names of outputs begin with.
pub(super) const OUTPUTS: &str = "outputs/";

/// A tar that is being written.
pub(super) struct Archive<W: Write> {
    tar: Builder<Summed<BufWriter<W>>>,
}

/// The head of an entry, which says nothing of who made it when.
pub(super) fn head(bytes: u64) -> Header {
    let mut head = Header::new_gnu();
    head.set_entry_type(EntryType::Regular);
    head.set_mode(0o600);
    head.set_size(bytes);
    head
}

impl<W: Write> Archive<W> {
    pub(super) fn begin(to: W, manifest: &Manifest) -> io::Result<Self> {
        let mut archive =
            Archive { tar: Builder::new(Summed::new(BufWriter::with_capacity(held::PIECE, to))) };
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        archive.add(MANIFEST, text.len() as u64, &text[..])?;
        Ok(archive)
    }

    /// Adds an entry of so many bytes.
    pub(super) fn add(&mut self, name: &str, bytes: u64, from: impl Read) -> io::Result<()> {
        self.tar.append_data(&mut head(bytes), name, from.take(bytes))
    }

    /// Adds a file as long as it is now.
    pub(super) fn add_file(&mut self, name: &str, path: &Path, watch: impl FnMut(u64)) -> io::Result<()> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut watched = Watched { file, read: 0, watch };
        self.add(name, bytes, &mut watched)?;
        match watched.read {
            read if read < bytes => Err(io::Error::other(format!("{} became shorter", path.display()))),
            _ => Ok(()),
        }
    }

    /// How many bytes there are by now.
    pub(super) fn bytes(&self) -> u64 {
        self.tar.get_ref().bytes
    }

    /// Ends it; all is written through.
    pub(super) fn end(mut self) -> io::Result<W> {
        let digest = held::hex(self.tar.get_ref().digest.clone());
        self.add(DIGEST, DIGEST_BYTES, format!("{digest}\n").as_bytes())?;
        let written = self.tar.into_inner()?.inner;
        written.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Tells how much of a file was read.
struct Watched<F: FnMut(u64)> {
    file: File,
    read: u64,
    watch: F,
}

impl<F: FnMut(u64)> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        (self.watch)(self.read);
        Ok(read)
    }
}
