//! How much memory a picture will take, told from its header: what a budget is charged before it is decoded.

use crate::container::{Colour, Header};
use crate::orientation::Orientation;
use crate::plan::{Way, output_format, plan, upright_size};
use crate::resize::fitted;
use crate::{OutputFormat, Recipe, SourceFormat, jpeg, judge};

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
    let plan = plan(header, recipe);
    let (kept, comparing) = comparing(header, recipe, new_pixels);
    if let Some(coefficients) = coefficients(header, plan.way) {
        return FIXED_BYTES + source_bytes + coefficients + comparing;
    }
    let shrink = plan.shrink;
    let decoded = |side| shrink.map_or(side, |shrink| shrink.shrunk(side));
    let (decoded_width, decoded_height) = (decoded(header.width), decoded(header.height));
    let decoder = match shrink {
        // Samples of each component, which fill MCUs, beside their pixels.
        Some(_) => {
            let samples = u64::from(decoded_width + 16) * u64::from(decoded_height + 16) * channels;
            samples + if header.staged { all_coefficients(header) } else { 0 }
        }
        None => pixels * decoder_bytes(header),
    };
    let raster = u64::from(decoded_width) * u64::from(decoded_height) * channels;
    // Coefficients of all components, where they come in stages, and samples, of whole MCUs.
    let components = match plan.way {
        Way::Components => all_coefficients(header) * if header.staged { 3 } else { 1 } / 2,
        _ => 0,
    };
    let decoding = (raster + decoder).max(components) + source_bytes;
    let alpha = channels == 4 && header.format != SourceFormat::Jpeg;
    // Ink becomes light in a copy; turning copies; resizing copies rows, then columns, and alpha is premultiplied.
    let copies = if resized {
        let half_way = u64::from(new_width.max(new_height)) * u64::from(decoded_width.max(decoded_height));
        half_way * channels + new_pixels * channels + if alpha { raster } else { 0 }
    } else {
        0
    };
    let turned = if header.orientation == Orientation::Upright { 0 } else { new_pixels * channels };
    let converting = raster + copies + turned + if ink { pixels * 3 } else { 0 };
    let encoding = new_pixels * (channels + encoder_bytes(header, recipe));
    FIXED_BYTES + decoding.max(converting).max(encoding + kept).max(comparing) + source_bytes
}

/// What holding results against their source takes: what is kept of it while they are encoded, and all while they are
/// compared, both pictures and the decoder of one among it.
fn comparing(header: &Header, recipe: &Recipe, pixels: u64) -> (u64, u64) {
    if recipe.target_ssimulacra2.is_none() {
        return (0, 0);
    }
    let decoder = match output_format(header.format, recipe.format) {
        OutputFormat::Jpeg => 8,
        OutputFormat::Webp | OutputFormat::Png => 12,
        OutputFormat::Avif => 20,
    };
    // The result has been made, and is as large as noise makes it.
    let shown = pixels * (channels(header) + channels(header).max(3) + decoder);
    (judge::kept_bytes(pixels), shown + judge::bytes(pixels))
}

/// What coefficients take, where nothing but them will be touched, as far as the header tells.
fn coefficients(header: &Header, way: Way) -> Option<u64> {
    let components = if header.colour == Colour::Grey { 1 } else { 3 };
    match way {
        Way::Stream => Some(jpeg::memory_bytes(header.width, header.height, components)),
        Way::Coefficients => {
            let turned = header.orientation != Orientation::Upright;
            // Tokens or the new coefficients take as much as the source's, and so does the turned picture.
            let copies = if turned { 3 } else { 2 };
            Some(copies * all_coefficients(header))
        }
        Way::Components | Way::Pixels => None,
    }
}

/// What all coefficients of a JPEG take.
fn all_coefficients(header: &Header) -> u64 {
    let components = header.jpeg.iter().flat_map(|jpeg| &jpeg.frame.components);
    let factors: Vec<u8> = components.map(|(_, factors)| *factors).collect();
    jpeg::coefficient_bytes(header.width, header.height, &factors)
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
        // Coefficients of all components, and what they are written in again.
        SourceFormat::Jpeg if header.staged => 5 * channels(header),
        // Samples of each component, which fill MCUs.
        SourceFormat::Jpeg => channels(header) + 1,
        SourceFormat::Bmp => 0,
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
        // Beside tokens, coefficients twice and the sequential JPEG that they are read from.
        OutputFormat::Jpeg if recipe.progressive => 24,
        OutputFormat::Jpeg if recipe.quality >= 90 => 9,
        OutputFormat::Jpeg => 4,
        // Planes, residuals, and tokens, of which noise of a high quality takes most. Alpha is packed without loss, which
        // takes a copy of all samples and more.
        OutputFormat::Webp if channels(header) == 4 => 48,
        OutputFormat::Webp if recipe.quality >= 90 => 34,
        OutputFormat::Webp => 22,
        // The picture once more, filtered rows, and the output, which may be no smaller.
        OutputFormat::Png => 4 * channels(header) + 1,
        // Planes, those of the picture as it will be decoded, what is known of each of their blocks, and symbols, of which
        // noise of a high quality takes most.
        OutputFormat::Avif => {
            let alpha = if channels(header).is_multiple_of(2) { 10 } else { 0 };
            if recipe.quality >= 80 { 94 + alpha } else { 44 + alpha }
        }
    }
}
