//! A file made of others, as spreadsheets are: ZIP. Sizes are judged by its directory before anything is unpacked, and what
//! is unpacked is counted.

use std::collections::HashMap;
use std::io::{self, Read};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};

/// The largest file that is taken, in bytes: it is held in memory.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// Files within that are looked at.
const MOST_PARTS: usize = 100_000;

/// A part may become so many times larger, and this much in any case: spreadsheets become twenty times larger, bombs a
/// thousand times.
const MOST_TIMES_LARGER: u64 = 200;
const BYTES_IN_ANY_CASE: u64 = 64 << 20;

/// A piece of a part that has to be held at once, in bytes.
const LONGEST_PIECE: u64 = 4 << 20;

/// The files in a ZIP file.
pub(super) struct Package {
    bytes: Bytes,
    parts: HashMap<String, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    from: usize,
    to: usize,
    unpacked: u64,
    method: CompressionMethod,
    encrypted: bool,
}

impl Package {
    /// Reads the directory.
    ///
    /// # Errors
    /// A sentence's end for what is no whole ZIP file.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let damaged = |error: rawzip::Error| format!("can't be unpacked ({error})");
        let mut parts = HashMap::new();
        let archive = ZipArchive::from_slice(bytes.as_slice()).map_err(damaged)?;
        for entry in archive.entries().take(MOST_PARTS) {
            let entry = entry.map_err(damaged)?;
            let Ok(part) = archive.get_entry(entry.wayfinder()) else { continue };
            let (from, to) = part.compressed_data_range();
            let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to)) else { continue };
            let name = String::from_utf8_lossy(entry.file_path().as_bytes()).replace('\\', "/");
            let place = Place {
                from,
                to,
                unpacked: entry.uncompressed_size_hint(),
                method: entry.compression_method(),
                encrypted: entry.flags().is_encrypted(),
            };
            parts.insert(name.trim_start_matches('/').to_owned(), place);
        }
        Ok(Package { parts, bytes: Bytes::from(bytes) })
    }

    /// Whether there is a part of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// The names of all parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// What a part says of its size, in bytes.
    pub(super) fn size(&self, name: &str) -> u64 {
        self.parts.get(name).map_or(0, |place| place.unpacked)
    }

    /// Opens a part.
    ///
    /// # Errors
    /// A sentence's end, when there is no such part, or when it would become too large.
    pub(super) fn part(&self, name: &str) -> io::Result<Part> {
        let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        let Some(place) = self.parts.get(name) else { return refused(format!("'{name}' is not in it")) };
        let most = BYTES_IN_ANY_CASE.max((place.to - place.from) as u64 * MOST_TIMES_LARGER);
        if place.unpacked > most {
            return refused(TOO_LARGE.to_owned());
        }
        let bytes = self.bytes.get(place.from..place.to).map(|_| self.bytes.slice(place.from..place.to));
        let Some(bytes) = bytes.map(Bytes::reader) else { return refused("it is cut off".to_owned()) };
        let inner = match place.method {
            _ if place.encrypted => return refused("it is encrypted".to_owned()),
            CompressionMethod::STORE => Inner::Stored(bytes),
            CompressionMethod::DEFLATE => Inner::Deflated(Box::new(DeflateDecoder::new(bytes))),
            other => return refused(format!("it is packed in a way that is not known ({other})")),
        };
        Ok(Part { inner, left: most, piece: LONGEST_PIECE })
    }
}

const TOO_LARGE: &str = "it becomes more than 200 times larger as no spreadsheet does";
const LONG_PIECE: &str = "a piece of it is longer than 4 MiB";

enum Inner {
    Stored(Reader<Bytes>),
    Deflated(Box<DeflateDecoder<Reader<Bytes>>>),
}

/// A file in a ZIP file, as it is unpacked.
pub(super) struct Part {
    inner: Inner,
    left: u64,
    piece: u64,
}

impl Part {
    /// Another piece begins.
    pub(super) fn begin_piece(&mut self) {
        self.piece = LONGEST_PIECE;
    }
}

impl Read for Part {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.inner {
            Inner::Stored(stored) => stored.read(room)?,
            Inner::Deflated(deflated) => deflated.read(room)?,
        };
        let over = |left: &mut u64| match left.checked_sub(read as u64) {
            Some(rest) => {
                *left = rest;
                false
            }
            None => true,
        };
        match () {
            () if over(&mut self.left) => Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LARGE)),
            () if over(&mut self.piece) => Err(io::Error::new(io::ErrorKind::InvalidData, LONG_PIECE)),
            () => Ok(read),
        }
    }
}
