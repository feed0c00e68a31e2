//! JPEG by our own encoder.

use crate::container::Kept;
use crate::container::jpeg::kept_segments;
use crate::error::unsupported;
use crate::jpeg::{self, Arena, Asked, Chroma, Encodable, FULL_CHROMA_QUALITY, Pixels};
use crate::raster::Raster;
use crate::{Error, Recipe};

/// Encodes grey, RGB or YCbCr.
pub(crate) fn encode(
    raster: &Raster,
    recipe: &Recipe,
    kept: &Kept,
    arena: &mut Arena,
) -> Result<Vec<u8>, Error> {
    let chroma = if recipe.quality >= FULL_CHROMA_QUALITY { Chroma::Full } else { Chroma::Quarter };
    encode_picture(&Pixels { raster, chroma }, recipe, kept, arena)
}

/// Encodes a picture, whose chroma is as it will be, with Huffman tables made for it.
pub(crate) fn encode_picture(
    picture: &impl Encodable,
    recipe: &Recipe,
    kept: &Kept,
    arena: &mut Arena,
) -> Result<Vec<u8>, Error> {
    let segments = kept_segments(kept);
    let too_large =
        || unsupported("a JPEG can't be wider or higher than 65,535 pixels; ask for a smaller size");
    let sequential = jpeg::encode(picture, recipe.quality, &segments, arena).ok_or_else(too_large)?;
    if !recipe.progressive {
        return Ok(sequential);
    }
    // The same coefficients once more, in stages.
    let as_it_is = Asked { quality: 100, progressive: true, segments: &segments };
    let staged = jpeg::read(&sequential, arena)?.and_then(|picture| picture.write_as_it_is(&as_it_is, arena));
    Ok(staged.unwrap_or(sequential))
}
