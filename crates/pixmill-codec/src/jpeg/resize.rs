//! JPEG to a smaller picture, each component by itself: colour that is to stay at half the size of brightness is never
//! brought up to it, and data units are decoded no larger than the result needs.

use pixmill_resize::{Resizer, Samples, Source};

use super::read::Demands;
use super::sheets::{Edges, Sheet, Wanted, read_sheets};
use super::strip::Quartered;
use super::{Arena, answer};
use crate::{Error, ErrorKind};

/// Decodes grey or YCbCr and makes it smaller, by Lanczos3. `size`: no larger than the picture's, in pixels. `None` for
/// what is not read here.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when the compressed data is broken.
pub(crate) fn resized(
    bytes: &[u8],
    size: (u32, u32),
    resizer: &mut Resizer,
    arena: &mut Arena,
) -> Result<Option<Quartered>, Error> {
    let wanted = |component, from: (u32, u32), coarseness: (u8, u8)| {
        let to = Quartered::samples(component, size);
        let edges = (edge(from.0, coarseness.0, to.0), edge(from.1, coarseness.1, to.1));
        let (across, down) = reach(component, from, coarseness, edges, size);
        Some(Wanted { edges, room: (across.ceil() as usize, down.ceil() as usize) })
    };
    let Some(picture) = answer(read_sheets(bytes, Demands::USUAL, arena, wanted))? else { return Ok(None) };
    let mut planes = Vec::new();
    for (component, mut sheet) in picture.sheets.into_iter().enumerate() {
        let (edges, coarseness) = (sheet.edges, sheet.coarseness);
        let within = (
            samples(picture.size.0, coarseness.0, edges.0).ceil() as usize,
            samples(picture.size.1, coarseness.1, edges.1).ceil() as usize,
        );
        // Lanczos looks beyond the edge, where there is anything: hidden parts of a picture that was cropped.
        sheet.repeat_edges(within);
        let extent = reach(component, picture.size, coarseness, edges, size);
        planes.push(plane(&sheet, extent, Quartered::samples(component, size), resizer)?);
    }
    Ok(Some(Quartered { size, planes }))
}

/// The fewest samples of a data unit's side that leave a component no smaller than it is to become; all of them where it
/// has to become larger.
fn edge(pixels: u32, coarseness: u8, to: u32) -> usize {
    let enough = |edge: &usize| pixels as usize * edge >= to as usize * 8 * usize::from(coarseness);
    [1, 2, 4].into_iter().find(enough).unwrap_or(8)
}

/// How many of a sheet's samples lie along a side of the picture, the last of them perhaps in part.
fn samples(pixels: u32, coarseness: u8, edge: usize) -> f64 {
    f64::from(pixels) * edge as f64 / (8.0 * f64::from(coarseness))
}

/// What of a sheet becomes the result, across and down: all that lies in the picture, and where the result's side ends with
/// half a sample of colour, as much beyond it.
fn reach(
    component: usize,
    from: (u32, u32),
    coarseness: (u8, u8),
    edges: Edges,
    to: (u32, u32),
) -> (f64, f64) {
    let covered = |side: u32| if component == 0 { side } else { side.next_multiple_of(2) };
    let share = |side: u32| f64::from(covered(side)) / f64::from(side);
    let across = samples(from.0, coarseness.0, edges.0) * share(to.0);
    (across, samples(from.1, coarseness.1, edges.1) * share(to.1))
}

fn plane(sheet: &Sheet, extent: (f64, f64), to: (u32, u32), resizer: &mut Resizer) -> Result<Vec<u8>, Error> {
    let size = (sheet.stride as u32, (sheet.samples.len() / sheet.stride) as u32);
    let source = Source { data: &sheet.samples, size, extent, samples: Samples::One, alpha: false };
    resizer
        .resized(source, to)
        .map_err(|what| Error::new(ErrorKind::Corrupt, format!("could not be resized: {what}")))
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    use proptest::prelude::*;

    use super::super::seeds::{SEEDS, whole};
    use super::*;

    /// The whole picture by zune-jpeg, not subsampled, made smaller.
    fn by_pixels(bytes: &[u8], grey: bool, size: (u32, u32)) -> Vec<u8> {
        let (width, height, data) = whole(bytes, grey);
        let samples = if grey { Samples::One } else { Samples::Three };
        let extent = (width as f64, height as f64);
        let from = Source { data: &data, size: (width as u32, height as u32), extent, samples, alpha: false };
        Resizer::default().resized(from, size).unwrap()
    }

    #[test]
    fn each_component_is_what_resizing_pixels_gives() {
        for (name, bytes) in SEEDS {
            for size in [(60, 40), (41, 29), (24, 14), (13, 7), (5, 3), (1, 1)] {
                let made = resized(bytes, size, &mut Resizer::default(), &mut Arena::default());
                let made = made.unwrap().expect(name);
                let channels = if made.planes.len() == 1 { 1 } else { 3 };
                let wanted = by_pixels(bytes, channels == 1, size);
                for (component, plane) in made.planes.iter().enumerate() {
                    let (width, height) = Quartered::samples(component, size);
                    assert_eq!(plane.len(), (width * height) as usize, "{name} {size:?}");
                    let coarseness = if component == 0 { 1 } else { 2 };
                    let mut off = 0;
                    for (at, &sample) in (0..).zip(plane) {
                        // Of a chroma sample, the mean of the pixels that it stands for.
                        let (x, y) = (at % width * coarseness, at / width * coarseness);
                        let across = x..(x + coarseness).min(size.0);
                        let pixels = (y..(y + coarseness).min(size.1))
                            .flat_map(|y| across.clone().map(move |x| y * size.0 + x))
                            .map(|pixel| u32::from(wanted[pixel as usize * channels + component]));
                        let (sum, count) =
                            pixels.fold((0, 0), |(sum, count), sample| (sum + sample, count + 1));
                        off += (sum / count).abs_diff(sample.into());
                    }
                    let mean = f64::from(off) / plane.len() as f64;
                    assert!(mean < 6.0, "{name} to {size:?}, component {component}: {mean}");
                }
            }
        }
    }

    fn flat(width: u16, height: u16, sampling: SamplingFactor, grey: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 90);
        encoder.set_sampling_factor(sampling);
        let (colour, pixel) =
            if grey { (ColorType::Luma, &[90_u8][..]) } else { (ColorType::Ycbcr, &[90, 110, 160][..]) };
        let pixels = pixel.repeat(usize::from(width) * usize::from(height));
        encoder.encode(&pixels, width, height, colour).unwrap();
        bytes
    }

    #[test]
    fn what_lies_beyond_the_picture_is_not_seen() {
        // Grey, but for a black part within the last MCUs, which a smaller size in the header hides.
        let pixel = |at: u16| if at % 40 < 36 && at / 40 < 36 { [120, 128, 128] } else { [0, 128, 128] };
        let pixels: Vec<u8> = (0..40 * 40).flat_map(pixel).collect();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 100);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode(&pixels, 40, 40, ColorType::Ycbcr).unwrap();
        let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        (bytes[frame + 6], bytes[frame + 8]) = (36, 36);
        for size in [(35, 35), (33, 33), (31, 29)] {
            let made = resized(&bytes, size, &mut Resizer::default(), &mut Arena::default());
            let luma = &made.unwrap().expect("a usual sampling").planes[0];
            assert!(luma.iter().all(|sample| (119..=121).contains(sample)), "to {size:?}: {luma:?}");
        }
    }

    proptest! {
        #[test]
        fn any_picture_can_be_made_smaller_and_keeps_its_colour(
            width in 1_u16..70, height in 1_u16..70, to in (1_u32..70, 1_u32..70), grey: bool,
            sampling in prop::sample::select(&[
                SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2,
                SamplingFactor::F_4_1,
            ]),
        ) {
            let size = (to.0.min(width.into()), to.1.min(height.into()));
            let bytes = flat(width, height, sampling, grey);
            let made = resized(&bytes, size, &mut Resizer::default(), &mut Arena::default());
            let made = made.unwrap().expect("a usual sampling");
            prop_assert_eq!(made.planes.len(), if grey { 1 } else { 3 });
            for (component, (plane, wanted)) in made.planes.iter().zip([90_u8, 110, 160]).enumerate() {
                let (width, height) = Quartered::samples(component, size);
                prop_assert_eq!(plane.len(), (width * height) as usize);
                let off = plane.iter().map(|sample| sample.abs_diff(wanted)).max();
                // Where a data unit reaches beyond the picture, its mean is also that of what fills it.
                prop_assert!(off <= Some(16), "component {component} is off by {off:?}");
            }
        }
    }

    #[test]
    fn no_side_is_decoded_smaller_than_it_is_to_become() {
        for (pixels, coarseness, to, wanted) in [
            (1500, 1, 800, 8),
            (1500, 2, 400, 8),
            (1500, 1, 750, 4),
            (1500, 1, 375, 2),
            (1500, 1, 374, 2),
            (1500, 1, 187, 1),
            (1500, 1, 1, 1),
            (1500, 4, 400, 8),
        ] {
            assert_eq!(edge(pixels, coarseness, to), wanted, "{pixels}/{coarseness} to {to}");
        }
    }
}
