//! Making a picture smaller.

use pixmill_resize::{Resizer, Samples, Source};

use crate::raster::{Layout, Raster};
use crate::{Error, ErrorKind, Recipe};

/// The size of a picture that fits inside the recipe's bounds, in its shape, never enlarged. Pixels, upright.
pub(crate) fn fitted(width: u32, height: u32, recipe: &Recipe) -> (u32, u32) {
    let bound = |most: Option<u32>, size: u32| most.map_or(1.0, |most| f64::from(most) / f64::from(size));
    let scale = bound(recipe.max_width, width).min(bound(recipe.max_height, height));
    if scale >= 1.0 {
        return (width, height);
    }
    let scaled = |size: u32, most: Option<u32>| {
        let size = (f64::from(size) * scale).round().max(1.0) as u32;
        most.map_or(size, |most| size.min(most.max(1)))
    };
    (scaled(width, recipe.max_width), scaled(height, recipe.max_height))
}

/// The picture at a new size, by Lanczos3; alpha is premultiplied for it, so that hidden colours don't bleed. `extent`:
/// its size in pixels, where the last of them reach beyond it.
pub(crate) fn resized(
    raster: Raster,
    extent: (f64, f64),
    (width, height): (u32, u32),
    resizer: &mut Resizer,
) -> Result<Raster, Error> {
    if (raster.width, raster.height) == (width, height) {
        return Ok(raster);
    }
    let from = (raster.width, raster.height);
    let mut resize = |data: &[u8], samples| {
        let source = Source { data, size: from, extent, samples, alpha: raster.layout.has_alpha() };
        resizer
            .resized(source, (width, height))
            .map_err(|what| Error::new(ErrorKind::Corrupt, format!("could not be resized: {what}")))
    };
    let data = match raster.layout {
        Layout::Grey => resize(&raster.data, Samples::One)?,
        Layout::GreyAlpha => {
            let (grey, alpha) = premultiplied(&raster.data);
            joined(&resize(&grey, Samples::One)?, &resize(&alpha, Samples::One)?)
        }
        Layout::Rgb | Layout::Ycbcr => resize(&raster.data, Samples::Three)?,
        Layout::Rgba | Layout::Cmyk => resize(&raster.data, Samples::Four)?,
    };
    Ok(Raster::new(width, height, raster.layout, data))
}

/// Grey, weighed by alpha, and alpha: two planes, so that kernels for pairs need not be compiled for what is rare.
fn premultiplied(pairs: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let weighed = |pair: &[u8]| ((u16::from(pair[0]) * u16::from(pair[1]) + 127) / 255) as u8;
    (pairs.chunks_exact(2).map(weighed).collect(), pairs.chunks_exact(2).map(|pair| pair[1]).collect())
}

/// Pairs of grey and alpha again.
fn joined(grey: &[u8], alpha: &[u8]) -> Vec<u8> {
    let full = |grey: u8, alpha: u8| {
        let alpha = u16::from(alpha);
        (u16::from(grey) * 255 + alpha / 2).checked_div(alpha).map_or(0, |grey| grey.min(255) as u8)
    };
    grey.iter().zip(alpha).flat_map(|(&grey, &alpha)| [full(grey, alpha), alpha]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipe(max_width: Option<u32>, max_height: Option<u32>) -> Recipe {
        Recipe { max_width, max_height, ..Recipe::default() }
    }

    #[test]
    fn bounds_are_kept_in_the_shape_of_the_picture() {
        assert_eq!(fitted(768, 512, &recipe(Some(300), Some(250))), (300, 200));
        assert_eq!(fitted(512, 768, &recipe(Some(300), Some(250))), (167, 250));
        assert_eq!(fitted(2000, 3, &recipe(Some(100), None)), (100, 1));
    }

    #[test]
    fn hidden_greys_do_not_bleed_into_visible_ones() {
        let data = (0..64).flat_map(|i| if i % 8 < 4 { [200, 255] } else { [10, 0] }).collect();
        let picture = Raster::new(8, 8, Layout::GreyAlpha, data);
        let small = resized(picture, (8.0, 8.0), (2, 2), &mut Resizer::default()).unwrap();
        for pixel in small.data.chunks(2).filter(|pixel| pixel[1] > 0) {
            // Where little is seen of it, eight bits of what is seen tell less of the colour.
            assert!(pixel[0].abs_diff(200) <= 5, "{pixel:?}");
        }
        assert!(small.data[1] > 128 && small.data[3] < 128, "{:?}", small.data);
    }

    proptest! {
        #[test]
        fn nothing_is_enlarged_or_leaves_its_bounds(
            width in 1u32..70_000, height in 1u32..70_000,
            max_width in proptest::option::of(1u32..5_000), max_height in proptest::option::of(1u32..5_000),
        ) {
            let (w, h) = fitted(width, height, &recipe(max_width, max_height));
            prop_assert!(w >= 1 && h >= 1 && w <= width && h <= height);
            prop_assert!(max_width.is_none_or(|most| w <= most) && max_height.is_none_or(|most| h <= most));
        }
    }
}
