//! AVIF: colours at half the size both ways, and alpha beside them.

use pixmill_avif::{Colour, Picture, Plane};

use crate::color::is_opaque;
use crate::container::Kept;
use crate::error::unsupported;
use crate::jpeg::ycbcr;
use crate::raster::{Layout, Raster};
use crate::{Error, Recipe};

/// Encodes; grey has no colour, and alpha that hides nothing is dropped. XMP and profiles are not written.
pub(crate) fn encode(raster: &Raster, recipe: &Recipe, kept: &Kept) -> Result<Vec<u8>, Error> {
    let colour = match raster.layout {
        Layout::Grey | Layout::GreyAlpha => Colour::Grey(channel(raster, 0)),
        _ => Colour::Ycbcr(planes(raster)),
    };
    let alpha = (!is_opaque(raster)).then(|| channel(raster, raster.layout.channels() - 1));
    let picture =
        Picture { width: raster.width, height: raster.height, colour, alpha, exif: kept.exif.clone() };
    pixmill_avif::encode(&picture, recipe.quality)
        .map_err(|reason| unsupported(format!("can't be written as AVIF: {reason}")))
}

/// One sample of each pixel.
fn channel(raster: &Raster, which: usize) -> Plane {
    let samples = raster.data.iter().skip(which).step_by(raster.layout.channels());
    Plane { samples: samples.copied().collect(), stride: raster.width as usize }
}

/// Brightness of each pixel, and colour of each square of four, the last column and row repeated.
fn planes(raster: &Raster) -> [Plane; 3] {
    let (width, height, channels) = (raster.width as usize, raster.height as usize, raster.layout.channels());
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let pixel = |x: usize, y: usize| {
        let at = (y.min(height - 1) * width + x.min(width - 1)) * channels;
        [raster.data[at], raster.data[at + 1], raster.data[at + 2]]
    };
    let luma = raster.data.chunks_exact(channels).map(|pixel| ycbcr([pixel[0], pixel[1], pixel[2]]).0);
    let (mut cb, mut cr) = (Vec::new(), Vec::new());
    for (y, x) in (0..half_height).flat_map(|y| (0..half_width).map(move |x| (2 * y, 2 * x))) {
        let four = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
        let sum = |sample: usize| four.iter().map(|pixel| u16::from(pixel[sample])).sum::<u16>();
        let (_, b, r) = ycbcr([0, 1, 2].map(|sample| ((sum(sample) + 2) / 4) as u8));
        cb.push(b);
        cr.push(r);
    }
    let plane = |samples, stride| Plane { samples, stride };
    [plane(luma.collect(), width), plane(cb, half_width), plane(cr, half_width)]
}
