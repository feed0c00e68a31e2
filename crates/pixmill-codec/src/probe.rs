//! What a picture is and what decoding it will cost, from its header alone.

use crate::{Error, Limits, Recipe, SourceFormat, container, memory};

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Sniffed from the bytes, never from a name.
    pub format: SourceFormat,
    /// Pixels, as stored (before orientation is applied).
    pub width: u32,
    /// Pixels, as stored.
    pub height: u32,
    /// An upper estimate of the memory that recompressing by the recipe takes beside the source, in bytes.
    pub memory_bytes: u64,
}

/// Reads a picture's header and holds it against the limits.
///
/// # Errors
/// [`crate::ErrorKind::Empty`], [`crate::ErrorKind::Unsupported`], [`crate::ErrorKind::Corrupt`],
/// [`crate::ErrorKind::TooManyPixels`], or [`crate::ErrorKind::TooSlow`] for a JPEG of too many scans.
pub fn probe(bytes: &[u8], recipe: &Recipe, limits: &Limits) -> Result<Probe, Error> {
    let header = container::read(bytes, limits)?;
    let memory_bytes = memory::bytes(&header, recipe, bytes.len() as u64);
    Ok(Probe { format: header.format, width: header.width, height: header.height, memory_bytes })
}
