//! Bytes to pixels, one file a format. What is broken fails. What is cut short fails too, unless that is allowed
//! and more than 90 % of the rows are there: of a baseline JPEG, a PNG or a GIF whose rows come in order. Of
//! other pictures nobody can tell how much is there, so they always fail.

mod avif;
mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;
mod yuv;

use crate::container::Header;
use crate::jpeg::{Arena, Shrink};
use crate::raster::Raster;
use crate::{Error, Limits, SourceFormat};

/// How pixels are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// YCbCr pictures needn't be turned into RGB.
    pub(crate) ycbcr: bool,
    /// A JPEG may come out that much smaller.
    pub(crate) shrink: Option<Shrink>,
}

/// Decodes the first frame.
pub(crate) fn decode(
    bytes: &[u8],
    header: &Header,
    wanted: Wanted,
    limits: &Limits,
    arena: &mut Arena,
) -> Result<Raster, Error> {
    if header.truncated && !limits.lenient {
        return Err(cut_short());
    }
    match header.format {
        SourceFormat::Jpeg => jpeg::decode(bytes, header, wanted, arena),
        SourceFormat::Png => png::decode(bytes, header, limits),
        SourceFormat::Webp => webp::decode(bytes, header),
        SourceFormat::Gif => gif::decode(bytes, header, limits),
        SourceFormat::Tiff => tiff::decode(bytes, header),
        SourceFormat::Bmp => bmp::decode(bytes, header),
        SourceFormat::Avif => avif::decode(bytes, header, limits),
    }
}

fn cut_short() -> Error {
    crate::error::corrupt("the picture is cut short")
}

/// Accepts a picture that is cut short when so many of its rows are there, else refuses it.
fn enough_rows(there: usize, height: u32) -> Result<(), Error> {
    if there as u64 * 10 > u64::from(height) * 9 { Ok(()) } else { Err(cut_short()) }
}
