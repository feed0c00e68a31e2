//! JPEG: baseline by our own encoder, progressive by jpeg-encoder.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, EncodingError, SamplingFactor};

use crate::container::Kept;
use crate::container::jpeg::kept_segments;
use crate::error::unsupported;
use crate::jpeg::{Arena, Chroma};
use crate::raster::{Layout, Raster};
use crate::{Error, Recipe};

/// From this quality on chroma is not subsampled, as sharp does.
pub(crate) const FULL_CHROMA_QUALITY: u8 = 90;

/// Encodes grey, RGB or YCbCr with Huffman tables made for this picture.
pub(crate) fn encode(
    raster: &Raster,
    recipe: &Recipe,
    kept: &Kept,
    arena: &mut Arena,
) -> Result<Vec<u8>, Error> {
    let chroma = if recipe.quality >= FULL_CHROMA_QUALITY { Chroma::Full } else { Chroma::Quarter };
    let segments = kept_segments(kept);
    let encoded = if recipe.progressive {
        progressive(raster, recipe.quality, chroma, segments)?
    } else {
        crate::jpeg::encode(raster, recipe.quality, chroma, &segments, arena)
    };
    let too_large =
        || unsupported("a JPEG can't be wider or higher than 65,535 pixels; ask for a smaller size");
    encoded.ok_or_else(too_large)
}

/// `None` when a side is longer than 65,535 pixels.
fn progressive(
    raster: &Raster,
    quality: u8,
    chroma: Chroma,
    segments: Vec<(u8, Vec<u8>)>,
) -> Result<Option<Vec<u8>>, Error> {
    let (Ok(width), Ok(height)) = (u16::try_from(raster.width), u16::try_from(raster.height)) else {
        return Ok(None);
    };
    let colour = match raster.layout {
        Layout::Grey => ColorType::Luma,
        Layout::Ycbcr => ColorType::Ycbcr,
        _ => ColorType::Rgb,
    };
    let full = chroma == Chroma::Full || colour == ColorType::Luma;
    let mut out = Vec::with_capacity(raster.data.len() / 16);
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(if full { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.set_optimized_huffman_tables(true);
    encoder.set_progressive(true);
    let failed = |error: EncodingError| unsupported(format!("can't be written as JPEG: {error}"));
    for (marker, body) in segments {
        encoder.add_app_segment(marker - 0xE0, body).map_err(failed)?;
    }
    encoder.encode(&raster.data, width, height, colour).map_err(failed)?;
    Ok(Some(out))
}
