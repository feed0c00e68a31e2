//! Promises for all kinds of JPEG whose coefficients are read, not only those that are streamed.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::planes::Coefficients;
use super::{Arena, Asked, read, reference};
use crate::orientation::{Orientation, upright};
use crate::raster::{Layout, Raster};

const SAMPLINGS: [SamplingFactor; 5] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
    SamplingFactor::F_4_1,
];

/// How a test picture is made.
#[derive(Debug, Clone, Copy)]
struct Made {
    width: u16,
    height: u16,
    quality: u8,
    grey: bool,
    sampling: SamplingFactor,
    restart_interval: u16,
    seed: u32,
}

prop_compose! {
    fn any_made()(
        width in 1_u16..70, height in 1_u16..70, quality in 1_u8..=100, grey: bool,
        sampling in prop::sample::select(&SAMPLINGS[..]),
        restart_interval in prop_oneof![Just(0_u16), 1_u16..12], seed: u32,
    ) -> Made {
        Made { width, height, quality, grey, sampling, restart_interval, seed }
    }
}

/// Slopes, edges, and noise in one half.
fn pixels(made: Made) -> Vec<u8> {
    let channels = if made.grey { 1 } else { 3 };
    let mut state = made.seed | 1;
    let (width, height) = (usize::from(made.width), usize::from(made.height));
    let mut out = Vec::new();
    for at in 0..width * height {
        let (x, y) = (at % width, at / width);
        for channel in 0..channels {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = if x > width / 2 { (state >> 26) as usize } else { 0 };
            let edge = if (x / 9 + y / 7) % 3 == channel { 90 } else { 0 };
            out.push(((x * 2 + y + noise + edge) % 256) as u8);
        }
    }
    out
}

fn jpeg(made: Made, change: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, made.quality);
    encoder.set_sampling_factor(made.sampling);
    change(&mut encoder);
    let colour = if made.grey { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(&pixels(made), made.width, made.height, colour).unwrap();
    out
}

fn sequential(made: Made) -> Vec<u8> {
    jpeg(made, |encoder| {
        if made.restart_interval > 0 {
            encoder.set_restart_interval(made.restart_interval);
        }
    })
}

fn coefficients(bytes: &[u8]) -> Coefficients {
    read(bytes, &mut Arena::default()).expect("sound").expect("of a kind that is read")
}

/// Those of each plane that hold samples of the picture.
fn units(picture: &Coefficients) -> Vec<Vec<[i16; 64]>> {
    picture.planes.iter().map(|plane| plane.rows().flatten().copied().collect()).collect()
}

fn written(picture: &Coefficients, quality: u8, progressive: bool) -> Vec<u8> {
    let asked = Asked { quality, progressive, segments: &[] };
    picture.write(&asked, &mut Arena::default()).expect("not noise")
}

fn decoded(bytes: &[u8]) -> Raster {
    let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(bytes));
    let data = decoder.decode().expect("another decoder reads it");
    let (width, height) = decoder.dimensions().unwrap();
    let layout = if data.len() == width * height { Layout::Grey } else { Layout::Rgb };
    Raster::new(width as u32, height as u32, layout, data)
}

fn difference(one: &[u8], other: &[u8]) -> f64 {
    one.iter().zip(other).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / one.len() as f64
}

proptest! {
    #[test]
    fn sequential_pictures_of_any_sampling_are_read_as_the_standard_says(made in any_made()) {
        let bytes = sequential(made);
        let slow = reference::read(&bytes);
        let fast = coefficients(&bytes);
        prop_assert_eq!((fast.width, fast.height), (slow.width, slow.height));
        for (plane, slow) in fast.planes.iter().zip(&slow.planes) {
            prop_assert_eq!(plane.steps, slow.steps);
            let units: Vec<[i32; 64]> = plane.rows().flatten().map(|unit| unit.map(i32::from)).collect();
            prop_assert!(units == slow.blocks, "coefficients differ");
        }
    }

    #[test]
    fn progressive_pictures_hold_what_sequential_ones_do(made in any_made(), scans in 2_u8..=32) {
        let progressive = jpeg(made, |encoder| encoder.set_progressive_scans(scans));
        let plain = jpeg(made, |_| ());
        prop_assert!(units(&coefficients(&progressive)) == units(&coefficients(&plain)));
    }

    #[test]
    fn what_is_written_in_stages_is_what_is_written_at_once(made in any_made(), quality in 1_u8..=100) {
        let picture = coefficients(&sequential(made));
        let (at_once, in_stages) = (written(&picture, quality, false), written(&picture, quality, true));
        prop_assert!(units(&coefficients(&at_once)) == units(&coefficients(&in_stages)));
        prop_assert_eq!(decoded(&at_once).data, decoded(&in_stages).data);
    }

    #[test]
    fn writing_as_it_is_changes_no_coefficient(made in any_made(), progressive: bool) {
        let picture = coefficients(&sequential(made));
        let asked = Asked { quality: 100, progressive, segments: &[] };
        let Some(again) = picture.write_as_it_is(&asked, &mut Arena::default()) else { return Ok(()) };
        prop_assert!(units(&coefficients(&again)) == units(&picture));
    }

    #[test]
    fn colour_is_quartered_below_ninety_and_looks_the_same(made in any_made(), quality in 70_u8..90) {
        let (width, height) = (made.width.max(24), made.height.max(24));
        prop_assume!(made.sampling != SamplingFactor::F_4_1);
        let made = Made { grey: false, quality: 95, width, height, ..made };
        let source = sequential(made);
        let made_of_pixels = {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, quality);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_chroma_subsampling_method(jpeg_encoder::ChromaSubsamplingMethod::Average);
            encoder.encode(&decoded(&source).data, width, height, ColorType::Rgb).unwrap();
            out
        };
        let ours = written(&coefficients(&source), quality, false);
        prop_assert_eq!(coefficients(&ours).planes[1].coarseness, (2, 2));
        let before = decoded(&source).data;
        let (error, usual) = (difference(&before, &decoded(&ours).data), difference(&before, &decoded(&made_of_pixels).data));
        prop_assert!(error <= usual * 1.15 + 1.0, "off by {error}, where an encoder is off by {usual}");
    }

    #[test]
    fn turning_coefficients_turns_the_picture(
        across in 1_u16..5, down in 1_u16..5, made in any_made(), exif in 1_u32..=8,
    ) {
        prop_assume!(made.sampling != SamplingFactor::F_4_1);
        let (h, v) = match (made.grey, made.sampling) {
            (true, _) | (_, SamplingFactor::F_1_1) => (8, 8),
            (_, SamplingFactor::F_2_1) => (16, 8),
            (_, SamplingFactor::F_1_2) => (8, 16),
            _ => (16, 16),
        };
        let made = Made { width: across * h, height: down * v, quality: 90, ..made };
        let orientation = Orientation::from_exif(exif);
        let source = sequential(made);
        let asked = Asked { quality: 100, progressive: false, segments: &[] };
        let turned = coefficients(&source).turned(orientation);
        let Some(turned) = turned.write_as_it_is(&asked, &mut Arena::default()) else { return Ok(()) };
        let (ours, theirs) = (decoded(&turned), upright(decoded(&source), orientation));
        prop_assert_eq!((ours.width, ours.height), (theirs.width, theirs.height));
        // Colour that is smaller than brightness is spread by filters that look a little different from each side.
        let most = if made.grey || made.sampling == SamplingFactor::F_1_1 { 0.5 } else { 4.0 };
        let off = difference(&ours.data, &theirs.data);
        prop_assert!(off <= most, "off by {off}");
    }

    #[test]
    fn broken_bytes_of_any_kind_give_an_answer(
        made in any_made(), progressive: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = if progressive { jpeg(made, |encoder| encoder.set_progressive(true)) } else { sequential(made) };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut arena = Arena::default();
        for quality in [50, 95] {
            if let Ok(Some(picture)) = read(&bytes, &mut arena) {
                let asked = Asked { quality, progressive: !progressive, segments: &[] };
                let _ = picture.turned(Orientation::Transverse).write(&asked, &mut arena);
            }
        }
    }
}

/// What libjpeg-turbo wrote, and the same coefficients as its jpegtran wrote them again: sequential, in one scan.
macro_rules! pairs {
    ($($name:literal),*) => {
        [$((
            $name,
            include_bytes!(concat!("../../../../fuzz/seeds/jpeg/", $name, ".jpg")).as_slice(),
            include_bytes!(concat!("../../tests/fixtures/turbo/", $name, ".jpg")).as_slice(),
        )),*]
    };
}

#[test]
fn what_libjpeg_turbo_writes_is_read_as_libjpeg_turbo_reads_it() {
    let pairs = pairs!(
        "progressive-420",
        "progressive-444",
        "progressive-grey",
        "progressive-restart",
        "restart",
        "separate-scans",
        "440",
        "411",
        "optimised"
    );
    for (name, bytes, again) in pairs {
        let slow = reference::read(again);
        let fast = coefficients(bytes);
        assert_eq!(fast.planes.len(), slow.planes.len(), "{name}");
        for (plane, slow) in fast.planes.iter().zip(&slow.planes) {
            let units: Vec<[i32; 64]> = plane.rows().flatten().map(|unit| unit.map(i32::from)).collect();
            assert!((plane.steps, &units) == (slow.steps, &slow.blocks), "{name}: coefficients differ");
        }
    }
}
