//! WebP through libwebp, lossy, with alpha.

use webp::WebPEncodingError;

use crate::container::Kept;
use crate::container::webp::with_metadata;
use crate::error::unsupported;
use crate::raster::{Layout, Raster};
use crate::{Error, Recipe};

/// Most pixels a side that the format allows.
const MOST: u32 = 16_383;

/// Encodes RGB or RGBA; grey is spread to RGB, which costs nothing in the file.
pub(crate) fn encode(raster: &Raster, recipe: &Recipe, kept: &Kept) -> Result<Vec<u8>, Error> {
    if raster.width > MOST || raster.height > MOST {
        return Err(unsupported(
            "a WebP can't be wider or higher than 16,383 pixels; ask for a smaller size",
        ));
    }
    let spread = (raster.layout.channels() < 3).then(|| raster.clone().spread());
    let raster = spread.as_ref().unwrap_or(raster);
    let encoder = match raster.layout {
        Layout::Rgba => webp::Encoder::from_rgba(&raster.data, raster.width, raster.height),
        _ => webp::Encoder::from_rgb(&raster.data, raster.width, raster.height),
    };
    let encoded = encoder.encode_simple(false, f32::from(recipe.quality)).map_err(|error| match error {
        // What is true of all other memory: a process that gets none ends, and says so.
        WebPEncodingError::VP8_ENC_ERROR_OUT_OF_MEMORY
        | WebPEncodingError::VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY
        // Of the picture's own copy, which is not there, and of what has been written.
        | WebPEncodingError::VP8_ENC_ERROR_NULL_PARAMETER
        | WebPEncodingError::VP8_ENC_ERROR_BAD_WRITE => {
            std::alloc::handle_alloc_error(std::alloc::Layout::for_value(&*raster.data))
        }
        error => unsupported(format!("can't be written as WebP: {error:?}")),
    })?;
    if kept == &Kept::default() { Ok(encoded.to_vec()) } else { with_metadata(&encoded, kept) }
}
