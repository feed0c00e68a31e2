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
    let samples = match raster.layout {
        Layout::Grey => Samples::One,
        Layout::GreyAlpha => Samples::Two,
        Layout::Rgb | Layout::Ycbcr => Samples::Three,
        Layout::Rgba | Layout::Cmyk => Samples::Four,
    };
    let size = (raster.width, raster.height);
    let source = Source { data: &raster.data, size, extent, samples, alpha: raster.layout.has_alpha() };
    let data = resizer
        .resized(source, (width, height))
        .map_err(|what| Error::new(ErrorKind::Corrupt, format!("could not be resized: {what}")))?;
    Ok(Raster::new(width, height, raster.layout, data))
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
