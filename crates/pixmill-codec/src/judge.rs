//! How alike two pictures are, by SSIMULACRA2.
//!
//! That takes some 200 bytes a pixel, so that large pictures are held against each other tile by tile: a score is made of
//! means over all pixels, and so nearly of the tiles' own.

use std::borrow::Cow;

use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference, compute_ssimulacra2};

use crate::Error;
use crate::error::unsupported;
use crate::raster::{Layout, Raster};

/// Most pixels that are held against each other as a whole.
const WHOLE: u64 = 1 << 20;

/// The longest side of a tile, pixels. One of a few hundred at least has all six sizes at which pictures are compared.
const SIDE: u32 = 1024;

/// Bytes a pixel of what is compared at a time: planes of both at all sizes.
const BYTES: u64 = 200;

/// A score is 100 less ten times this power of the difference that was seen.
const POWER: f64 = 0.627_633_646_783_138_7;

/// Differences of tiles are joined as their mean of this power, for what differs most counts most in the whole, too.
const MEAN: f64 = 2.0;

/// What lies across the edges of tiles is seen by none: so much more there is in the whole.
const ACROSS: f64 = 1.012;

/// Bytes a pixel that are kept of a source that is compared as a whole.
const KEPT: u64 = 80;

/// What comparing pictures of so many pixels takes at most, bytes.
pub(crate) fn bytes(pixels: u64) -> u64 {
    pixels.min(WHOLE) * BYTES
}

/// What is kept of a source between two comparisons, bytes.
pub(crate) fn kept_bytes(pixels: u64) -> u64 {
    if pixels > WHOLE { 0 } else { pixels * KEPT }
}

/// What a result is held against.
pub(crate) enum Judge<'s> {
    Whole(Box<Ssimulacra2Reference>),
    Tiles(Cow<'s, Raster>, u32),
}

impl<'s> Judge<'s> {
    /// Scores against a picture of grey or RGB, with alpha or without.
    pub(crate) fn new(source: Cow<'s, Raster>) -> Result<Self, Error> {
        if u64::from(source.width) * u64::from(source.height) > WHOLE {
            return Ok(Judge::Tiles(source, SIDE));
        }
        let reference = on_slice(&source, all(&source), |slice| Ssimulacra2Reference::new(&slice))?;
        Ok(Judge::Whole(Box::new(reference)))
    }

    /// How alike a result is: 100 for equal pictures, less than 0 for ones that have little in common.
    pub(crate) fn score(&self, result: &Raster) -> Result<f64, Error> {
        let (source, side) = match self {
            Judge::Whole(reference) => {
                return on_slice(result, all(result), |slice| reference.compare(&slice));
            }
            Judge::Tiles(source, side) => (source, *side),
        };
        if (source.width, source.height) != (result.width, result.height) {
            return Err(unsupported("can't be scored: it has become another size"));
        }
        let (mut sum, mut pixels) = (0.0, 0.0);
        for tile in tiles(source.width, source.height, side) {
            let score = on_slice(source, tile, |of_source| {
                on_slice(result, tile, |of_result| compute_ssimulacra2(&of_source, &of_result))
                    .map_err(|error| error.message)
            })?;
            let difference = ((100.0 - score).max(0.0) / 10.0).powf(1.0 / POWER);
            let weight = f64::from(tile.width) * f64::from(tile.height);
            sum += difference.powf(MEAN) * weight;
            pixels += weight;
        }
        Ok(100.0 - 10.0 * ACROSS * (sum / pixels).powf(POWER / MEAN))
    }
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

/// A picture as one tile.
fn all(raster: &Raster) -> Tile {
    Tile { left: 0, top: 0, width: raster.width, height: raster.height }
}

/// Tiles of much the same size, which cover a picture.
fn tiles(width: u32, height: u32, side: u32) -> impl Iterator<Item = Tile> {
    let parts = move |length: u32| {
        let count = length.div_ceil(side);
        let edge = move |at: u32| (u64::from(length) * u64::from(at) / u64::from(count)) as u32;
        (0..count).map(move |at| (edge(at), edge(at + 1) - edge(at)))
    };
    parts(height).flat_map(move |(top, height)| {
        parts(width).map(move |(left, width)| Tile { left, top, width, height })
    })
}

fn on_slice<T, E: ToString>(
    raster: &Raster,
    tile: Tile,
    act: impl FnOnce(PixelSlice) -> Result<T, E>,
) -> Result<T, Error> {
    let (descriptor, channels) = match raster.layout {
        Layout::Grey => (PixelDescriptor::GRAY8_SRGB, 1),
        Layout::Rgba => (PixelDescriptor::RGBA8_SRGB, 4),
        Layout::GreyAlpha => {
            let part = spread(raster, tile);
            return on_slice(&part, all(&part), act);
        }
        Layout::Rgb | Layout::Ycbcr | Layout::Cmyk => (PixelDescriptor::RGB8_SRGB, 3),
    };
    let failed = |what: String| unsupported(format!("can't be scored: {what}"));
    let start = tile.top as usize * raster.stride() + tile.left as usize * channels;
    let slice = PixelSlice::new(&raster.data[start..], tile.width, tile.height, raster.stride(), descriptor);
    act(slice.map_err(|error| failed(error.to_string()))?).map_err(|error| failed(error.to_string()))
}

/// A part of a picture of grey with alpha, which the scorer doesn't know.
fn spread(raster: &Raster, tile: Tile) -> Raster {
    let rows = raster.data.chunks_exact(raster.stride()).skip(tile.top as usize).take(tile.height as usize);
    let (from, to) = (tile.left as usize * 2, (tile.left + tile.width) as usize * 2);
    let data = rows.flat_map(|row| &row[from..to]).copied().collect();
    Raster::new(tile.width, tile.height, Layout::GreyAlpha, data).spread()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::Arena;
    use crate::{Limits, Recipe, container, decode, encode};

    fn picture(width: u32, height: u32, step: usize) -> Raster {
        let data = (0..width as usize * height as usize * 3).map(|at| (at / step * step * 7 % 251) as u8);
        Raster::new(width, height, Layout::Rgb, data.collect())
    }

    fn whole(source: &Raster) -> Judge<'_> {
        Judge::new(Cow::Borrowed(source)).unwrap()
    }

    #[test]
    fn equal_pictures_score_a_hundred_and_others_less() {
        for side in [(64, 48), (1_200, 1_000)] {
            let source = picture(side.0, side.1, 3);
            let judge = whole(&source);
            assert_eq!(judge.score(&source).unwrap(), 100.0);
            assert!(judge.score(&picture(side.0, side.1, 12)).unwrap() < 90.0);
        }
    }

    #[test]
    fn tiles_cover_a_picture_once_and_none_is_thin() {
        for (width, height) in [(1, 1), (1_025, 1_024), (7_000, 7_000), (50_000, 9), (2_047, 2_049)] {
            let all: Vec<_> = tiles(width, height, SIDE).collect();
            let area: u64 = all.iter().map(|tile| u64::from(tile.width) * u64::from(tile.height)).sum();
            assert_eq!(area, u64::from(width) * u64::from(height));
            assert!(
                all.iter().all(|tile| tile.left + tile.width <= width && tile.top + tile.height <= height)
            );
            let least = (width.min(SIDE / 2), height.min(SIDE / 2));
            assert!(all.iter().all(|tile| tile.width >= least.0 && tile.height >= least.1), "{all:?}");
            assert!(all.iter().all(|tile| tile.width <= SIDE && tile.height <= SIDE), "{all:?}");
        }
    }

    fn decoded(bytes: &[u8]) -> Raster {
        let limits = Limits::default();
        let header = container::read(bytes, &limits).unwrap();
        decode::decode(bytes, &header, Default::default(), &limits, &mut Arena::default()).unwrap()
    }

    /// Photographs side by side, and what they become at a quality.
    fn mosaic(names: [&str; 6], quality: u8) -> [Raster; 2] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures");
        const PART: usize = 512;
        let mut data = vec![0; 3 * PART * 2 * PART * 3];
        for (at, name) in names.into_iter().enumerate() {
            let photo = decoded(&std::fs::read(folder.join(name)).unwrap());
            for (y, row) in photo.data.chunks_exact(photo.stride()).take(PART).enumerate() {
                let start = (((at / 3) * PART + y) * 3 * PART + (at % 3) * PART) * 3;
                data[start..start + PART * 3].copy_from_slice(&row[..PART * 3]);
            }
        }
        let source = Raster::new(3 * PART as u32, 2 * PART as u32, Layout::Rgb, data);
        let recipe = Recipe { quality, ..Recipe::default() };
        let result =
            encode::jpeg::encode(&source, &recipe, &Default::default(), &mut Arena::default()).unwrap();
        [source, decoded(&result)]
    }

    #[test]
    fn tiles_say_what_the_whole_says_within_a_third_of_a_point() {
        for names in [
            ["caps.jpg", "lighthouse.jpg", "motocross.jpg", "river.jpg", "old-town.jpg", "caps.jpg"],
            ["river.jpg", "old-town.jpg", "old-town.jpg", "river.jpg", "old-town.jpg", "river.jpg"],
        ] {
            for quality in [20, 40, 60, 75, 90] {
                let [source, result] = mosaic(names, quality);
                let by_tiles = Judge::Tiles(Cow::Borrowed(&source), SIDE).score(&result).unwrap();
                let reference = on_slice(&source, all(&source), |slice| Ssimulacra2Reference::new(&slice));
                let whole = Judge::Whole(Box::new(reference.unwrap())).score(&result).unwrap();
                println!("at {quality}: {whole:.2}, by tiles {by_tiles:.2}");
                assert!(
                    (by_tiles - whole).abs() < 0.3,
                    "{names:?} at {quality}: {whole}, by tiles {by_tiles}"
                );
            }
        }
    }

    #[test]
    fn grey_with_alpha_is_compared_by_tiles_too() {
        let data = (0..1_100 * 1_000 * 2).map(|at| (at % 199) as u8).collect();
        let source = Raster::new(1_100, 1_000, Layout::GreyAlpha, data);
        assert_eq!(whole(&source).score(&source).unwrap(), 100.0);
    }
}
