//! Makes pictures of 8-bit samples smaller, by Lanczos3.
//!
//! A crate of its own, because the kernels of the crate below are generic: they are compiled, for minutes, with whoever
//! calls them, and the codec is compiled often.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions};

/// What a pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// One sample.
    One,
    /// Three samples.
    Three,
    /// Four samples.
    Four,
}

/// A picture that is to be resized.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Samples of all pixels, row by row.
    pub data: &'a [u8],
    /// Pixels a row, and rows.
    pub size: (u32, u32),
    /// What of it is the picture, from its upper left corner; pixels, of which the last may lie in it in part.
    pub extent: (f64, f64),
    /// What a pixel is made of.
    pub samples: Samples,
    /// The last sample of four is alpha; colours are weighed by it, so that hidden ones don't bleed.
    pub alpha: bool,
}

/// Working memory, which serves one picture after the other.
#[derive(Debug, Default)]
pub struct Resizer(fast_image_resize::Resizer);

impl Resizer {
    /// The picture's samples at a new size in pixels.
    ///
    /// # Errors
    /// When data, size and extent don't fit each other.
    pub fn resized(&mut self, source: Source, size: (u32, u32)) -> Result<Vec<u8>, String> {
        match source.samples {
            Samples::One => self.typed::<U8>(source, size),
            Samples::Three => self.typed::<U8x3>(source, size),
            Samples::Four => self.typed::<U8x4>(source, size),
        }
    }

    fn typed<P: PixelTrait>(
        &mut self,
        source: Source,
        (width, height): (u32, u32),
    ) -> Result<Vec<u8>, String> {
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(0.0, 0.0, source.extent.0, source.extent.1)
            .use_alpha(source.alpha);
        let from = TypedImageRef::<P>::from_buffer(source.size.0, source.size.1, source.data)
            .map_err(|error| error.to_string())?;
        let mut data = vec![0; width as usize * height as usize * P::size()];
        let mut to =
            TypedImage::<P>::from_buffer(width, height, &mut data).map_err(|error| error.to_string())?;
        self.0.resize_typed(&from, &mut to, &options).map_err(|error| error.to_string())?;
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_colours_do_not_bleed_into_visible_ones() {
        let data: Vec<u8> =
            (0..64).flat_map(|i| if i % 8 < 4 { [255, 0, 0, 255] } else { [0, 255, 0, 0] }).collect();
        let picture =
            Source { data: &data, size: (8, 8), extent: (8.0, 8.0), samples: Samples::Four, alpha: true };
        let small = Resizer::default().resized(picture, (2, 2)).unwrap();
        for pixel in small.chunks(4).filter(|pixel| pixel[3] > 0) {
            assert_eq!(&pixel[..3], [255, 0, 0]);
        }
    }

    #[test]
    fn data_that_are_too_few_are_refused() {
        let picture =
            Source { data: &[0; 8], size: (3, 3), extent: (3.0, 3.0), samples: Samples::One, alpha: false };
        assert!(Resizer::default().resized(picture, (1, 1)).is_err());
    }
}
