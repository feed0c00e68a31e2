//! PNG through the png crate, in the smallest of the colour types that hold the picture without loss.

use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use crate::Error;
use crate::color::is_opaque;
use crate::container::Kept;
use crate::container::png::kept_chunks;
use crate::error::unsupported;
use crate::raster::{Layout, Raster};

/// Encodes without loss.
pub(crate) fn encode(mut raster: Raster, kept: &Kept) -> Result<Vec<u8>, Error> {
    simplify(&mut raster);
    let palette = Palette::of(&raster);
    let failed = |error: png::EncodingError| unsupported(format!("can't be written as PNG: {error}"));
    let mut out = Vec::with_capacity(raster.data.len() / 4);
    let mut encoder = Encoder::new(&mut out, raster.width, raster.height);
    encoder.set_compression(Compression::Balanced);
    let packed = palette.map(|palette| palette.pack(&raster));
    match &packed {
        Some((palette, depth, _)) => {
            encoder.set_color(ColorType::Indexed);
            encoder.set_depth(*depth);
            encoder.set_palette(
                palette.iter().flat_map(|colour| [colour[0], colour[1], colour[2]]).collect::<Vec<_>>(),
            );
            let alpha = palette.iter().map(|colour| colour[3]).collect::<Vec<_>>();
            let visible = alpha.iter().rposition(|alpha| *alpha < 255).map_or(0, |last| last + 1);
            if visible > 0 {
                encoder.set_trns(alpha[..visible].to_vec());
            }
            encoder.set_filter(Filter::NoFilter);
        }
        None => {
            encoder.set_color(match raster.layout {
                Layout::Grey => ColorType::Grayscale,
                Layout::GreyAlpha => ColorType::GrayscaleAlpha,
                Layout::Rgba => ColorType::Rgba,
                _ => ColorType::Rgb,
            });
            encoder.set_depth(BitDepth::Eight);
        }
    }
    let mut writer = encoder.write_header().map_err(failed)?;
    for (kind, data) in kept_chunks(kept) {
        writer.write_chunk(png::chunk::ChunkType(kind), &data).map_err(failed)?;
    }
    let data = packed.as_ref().map_or(&raster.data, |(_, _, rows)| rows);
    writer.write_image_data(data).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(out)
}

/// Drops alpha that hides nothing, and colour where there is none.
fn simplify(raster: &mut Raster) {
    if is_opaque(raster) {
        match raster.layout {
            Layout::Rgba => raster.keep_samples(Layout::Rgb, [0, 1, 2]),
            Layout::GreyAlpha => raster.keep_samples(Layout::Grey, [0]),
            _ => {}
        }
    }
    match raster.layout {
        Layout::Rgb if raster.data.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b) => {
            raster.keep_samples(Layout::Grey, [0]);
        }
        Layout::Rgba if raster.data.as_chunks::<4>().0.iter().all(|[r, g, b, _]| r == g && g == b) => {
            raster.keep_samples(Layout::GreyAlpha, [0, 3]);
        }
        _ => {}
    }
}

/// Up to 256 colours, those that are not opaque first, so that tRNS is short.
struct Palette(Vec<[u8; 4]>);

impl Palette {
    /// None when there are more colours, or when samples are as small as indices.
    fn of(raster: &Raster) -> Option<Self> {
        let mut colours: HashMap<[u8; 4], ()> = HashMap::new();
        let mut last = None;
        if raster.layout == Layout::Grey {
            return None;
        }
        for pixel in raster.data.chunks_exact(raster.layout.channels()) {
            let colour = Some(rgba(pixel));
            if colour != last {
                last = colour;
                colours.extend(colour.map(|colour| (colour, ())));
                if colours.len() > 256 {
                    return None;
                }
            }
        }
        let mut colours: Vec<_> = colours.into_keys().collect();
        colours.sort_by_key(|colour| (colour[3], *colour));
        Some(Palette(colours))
    }

    /// The palette, bits an index, and rows of indices.
    fn pack(self, raster: &Raster) -> (Vec<[u8; 4]>, BitDepth, Vec<u8>) {
        let Palette(colours) = self;
        let index: HashMap<[u8; 4], u8> = colours.iter().copied().zip(0..=255).collect();
        let (depth, per_byte) = match colours.len() {
            0..=2 => (BitDepth::One, 8),
            3..=4 => (BitDepth::Two, 4),
            5..=16 => (BitDepth::Four, 2),
            _ => (BitDepth::Eight, 1),
        };
        let bits = 8 / per_byte;
        let mut rows = Vec::with_capacity(
            raster.data.len() / raster.layout.channels() / per_byte + raster.height as usize,
        );
        for row in raster.data.chunks_exact(raster.stride()) {
            for pixels in row.chunks(raster.layout.channels() * per_byte) {
                let indices = pixels.chunks_exact(raster.layout.channels()).map(|pixel| index[&rgba(pixel)]);
                rows.push(indices.enumerate().fold(0, |byte, (at, i)| byte | i << (8 - bits - at * bits)));
            }
        }
        (colours, depth, rows)
    }
}

fn rgba(pixel: &[u8]) -> [u8; 4] {
    match *pixel {
        [grey, alpha] => [grey, grey, grey, alpha],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, alpha] => [r, g, b, alpha],
        _ => [pixel[0], pixel[0], pixel[0], 255],
    }
}
