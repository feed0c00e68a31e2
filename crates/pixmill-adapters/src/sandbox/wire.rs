//! What a sandbox and its child say to each other: a length of four bytes, so much JSON, then, where it says so, the
//! bytes of a picture.
//!
//! Neither side takes more than it has said it would: a child may have fallen to the picture that it holds, so nothing
//! it says is trusted beyond its form.

use std::io::{self, ErrorKind, IoSlice, Write};

use pixmill_codec::{Limits, OutputFormat, Recipe};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes of a head.
const HEAD_BYTES: usize = 64 << 10;

/// Bytes that say how long a head is.
pub(super) const LENGTH_BYTES: usize = 4;

/// A picture to recompress, whose bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) recipe: Recipe,
    pub(super) max_pixels: u64,
    pub(super) max_scans: u32,
    pub(super) lenient: bool,
    pub(super) source_bytes: u64,
    /// So many of them, at their end, are what was made of the picture before: the two are held against each other, and
    /// nothing is made.
    pub(super) result_bytes: u64,
    /// What may be taken without asking.
    pub(super) free: Needs,
}

impl Order {
    pub(super) fn limits(&self) -> Limits {
        Limits { max_pixels: self.max_pixels, max_scans: self.max_scans, lenient: self.lenient }
    }
}

/// What a picture takes, told from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Needs {
    /// Beside the source.
    pub(super) memory_bytes: u64,
    /// Before it is made smaller.
    pub(super) pixels: u64,
}

impl Needs {
    pub(super) fn within(self, other: Needs) -> bool {
        self.memory_bytes <= other.memory_bytes && self.pixels <= other.pixels
    }
}

/// Go on: there is room for what was asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Granted;

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is up, within these walls.
    Ready(Walls),
    /// More is needed than is free.
    Asks(Needs),
    /// The picture, whose bytes follow.
    Done {
        format: OutputFormat,
        width: u32,
        height: u32,
        frames: u32,
        kept_source: bool,
        bytes: u64,
        /// What its header said that it takes: the next one may be like it.
        memory_bytes: u64,
    },
    /// How alike the two are.
    Judged { score: f64 },
    /// The codec's refusal, by its code.
    Refused { code: String, message: String },
    /// The codec panicked, and said this.
    Panicked { message: String },
}

/// What keeps a child in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walls {
    /// No system call but those for memory, time and the two pipes.
    pub(super) calls: bool,
    /// No file and no network, kept once more.
    pub(super) files: bool,
}

/// A head as it is sent.
pub(super) fn framed(head: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, head)?;
    let length = (frame.len() - LENGTH_BYTES) as u32;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// The next head.
pub(super) async fn next<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut length = [0; LENGTH_BYTES];
    from.read_exact(&mut length).await?;
    let mut head = vec![0; head_bytes(length)?];
    from.read_exact(&mut head).await?;
    Ok(serde_json::from_slice(&head)?)
}

/// How long a head is.
pub(super) fn head_bytes(length: [u8; LENGTH_BYTES]) -> io::Result<usize> {
    let length = u32::from_le_bytes(length) as usize;
    if length > HEAD_BYTES {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("a head of {length} bytes")));
    }
    Ok(length)
}

/// Writes a head and the bytes that follow it, in one call where the pipe has room.
pub(super) fn write(to: &mut impl Write, head: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let head = framed(head)?;
    let written = to.write_vectored(&[IoSlice::new(&head), IoSlice::new(body)])?;
    to.write_all(head.get(written..).unwrap_or_default())?;
    to.write_all(&body[written.saturating_sub(head.len())..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_same_however_little_goes_at_a_time() {
        struct Narrow(Vec<u8>);
        impl Write for Narrow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend(bytes.first());
                Ok(bytes.len().min(1))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let needs = Needs { memory_bytes: 7, pixels: 9 };
        let (mut narrow, mut wide) = (Narrow(Vec::new()), Vec::new());
        write(&mut narrow, &needs, b"picture").unwrap();
        write(&mut wide, &needs, b"picture").unwrap();
        assert_eq!(narrow.0, wide);
        let head = &wide[LENGTH_BYTES..wide.len() - b"picture".len()];
        assert_eq!(head_bytes(wide[..LENGTH_BYTES].try_into().unwrap()).unwrap(), head.len());
        assert_eq!(serde_json::from_slice::<Needs>(head).unwrap(), needs);
        assert!(wide.ends_with(b"picture"));
    }
}
