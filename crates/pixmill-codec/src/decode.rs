//! Bytes to pixels, one file a format. What is broken fails. A picture whose every row can be decoded is whole, whatever
//! lacks behind it; one that lacks rows fails, unless that is allowed and more than 90 % of them are there. Of a WebP and
//! an AVIF nobody can tell how much is there, so they always fail.

#[cfg(feature = "avif")]
mod avif;
mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;
#[cfg(feature = "avif")]
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
    match header.format {
        SourceFormat::Jpeg => jpeg::decode(bytes, header, wanted, limits, arena),
        SourceFormat::Png => png::decode(bytes, header, limits),
        SourceFormat::Webp => webp::decode(bytes, header),
        SourceFormat::Gif => gif::decode(bytes, header, limits),
        SourceFormat::Tiff => tiff::decode(bytes, header, limits, arena),
        SourceFormat::Bmp => bmp::decode(bytes, header, limits),
        #[cfg(feature = "avif")]
        SourceFormat::Avif => avif::decode(bytes, header, limits),
        #[cfg(not(feature = "avif"))]
        SourceFormat::Avif => Err(crate::error::without_avif()),
    }
}

fn cut_short() -> Error {
    crate::error::corrupt("the picture is cut short")
}

/// Accepts a picture all of whose rows are there, or, where that is allowed, more than 90 % of them.
fn enough_rows(there: usize, height: u32, limits: &Limits) -> Result<(), Error> {
    let (there, height) = (there as u64, u64::from(height));
    if there >= height || limits.lenient && there * 10 > height * 9 { Ok(()) } else { Err(cut_short()) }
}
