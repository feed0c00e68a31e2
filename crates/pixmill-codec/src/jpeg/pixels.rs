//! Pixels to a baseline JPEG, by libjpeg's steps and plain rounding, with codes made for the picture.

use pixmill_cpu::Kernel;

use super::dct::Quantiser;
use super::emit::Out;
use super::quantise::standard_steps;
use super::strip::{Chroma, Encodable};
use super::token::Token;
use super::write::{self, Picture, plane};
use super::{Arena, Refusal};

/// Blocks of an MCU in the order in which they are written: component, and place in units of blocks.
type Mcu = &'static [(usize, usize, usize)];
const GREY: Mcu = &[(0, 0, 0)];
const FULL: Mcu = &[(0, 0, 0), (1, 0, 0), (2, 0, 0)];
const QUARTER: Mcu = &[(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0), (2, 0, 0)];

/// Encodes a picture of at most 65,535 pixels a side. `segments` are put behind the JFIF header: marker and body, of
/// 65,533 bytes at most. `None` when a side is longer.
pub(crate) fn encode(
    picture: &impl Encodable,
    quality: u8,
    segments: &[(u8, Vec<u8>)],
    arena: &mut Arena,
) -> Option<Vec<u8>> {
    let (width, height) = picture.size();
    let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    let (components, mcu, sampling) = match picture.chroma() {
        Chroma::None => (1, GREY, 0x11),
        Chroma::Full => (3, FULL, 0x11),
        Chroma::Quarter => (3, QUARTER, 0x22),
    };
    let steps: Vec<[u8; 64]> = (0..components)
        .map(|at| standard_steps(plane(at), quality).map(|step| step.min(255) as u8))
        .collect();
    arena.tokens.clear();
    arena.counts.clear();
    let tokens = pixmill_cpu::run(Tokenise { picture, mcu, steps: &steps, arena });
    let blocks = |component| (component, mcu.iter().filter(|block| block.0 == component).count());
    let scans = [(0..components).map(blocks).collect()];
    let written = Picture { width, height, sampling, steps: &steps, scans: &scans, segments };
    let jpeg = tokens.is_ok().then(|| write::write(&written, &arena.tokens, &arena.counts));
    arena.tokens.trim();
    jpeg
}

/// A picture on its way to tokens.
struct Tokenise<'a, P> {
    picture: &'a P,
    mcu: Mcu,
    steps: &'a [[u8; 64]],
    arena: &'a mut Arena,
}

impl<P: Encodable> Kernel for Tokenise<'_, P> {
    type Output = Result<(), Refusal>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Tokenise { picture, mcu, steps, arena } = self;
        let (chroma, (width, height)) = (picture.chroma(), picture.size());
        let edge = if chroma == Chroma::Quarter { 16 } else { 8 };
        let quantisers: Vec<Quantiser> = steps.iter().map(Quantiser::new).collect();
        let mut previous = [0; 3];
        arena.strip.begin(width, edge);
        for top in (0..height as usize).step_by(edge) {
            picture.fill(&mut arena.strip, top);
            for left in 0..(width as usize).div_ceil(edge) {
                let room = arena.tokens.room(usize::MAX).ok_or(Refusal::OtherKind)?;
                let mut written = 0;
                for &(component, x, y) in mcu {
                    let at = if component == 0 { left * edge } else { left * 8 };
                    let block = arena.strip.block(component, chroma, at + x * 8, y * 8);
                    let (coefficients, present) = quantisers[component].coefficients(block);
                    let mut out = Out::new(plane(component), &mut arena.counts, &mut room[written..]);
                    out.unit(&coefficients, present, &mut previous[component]);
                    written += out.written;
                }
                arena.tokens.keep(written);
            }
        }
        arena.tokens.push(Token::end_of_scan(), usize::MAX).ok_or(Refusal::OtherKind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::strip::Pixels;
    use super::*;
    use crate::raster::{Layout, Raster};
    use proptest::prelude::*;

    fn decoded(jpeg: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(jpeg));
        let pixels = decoder.decode().unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        (width, height, pixels)
    }

    fn slopes(width: u32, height: u32, layout: Layout) -> Raster {
        let channels = layout.channels() as u32;
        let sample = |i: u32| {
            let (x, y) = (i / channels % width, i / channels / width);
            (x * (3 - i % channels) + y * 2) as u8 / 2
        };
        Raster::new(width, height, layout, (0..width * height * channels).map(sample).collect())
    }

    #[test]
    fn what_is_written_shows_the_picture() {
        for (chroma, quality) in [(Chroma::Quarter, 85), (Chroma::Full, 95)] {
            for (width, height) in [(1, 1), (7, 13), (16, 16), (61, 35)] {
                let raster = slopes(width, height, Layout::Rgb);
                let jpeg =
                    encode(&Pixels { raster: &raster, chroma }, quality, &[], &mut Arena::default()).unwrap();
                let (w, h, pixels) = decoded(&jpeg);
                assert_eq!((w as u32, h as u32), (width, height));
                let off: u64 = pixels.iter().zip(&raster.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let mean = off as f64 / pixels.len() as f64;
                assert!(mean < 6.0, "{width}x{height} at {quality}: mean difference {mean}");
            }
        }
    }

    #[test]
    fn grey_has_one_component() {
        let jpeg = encode(
            &Pixels { raster: &slopes(20, 9, Layout::Grey), chroma: Chroma::Quarter },
            50,
            &[],
            &mut Arena::default(),
        )
        .unwrap();
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        assert_eq!(jpeg[frame + 9], 1);
    }

    proptest! {
        #[test]
        fn noise_of_any_size_and_quality_can_be_read_back(
            width in 1u32..40, height in 1u32..40, quality in 1u8..=100, full: bool, seed: u64,
        ) {
            let mut state = seed | 1;
            let data = (0..width * height * 3).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            });
            let raster = Raster::new(width, height, Layout::Rgb, data.collect());
            let chroma = if full { Chroma::Full } else { Chroma::Quarter };
            let mut arena = Arena::default();
            let picture = Pixels { raster: &raster, chroma };
            let jpeg = encode(&picture, quality, &[], &mut arena).unwrap();
            let (w, h, _) = decoded(&jpeg);
            prop_assert_eq!((w as u32, h as u32), (width, height));
            prop_assert_eq!(encode(&picture, quality, &[], &mut arena).unwrap(), jpeg);
        }
    }
}
