//! How much memory a picture will take, told from its header: what a budget is charged before it is decoded.

use crate::container::jpeg::Structure;
use crate::container::{Colour, Header};
use crate::orientation::Orientation;
use crate::plan::{can_requantise, output_format, upright_size};
use crate::resize::fitted;
use crate::{OutputFormat, Recipe, SourceFormat, jpeg};

/// What every picture takes: tables, windows, rows.
const FIXED_BYTES: u64 = 2 << 20;

/// An upper estimate of the bytes that recompressing takes beside the source: the most that is alive at once while
/// decoding, converting or encoding. Noise may take more tokens than it foresees; photographs take a third.
pub(crate) fn bytes(header: &Header, recipe: &Recipe, source_bytes: u64) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height);
    let channels = channels(header);
    let (width, height) = upright_size(header);
    let (new_width, new_height) = fitted(width, height, recipe);
    let new_pixels = u64::from(new_width) * u64::from(new_height);
    let resized = new_pixels != pixels;
    let ink = header.colour == Colour::Cmyk;
    if !resized && !ink && requantises(header, recipe) {
        let components = if header.colour == Colour::Grey { 1 } else { 3 };
        return FIXED_BYTES + source_bytes + jpeg::memory_bytes(header.width, header.height, components);
    }
    let raster = pixels * channels;
    let decoding = raster + pixels * decoder_bytes(header) + source_bytes;
    let alpha = channels == 4 && header.format != SourceFormat::Jpeg;
    // Ink becomes light in a copy; turning copies; resizing copies rows, then columns, and alpha is premultiplied.
    let copies = if resized {
        let half_way = u64::from(new_width.max(new_height)) * u64::from(header.width.max(header.height));
        half_way * channels + new_pixels * channels + if alpha { raster } else { 0 }
    } else {
        0
    };
    let turned = if header.orientation == Orientation::Upright { 0 } else { new_pixels * channels };
    let converting = raster + copies + turned + if ink { pixels * 3 } else { 0 };
    let encoding = new_pixels * (channels + encoder_bytes(header, recipe));
    FIXED_BYTES + decoding.max(converting).max(encoding) + source_bytes
}

/// Whether nothing but coefficients will be touched, as far as the header tells.
fn requantises(header: &Header, recipe: &Recipe) -> bool {
    let quarter = |jpeg: &Structure| {
        let sampling: Vec<u8> = jpeg.frame.components.iter().map(|component| component.1).collect();
        sampling.len() == 1 || sampling == [0x22, 0x11, 0x11]
    };
    output_format(header.format, recipe.format) == OutputFormat::Jpeg
        && header.orientation == Orientation::Upright
        && header.icc.is_none()
        && can_requantise(header, recipe)
        && header.jpeg.as_ref().is_some_and(quarter)
}

/// Bytes of a decoded pixel.
fn channels(header: &Header) -> u64 {
    match (header.format, header.colour) {
        (SourceFormat::Jpeg, Colour::Grey) => 1,
        (SourceFormat::Jpeg, Colour::Rgb) => 3,
        (SourceFormat::Png | SourceFormat::Tiff, Colour::Grey) => 2,
        _ => 4,
    }
}

/// Bytes a pixel that a decoder holds beside its result.
fn decoder_bytes(header: &Header) -> u64 {
    match header.format {
        // Coefficients of all components.
        SourceFormat::Jpeg if header.staged => 2 * channels(header),
        SourceFormat::Jpeg | SourceFormat::Bmp => 0,
        // Interlaced 16-bit rows wait for one another.
        SourceFormat::Png => {
            if header.staged && header.deep {
                channels(header)
            } else {
                0
            }
        }
        // Planes or a lossless picture, and the frame beside its canvas.
        SourceFormat::Webp => 8,
        SourceFormat::Gif => 4,
        // 16-bit samples, planes.
        SourceFormat::Tiff => 2 * channels(header),
        // Planes of up to 16 bits, references, RGB before it is joined with alpha.
        SourceFormat::Avif => 16,
    }
}

/// Bytes a pixel that an encoder takes, its output among them.
fn encoder_bytes(header: &Header, recipe: &Recipe) -> u64 {
    match output_format(header.format, recipe.format) {
        OutputFormat::Jpeg if recipe.progressive => 12,
        OutputFormat::Jpeg if recipe.quality >= 90 => 9,
        OutputFormat::Jpeg => 4,
        // Planes, and for alpha a copy of all samples.
        OutputFormat::Webp if channels(header) == 4 => 14,
        OutputFormat::Webp => 9,
        OutputFormat::Png => channels(header) + 1,
        OutputFormat::Avif => 0,
    }
}
