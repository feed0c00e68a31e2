//! JPEG through zune-jpeg, or where it is wanted smaller through our own reader.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::{Wanted, enough_rows};
use crate::container::Header;
use crate::container::jpeg::{Encoding, Structure};
use crate::error::corrupt;
use crate::jpeg::{self, Arena, Asked};
use crate::raster::{Layout, Raster};
use crate::{Error, color};

/// Decodes to grey, RGB, YCbCr if wanted, or CMYK.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    wanted: Wanted,
    arena: &mut Arena,
) -> Result<Raster, Error> {
    let Some(structure) = &header.jpeg else { return Err(corrupt("a JPEG without a picture")) };
    if let Some(shrink) = wanted.shrink
        && let Some(raster) = jpeg::shrunk(bytes, shrink, arena)?
    {
        return Ok(if wanted.ycbcr { raster } else { color::ycbcr_to_rgb(raster) });
    }
    let (space, layout) = match structure.encoding {
        Encoding::Grey => (ColorSpace::Luma, Layout::Grey),
        Encoding::Ycbcr if wanted.ycbcr => (ColorSpace::YCbCr, Layout::Ycbcr),
        Encoding::Ycbcr | Encoding::Rgb => (ColorSpace::RGB, Layout::Rgb),
        Encoding::Cmyk => (ColorSpace::CMYK, Layout::Cmyk),
        Encoding::Ycck => (ColorSpace::YCCK, Layout::Cmyk),
    };
    let source = in_one_scan(bytes, structure, header, arena)?
        .unwrap_or_else(|| structure.for_decoding(header.truncated));
    let mut data = samples(&source, structure, space, header)?;
    match structure.encoding {
        Encoding::Cmyk => data.iter_mut().for_each(|sample| *sample = 255 - *sample),
        Encoding::Ycck => ycck_to_ink(&mut data),
        _ => {}
    }
    Ok(Raster::new(header.width, header.height, layout, data))
}

/// A sequential picture of several scans, written again in one, coefficients as they are: zune-jpeg 0.5 reads the rows of
/// brightness wrongly where each component has a scan of its own and colour is smaller. `None` for other pictures.
fn in_one_scan(
    bytes: &[u8],
    structure: &Structure,
    header: &Header,
    arena: &mut Arena,
) -> Result<Option<Vec<u8>>, Error> {
    let sequential = !structure.frame.progressive();
    if !sequential || !header.staged || header.truncated || structure.encoding != Encoding::Ycbcr {
        return Ok(None);
    }
    let as_it_is = Asked { quality: 100, progressive: false, segments: &[] };
    Ok(jpeg::read(bytes, arena)?.and_then(|picture| picture.write_as_it_is(&as_it_is, arena)))
}

fn samples(
    source: &[u8],
    structure: &Structure,
    space: ColorSpace,
    header: &Header,
) -> Result<Vec<u8>, Error> {
    let broken = |error: &dyn std::fmt::Debug| corrupt(format!("the JPEG can't be decoded: {error:?}"));
    // Strict, so that codes that don't exist and data that end early are errors, not grey areas.
    let options = DecoderOptions::default()
        .set_strict_mode(!header.truncated)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(usize::MAX)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), options);
    decoder.decode_headers().map_err(|error| broken(&error))?;
    let wanted = header.width as usize * header.height as usize * space.num_components();
    if decoder.output_buffer_size() != Some(wanted) {
        return Err(corrupt("a JPEG whose headers contradict each other"));
    }
    let mut data = vec![0; wanted];
    decoder.decode_into(&mut data).map_err(|error| broken(&error))?;
    if header.truncated {
        // Of a progressive picture nobody can tell how much is missing.
        let there = if structure.frame.progressive() {
            0
        } else {
            rows_there(&data, header.height, space.num_components())
        };
        enough_rows(there, header.height)?;
    }
    Ok(data)
}

/// Rows before the flat area, in the colour that came last, which the decoder leaves below a picture that is cut short.
/// A picture that ends in a flat area of its own counts as shorter than it is, never as longer.
fn rows_there(data: &[u8], height: u32, components: usize) -> usize {
    let last = &data[data.len() - components..];
    let missing = data.rchunks_exact(components).take_while(|pixel| *pixel == last).count() * components;
    height as usize - missing.div_ceil(data.len() / height as usize)
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
