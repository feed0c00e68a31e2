//! TIFF through the tiff crate: the first directory, 1 to 16 bits, grey, RGB, palette or CMYK.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::Tag;

use crate::Error;
use crate::container::Header;
use crate::container::tiff::{palette_as_grey, refusal};
use crate::error::{corrupt, unsupported};
use crate::raster::{Layout, Raster, eight_bit};

/// Alpha by which the colours have been multiplied (TIFF 6.0, ExtraSamples).
const ASSOCIATED_ALPHA: u32 = 1;

/// Decodes to grey or RGB, with or without alpha, or CMYK.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Raster, Error> {
    let grey = palette_as_grey(bytes);
    let mut decoder = Decoder::new(Cursor::new(grey.as_deref().unwrap_or(bytes))).map_err(refusal)?;
    let pixels = header.width as usize * header.height as usize;
    let mut limits = TiffLimits::default();
    limits.decoding_buffer_size = pixels.saturating_mul(8);
    limits.intermediate_buffer_size = pixels.saturating_mul(8).saturating_add(1 << 20);
    decoder = decoder.with_limits(limits);
    let colour = decoder.colortype().map_err(refusal)?;
    let extra = decoder.get_tag_u32_vec(Tag::ExtraSamples).unwrap_or_default();
    let layout = match colour {
        ColorType::Gray(1 | 2 | 4 | 8) if grey.is_some() => Layout::Rgb,
        ColorType::Gray(1 | 2 | 4 | 8 | 16) if grey.is_none() => Layout::Grey,
        ColorType::Multiband { bit_depth: 8 | 16, num_samples: 2 } if !extra.is_empty() => Layout::GreyAlpha,
        ColorType::RGB(8 | 16) | ColorType::YCbCr(8) => Layout::Rgb,
        ColorType::RGBA(8 | 16) => Layout::Rgba,
        ColorType::CMYK(8 | 16) => Layout::Cmyk,
        other => return Err(unsupported(format!("a kind of TIFF that is not read: {other:?}"))),
    };
    let mut result = DecodingResult::U8(Vec::new());
    let planes = decoder.read_image_to_buffer(&mut result).map_err(refusal)?;
    let samples = match result {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.into_iter().map(eight_bit).collect(),
        _ => return Err(unsupported("a TIFF of floating-point or signed samples, which is not read")),
    };
    let samples = if planes.planes > 1 { interleaved(&samples, planes.planes) } else { samples };
    let width = header.width as usize;
    let data = match colour {
        ColorType::Gray(8) if grey.is_some() => through_palette(&samples, 8, &mut decoder)?,
        ColorType::Gray(bits @ (1 | 2 | 4)) if grey.is_some() => {
            through_palette(&unpacked(&samples, width, bits, 1), bits, &mut decoder)?
        }
        ColorType::Gray(bits @ (1 | 2 | 4)) => unpacked(&samples, width, bits, 255 / ((1 << bits) - 1)),
        _ => samples,
    };
    if data.len() != pixels * layout.channels() {
        return Err(corrupt("a TIFF whose tags contradict each other"));
    }
    let mut raster = Raster::new(header.width, header.height, layout, data);
    if layout.has_alpha() && extra.first() == Some(&ASSOCIATED_ALPHA) {
        unmultiply(&mut raster);
    }
    Ok(raster)
}

fn interleaved(planes: &[u8], count: usize) -> Vec<u8> {
    let size = planes.len() / count;
    (0..size * count).map(|at| planes[at % count * size + at / count]).collect()
}

/// Samples of less than 8 bits, each row of which begins at a whole byte.
fn unpacked(packed: &[u8], width: usize, bits: u8, scale: u8) -> Vec<u8> {
    let per_byte = usize::from(8 / bits);
    let mask = ((1u16 << bits) - 1) as u8;
    let rows = packed.chunks_exact(width.div_ceil(per_byte));
    let sample = |row: &[u8], x: usize| {
        let shift = 8 - usize::from(bits) * (x % per_byte + 1);
        (row[x / per_byte] >> shift & mask) * scale
    };
    rows.flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

/// ColorMap holds all reds, then all greens, then all blues, 16 bits each.
fn through_palette(indices: &[u8], bits: u8, decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Vec<u8>, Error> {
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(refusal)?;
    let count = 1usize << bits;
    if map.len() < count * 3 {
        return Err(corrupt("a TIFF whose palette is too short"));
    }
    let table: Vec<[u8; 3]> =
        (0..count).map(|i| [map[i], map[count + i], map[2 * count + i]].map(eight_bit)).collect();
    Ok(indices.iter().flat_map(|index| table[usize::from(*index)]).collect())
}

fn unmultiply(raster: &mut Raster) {
    let channels = raster.layout.channels();
    for pixel in raster.data.chunks_exact_mut(channels) {
        let (colours, alpha) = pixel.split_at_mut(channels - 1);
        let alpha = u32::from(alpha[0]);
        if alpha > 0 {
            colours.iter_mut().for_each(|c| *c = ((u32::from(*c) * 255 + alpha / 2) / alpha).min(255) as u8);
        }
    }
}
