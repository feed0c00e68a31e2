//! BMP files: the header (Microsoft's BITMAPINFOHEADER family, OS/2's BITMAPCOREHEADER).

use super::{Colour, Header};
use crate::error::corrupt;
use crate::{Error, Limits, SourceFormat};

const RLE8: u32 = 1;
const RLE4: u32 = 2;
/// Compression that says where each channel lies in a pixel.
const BITFIELDS: u32 = 3;

/// Reads the header.
pub(super) fn header<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let broken = || corrupt("a BMP whose header is broken");
    let long = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let short = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    let (width, height) = if long(14) == Some(12) {
        (short(18).map(u32::from), short(20).map(u32::from))
    } else {
        (long(18), long(22).map(|height| (height as i32).unsigned_abs()))
    };
    let (width, height) = (width.ok_or_else(broken)?, height.ok_or_else(broken)?);
    limits.check_size(width, height)?;
    let (pixels_at, bits) = (long(10).ok_or_else(broken)? as usize, short(28).map_or(0, u64::from));
    let pixels = bytes.get(pixels_at..).unwrap_or_default();
    let mut header = Header::new(SourceFormat::Bmp, width, height, Colour::Rgb);
    header.truncated = match (long(14), long(30)) {
        (Some(12), _) => pixels.len() < height as usize * stride(width, short(24).map_or(0, u64::from)),
        (_, Some(method @ (RLE8 | RLE4))) => !runs_are_whole(pixels, height, method == RLE4),
        _ => pixels.len() < height as usize * stride(width, bits),
    };
    Ok(header)
}

/// Bytes of an uncompressed row.
pub(crate) fn stride(width: u32, bits: u64) -> usize {
    (u64::from(width) * bits).div_ceil(32) as usize * 4
}

/// Whether run-length codes go on to their end, or at least through all rows.
fn runs_are_whole(mut codes: &[u8], height: u32, four_bits: bool) -> bool {
    let mut rows = 0;
    while let [count, value, rest @ ..] = codes {
        let literals = usize::from(*value);
        let skipped = match (count, value) {
            (0, 0) => {
                rows += 1;
                0
            }
            (0, 1) => return true,
            (0, 2) => 2,
            (0, _) => if four_bits { literals.div_ceil(2) } else { literals }.next_multiple_of(2),
            _ => 0,
        };
        codes = rest.get(skipped..).unwrap_or_default();
    }
    rows >= height
}

/// Whether the fourth byte of a pixel is alpha: only a mask says so, else it is padding.
pub(crate) fn has_alpha(bytes: &[u8]) -> bool {
    let long =
        |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes);
    long(14) >= 56 && long(30) == BITFIELDS && long(66) != 0
}
