//! Promises of the whole requantiser, held against a slow reader and against other people's codecs.

use jpeg_encoder::{ColorType, Encoder, QuantizationTableType, SamplingFactor};
use proptest::prelude::*;

use super::quantise::{Aim, Plane};
use super::{Arena, Asked, memory_bytes, read, reference, requantise, stream};
use crate::ErrorKind;

/// How a test picture is made.
#[derive(Debug, Clone)]
struct Made {
    width: u16,
    height: u16,
    quality: u8,
    grey: bool,
    /// One scan for each component, with codes made for the picture.
    optimised: bool,
    restart_interval: u16,
    /// Of 255: how much noise is laid over the picture.
    noise: u8,
    seed: u32,
}

/// A soft picture with a flat part, edges and some noise: all that makes blocks differ.
fn pixels(made: &Made) -> Vec<u8> {
    let mut state = made.seed | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let (width, height) = (usize::from(made.width), usize::from(made.height));
    let channels = if made.grey { 1 } else { 3 };
    let mut out = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            let noise = (random() % 256) as i32 * i32::from(made.noise) / 255;
            for channel in 0..channels {
                let soft = ((x * (3 + channel) + y * 2) % 256) as i32;
                let flat = x + y < (width + height) / 3;
                let value = if flat { 255 } else { (soft + noise - i32::from(made.noise) / 2).clamp(0, 255) };
                out.push(value as u8);
            }
        }
    }
    out
}

fn encoder<'a>(made: &Made, out: &'a mut Vec<u8>) -> Encoder<&'a mut Vec<u8>> {
    let mut encoder = Encoder::new(out, made.quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_optimized_huffman_tables(made.optimised);
    // This encoder makes its own codes without regard to restarts, and then misses some.
    if made.restart_interval > 0 && !made.optimised {
        encoder.set_restart_interval(made.restart_interval);
    }
    encoder
}

fn jpeg(made: &Made) -> Vec<u8> {
    let mut out = Vec::new();
    let colour = if made.grey { ColorType::Luma } else { ColorType::Rgb };
    encoder(made, &mut out).encode(&pixels(made), made.width, made.height, colour).unwrap();
    out
}

prop_compose! {
    fn any_made()(
        width in 1_u16..70, height in 1_u16..70, quality in 1_u8..=100, grey: bool, optimised: bool,
        restart_interval in prop_oneof![Just(0_u16), 1_u16..12], noise: u8, seed: u32,
    ) -> Made {
        Made { width, height, quality, grey, optimised, restart_interval, noise, seed }
    }
}

fn photo() -> Made {
    Made {
        width: 61,
        height: 45,
        quality: 90,
        grey: false,
        optimised: false,
        restart_interval: 0,
        noise: 60,
        seed: 7,
    }
}

fn requantised(bytes: &[u8], quality: u8) -> Vec<u8> {
    requantise(bytes, quality, &mut Arena::default()).expect("sound").expect("of this kind")
}

fn decoded(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(bytes));
    let pixels = decoder.decode().expect("another decoder reads it");
    let (width, height) = decoder.dimensions().unwrap();
    (width, height, pixels)
}

/// Mean difference of samples.
fn difference(one: &[u8], other: &[u8]) -> f64 {
    one.iter().zip(other).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / one.len() as f64
}

#[test]
fn a_rare_end_of_block_leaves_the_coefficient_before_it_as_it_is() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(320 * 320)
    .collect();
    for quality in 95..=100 {
        // Noise fills nearly all blocks, so that the code of their end is longer than a look-up.
        let made = Made { width: 320, height: 320, quality, optimised: true, ..photo() };
        let mut source = Vec::new();
        encoder(&made, &mut source).encode(&noise, 320, 320, ColorType::Luma).unwrap();
        let read = read(&source, &mut Arena::default()).unwrap().unwrap();
        let wanted = &reference::read(&source).planes[0].blocks;
        assert_eq!(read.planes[0].units.len(), wanted.len());
        for (at, (unit, wanted)) in read.planes[0].units.iter().zip(wanted).enumerate() {
            assert!(
                unit.iter().map(|&value| i32::from(value)).eq(wanted.iter().copied()),
                "{quality}: unit {at}"
            );
        }
    }
}

/// Where the entropy-coded data of the first scan begins.
fn data_at(bytes: &[u8]) -> usize {
    let header = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    header + 2 + usize::from(u16::from_be_bytes([bytes[header + 2], bytes[header + 3]]))
}

proptest! {
    #[test]
    fn each_coefficient_goes_to_the_nearest_new_step_or_towards_zero(made in any_made(), quality in 1_u8..=100) {
        let source = reference::read(&jpeg(&made));
        let output = reference::read(&requantised(&jpeg(&made), quality));
        prop_assert_eq!((source.width, source.height), (output.width, output.height));
        for (plane, (from, to)) in source.planes.iter().zip(&output.planes).enumerate() {
            prop_assert_eq!(from.blocks.len(), to.blocks.len());
            let plane = if plane == 0 { Plane::Luminance } else { Plane::Chrominance };
            for (at, &standard) in Aim::new(plane, quality).steps.iter().enumerate() {
                prop_assert_eq!(to.steps[at], standard.max(from.steps[at]));
                let (old, new) = (i32::from(from.steps[at]), i32::from(to.steps[at]));
                for (from, to) in from.blocks.iter().zip(&to.blocks) {
                    let (wanted, got) = (from[at] * old, to[at] * new);
                    // A hair more than half a step: ratios are rounded to 1/65536.
                    let nearest = 2 * (wanted - got).abs() <= new + 1;
                    let towards_zero = at > 0 && got.abs() < wanted.abs() && (wanted - got).abs() < new;
                    prop_assert!(nearest || towards_zero, "{} at {} became {}", wanted, at, got);
                }
            }
        }
    }

    #[test]
    fn other_decoders_read_the_output_and_find_the_same_picture(made in any_made(), quality in 50_u8..=100) {
        // In one scan: zune-jpeg 0.5.15 reads only half the rows of brightness where each component has a scan of its
        // own and colour is halved. Coefficients in such scans are held against the slow reader above.
        // And not too small: over a handful of pixels the mean says what the dice say.
        let (width, height) = (made.width.max(24), made.height.max(24));
        let made = Made { optimised: false, width, height, ..made };
        let source = jpeg(&made);
        let (width, height, before) = decoded(&source);
        let (new_width, new_height, after) = decoded(&requantised(&source, quality));
        prop_assert_eq!((width, height), (new_width, new_height));
        let mut plain = Vec::new();
        let colour = if made.grey { ColorType::Luma } else { ColorType::Rgb };
        encoder(&Made { quality, ..made.clone() }, &mut plain).encode(&before, made.width, made.height, colour).unwrap();
        let (error, usual) = (difference(&before, &after), difference(&before, &decoded(&plain).2));
        prop_assert!(error <= usual * 1.25 + 3.0, "off by {error}, where an encoder is off by {usual}");
    }

    #[test]
    fn coefficients_stay_as_they_are_where_the_source_is_coarser(made in any_made()) {
        let source = jpeg(&made);
        let output = requantised(&source, 100);
        prop_assert_eq!(reference::read(&source), reference::read(&output));
    }

    #[test]
    fn a_second_time_changes_nothing(made in any_made(), quality in 1_u8..=100) {
        let once = requantised(&jpeg(&made), quality);
        prop_assert_eq!(&requantised(&once, quality), &once);
    }

    #[test]
    fn an_arena_leaves_no_trace_in_the_next_picture(first in any_made(), second in any_made(), cut in 0.0..1.0_f64) {
        let mut arena = Arena::default();
        let (first, second) = (jpeg(&first), jpeg(&second));
        let _ = requantise(&first[..(first.len() as f64 * cut) as usize], 40, &mut arena);
        let used = requantise(&second, 60, &mut arena).unwrap().unwrap();
        prop_assert_eq!(used, requantised(&second, 60));
    }

    #[test]
    fn a_picture_cut_short_never_comes_out_fine(made in any_made(), cut in 0.0..1.0_f64) {
        let source = jpeg(&made);
        let cut = (source.len() - 2) as f64 * cut;
        let result = requantise(&source[..cut as usize], 50, &mut Arena::default());
        if cut as usize >= data_at(&source) && !made.optimised {
            prop_assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
        } else {
            prop_assert!(!matches!(result, Ok(Some(_))));
        }
    }

    #[test]
    fn broken_bytes_neither_panic_nor_take_more_memory_than_foretold(
        made in any_made(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        quality: u8,
    ) {
        let mut bytes = jpeg(&made);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut arena = Arena::default();
        let asked = Asked { quality, progressive: false, segments: &[] };
        if let Ok(Some(output)) = stream(&bytes, &asked, &mut arena) {
            let frame = reference::read(&output);
            let bound = memory_bytes(frame.width.into(), frame.height.into(), frame.planes.len() as u8);
            prop_assert!(arena.allocated_bytes() <= bound, "{} > {bound}", arena.allocated_bytes());
        }
    }

    #[test]
    fn any_bytes_at_all_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), quality: u8) {
        let start = [0xFF, 0xD8];
        let _ = requantise(&bytes, quality, &mut Arena::default());
        let _ = requantise(&[&start, &bytes[..]].concat(), quality, &mut Arena::default());
    }
}

#[test]
fn every_cut_inside_the_scan_is_corrupt() {
    let source = jpeg(&photo());
    let mut arena = Arena::default();
    for cut in data_at(&source)..source.len() - 2 {
        assert_eq!(
            requantise(&source[..cut], 50, &mut arena).unwrap_err().kind,
            ErrorKind::Corrupt,
            "at {cut}"
        );
    }
}

#[test]
fn a_missing_end_marker_and_bytes_after_the_end_are_forgiven() {
    let source = jpeg(&photo());
    let whole = requantised(&source, 50);
    assert_eq!(requantised(&source[..source.len() - 2], 50), whole);
    assert_eq!(requantised(&[&source[..], b"anything \xFF\xDA at all"].concat(), 50), whole);
    assert!(whole.ends_with(&[0xFF, 0xD9]));
}

#[test]
fn fill_bytes_before_markers_are_skipped() {
    let source = jpeg(&photo());
    let end = source.len() - 2;
    let filled = [&source[..2], &[0xFF; 3], &source[2..end], &[0xFF; 5], &source[end..]].concat();
    assert_eq!(requantised(&filled, 50), requantised(&source, 50));
}

#[test]
fn a_restart_marker_that_is_missing_or_wrong_does_no_harm() {
    let source = jpeg(&Made { restart_interval: 2, ..photo() });
    let whole = requantised(&source, 50);
    let markers: Vec<usize> = (data_at(&source)..source.len() - 2)
        .filter(|&at| source[at] == 0xFF && source[at + 1] & 0xF8 == 0xD0)
        .collect();
    assert!(markers.len() > 4);
    for at in markers {
        let mut wrong = source.clone();
        wrong[at + 1] ^= 5;
        assert_eq!(requantised(&wrong, 50), whole);
        let missing = [&source[..at], &source[at + 2..]].concat();
        assert_eq!(requantised(&missing, 50), whole);
    }
}

#[test]
fn blocks_that_are_lost_between_restart_markers_are_missed() {
    let source = jpeg(&Made { restart_interval: 2, ..photo() });
    let is_marker = |at: &usize| source[*at] == 0xFF && source[*at + 1] & 0xF8 == 0xD0;
    let markers: Vec<usize> = (data_at(&source)..source.len() - 2).filter(is_marker).collect();
    let lost_interval = [&source[..markers[1]], &source[markers[2]..]].concat();
    let lost_bytes = [&source[..markers[1] - 9], &source[markers[1]..]].concat();
    let doubled = [&source[..markers[2]], &source[markers[1]..]].concat();
    for broken in [lost_interval, lost_bytes, doubled] {
        assert_eq!(requantise(&broken, 50, &mut Arena::default()).unwrap_err().kind, ErrorKind::Corrupt);
    }
}

#[test]
fn other_kinds_of_jpeg_are_left_to_others() {
    let made = photo();
    let mut cmyk = Vec::new();
    let pixels = vec![100; usize::from(made.width) * usize::from(made.height) * 4];
    encoder(&made, &mut cmyk).encode(&pixels, made.width, made.height, ColorType::Cmyk).unwrap();
    for other in [&cmyk, &Vec::new(), &b"GIF89a".to_vec()] {
        assert_eq!(requantise(other, 50, &mut Arena::default()), Ok(None));
    }
}

#[test]
fn pictures_whose_steps_are_no_baseline_steps_are_left_to_others() {
    let mut out = Vec::new();
    let made = photo();
    let mut encoder = encoder(&made, &mut out);
    let coarse = || QuantizationTableType::Custom(Box::new([300; 64]));
    encoder.set_quantization_tables(coarse(), coarse());
    encoder.set_quality(50);
    encoder.encode(&pixels(&made), made.width, made.height, ColorType::Rgb).unwrap();
    let widest = reference::read(&out).planes[0].steps[0];
    assert_eq!(requantise(&out, 50, &mut Arena::default()).unwrap().is_none(), widest > 255);
}

#[test]
fn white_stays_empty_to_the_last_pixel() {
    let made = Made { width: 999, height: 1001, ..photo() };
    let mut white = Vec::new();
    encoder(&made, &mut white).encode(&vec![255; 999 * 1001 * 3], 999, 1001, ColorType::Rgb).unwrap();
    let output = requantised(&white, 50);
    assert!(decoded(&output).2.iter().all(|&value| value >= 254));
    // A DC and an AC code of one bit in each of an MCU's six blocks.
    assert!(output.len() < 63 * 63 * 12 / 8 + 700, "{} bytes", output.len());
}

#[test]
fn a_picture_larger_than_window_and_chunk_is_read_whole() {
    let source = jpeg(&Made { width: 1200, height: 900, noise: 255, quality: 80, ..photo() });
    assert!(source.len() > 300_000);
    assert_eq!(reference::read(&requantised(&source, 95)), reference::read(&source));
}

#[test]
fn noise_that_would_take_too_much_memory_is_left_to_others() {
    let source = jpeg(&Made { width: 400, height: 400, noise: 255, quality: 100, ..photo() });
    assert_eq!(requantise(&source, 100, &mut Arena::default()), Ok(None));
}

#[test]
fn nothing_but_the_picture_is_written() {
    let mut source = jpeg(&photo());
    let secret = b"\xFF\xE1\0\x0ESECRET-PLACE\xFF\xFE\0\x08SECRET";
    source.splice(2..2, secret[..16 + 10].iter().copied());
    let output = requantised(&source, 50);
    assert!(!output.windows(6).any(|word| word == b"SECRET"));
    let markers: Vec<u8> = markers(&output);
    assert_eq!(markers, [0xE0, 0xDB, 0xC0, 0xC4, 0xDA]);
}

/// Codes of the segments up to the first scan.
fn markers(bytes: &[u8]) -> Vec<u8> {
    let (mut at, mut codes) = (2, Vec::new());
    while codes.last() != Some(&0xDA) {
        codes.push(bytes[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
    codes
}

#[test]
fn coarse_noise_in_separate_scans_comes_through_as_it_is() {
    let made = Made {
        width: 12,
        height: 12,
        quality: 5,
        optimised: true,
        noise: 135,
        seed: 1_870_306_034,
        ..photo()
    };
    let source = jpeg(&made);
    assert_eq!(reference::read(&requantised(&source, 50)), reference::read(&source));
}
