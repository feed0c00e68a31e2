//! JPEG through our own reader: whole, or where it is wanted smaller at a half, a quarter or an eighth of its size.

use super::Wanted;
use crate::container::Header;
use crate::container::jpeg::Encoding;
use crate::error::corrupt;
use crate::jpeg::{self, Arena};
use crate::raster::{Layout, Raster};
use crate::{Error, ErrorKind, Limits, color};

/// Decodes to grey, RGB, YCbCr if wanted, or CMYK.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    wanted: Wanted,
    limits: &Limits,
    arena: &mut Arena,
) -> Result<Raster, Error> {
    let Some(structure) = &header.jpeg else { return Err(corrupt("a JPEG without a picture")) };
    if let Some(shrink) = wanted.shrink {
        match jpeg::shrunk(bytes, shrink, arena) {
            Ok(Some(raster)) => return Ok(if wanted.ycbcr { raster } else { color::ycbcr_to_rgb(raster) }),
            // Rows may be missing, of which there are enough.
            Err(error) if !(limits.lenient && error.kind == ErrorKind::Corrupt) => return Err(error),
            _ => {}
        }
    }
    let layout = match structure.encoding {
        Encoding::Grey => Layout::Grey,
        Encoding::Ycbcr => Layout::Ycbcr,
        Encoding::Rgb => Layout::Rgb,
        Encoding::Cmyk | Encoding::Ycck => Layout::Cmyk,
    };
    let mut raster = jpeg::samples(&structure.for_decoding(header.truncated), layout, limits, arena)?;
    match structure.encoding {
        Encoding::Cmyk => raster.data.iter_mut().for_each(|sample| *sample = 255 - *sample),
        Encoding::Ycck => ycck_to_ink(&mut raster.data),
        _ => {}
    }
    Ok(if wanted.ycbcr { raster } else { color::ycbcr_to_rgb(raster) })
}

/// Adobe's YCCK holds inverted ink: what reads as RGB is CMY, and K is turned round.
fn ycck_to_ink(data: &mut [u8]) {
    let byte = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
    for pixel in data.as_chunks_mut::<4>().0 {
        let [y, cb, cr] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
        pixel[0] = byte(y + 1.402 * cr);
        pixel[1] = byte(y - 0.344_136 * cb - 0.714_136 * cr);
        pixel[2] = byte(y + 1.772 * cb);
        pixel[3] = 255 - pixel[3];
    }
}
