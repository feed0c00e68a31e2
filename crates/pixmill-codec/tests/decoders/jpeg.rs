//! JPEG, by the encoder of jpeg-encoder and the decoder of zune-jpeg.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use pixmill_codec::{Limits, Recipe, Workspace, recompress};
use zune_core::bytestream::ZCursor;

use super::{difference, shown, shown_within, sizes};

/// Slopes, which any sampling can hold.
fn slopes((width, height): (usize, usize), channels: usize) -> Vec<u8> {
    let sample = |at: usize| {
        let (x, y, channel) = (at / channels % width, at / channels / width, at % channels);
        (60 + x * (3 - channel.min(3)) / 2 + y * (channel + 1) / 2) as u8
    };
    (0..width * height * channels).map(sample).collect()
}

fn made(
    size: (usize, usize),
    colour: ColorType,
    change: impl Fn(&mut Encoder<&mut Vec<u8>>),
) -> (Vec<u8>, Vec<[u8; 4]>) {
    let channels = match colour {
        ColorType::Luma => 1,
        ColorType::Cmyk | ColorType::CmykAsYcck => 4,
        _ => 3,
    };
    let data = slopes(size, channels);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 96);
    change(&mut encoder);
    encoder.encode(&data, size.0 as u16, size.1 as u16, colour).unwrap();
    let pixels = data.chunks(channels).map(|pixel| match *pixel {
        [grey] => [grey, grey, grey, 255],
        [r, g, b] => [r, g, b, 255],
        [c, m, y, k] => {
            let light = |ink: u8| (u32::from(255 - ink) * u32::from(255 - k) / 255) as u8;
            [light(c), light(m), light(y), 255]
        }
        _ => unreachable!("one, three or four samples"),
    });
    (file, pixels.collect())
}

const SAMPLINGS: [SamplingFactor; 10] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
    SamplingFactor::F_4_1,
    SamplingFactor::F_4_2,
    SamplingFactor::F_1_4,
    SamplingFactor::F_2_4,
    SamplingFactor::R_4_4_4,
    SamplingFactor::R_4_2_0,
];

#[test]
fn jpeg_of_every_sampling_colour_and_size_shows_what_was_put_in() {
    for (width, height) in sizes().step_by(2) {
        for (sampling, progressive) in
            SAMPLINGS.into_iter().flat_map(|sampling| [(sampling, false), (sampling, true)])
        {
            for colour in
                [ColorType::Luma, ColorType::Rgb, ColorType::Ycbcr, ColorType::Cmyk, ColorType::CmykAsYcck]
            {
                // What is to hold YCbCr already would be shown as such.
                if colour == ColorType::Ycbcr {
                    continue;
                }
                let (file, pixels) = made((width, height), colour, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(progressive);
                });
                let shown = shown(&file).unwrap();
                let off = difference(&shown, &pixels);
                assert!(off < 3.0, "{width} × {height} {sampling:?} {colour:?}: off by {off}");
            }
        }
    }
}

#[test]
fn jpeg_of_usual_sampling_shows_what_zune_jpeg_shows() {
    for (size, sampling) in
        sizes().flat_map(|size| SAMPLINGS[..4].iter().map(move |sampling| (size, *sampling)))
    {
        for colour in [ColorType::Luma, ColorType::Rgb] {
            let (file, _) = made(size, colour, |encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_restart_interval((size.0 % 5) as u16);
            });
            let mut decoder = zune_jpeg::JpegDecoder::new(ZCursor::new(file.as_slice()));
            let wanted = decoder.decode().expect("zune-jpeg reads it");
            let samples = wanted.len() / (size.0 * size.1);
            let wanted: Vec<[u8; 4]> = wanted
                .chunks(samples)
                .map(|pixel| [pixel[0], pixel[1 % samples], pixel[2 % samples], 255])
                .collect();
            let off = difference(&shown(&file).unwrap(), &wanted);
            assert!(off < 1.0, "{size:?} {sampling:?} {colour:?}: off by {off}");
        }
    }
}

/// Changes the sampling factors of a frame of one sampling; what is left is read as another picture's data.
fn frame_at(file: &[u8]) -> usize {
    file.windows(2).position(|two| matches!(two, [0xFF, 0xC0..=0xC2])).expect("a frame")
}

#[test]
fn factors_that_are_all_the_same_are_as_good_as_ones() {
    let (file, pixels) = made((16, 16), ColorType::Luma, |_| ());
    let frame = frame_at(&file);
    for factors in [0x22, 0x31, 0x14] {
        let mut changed = file.clone();
        changed[frame + 11] = factors;
        assert!(difference(&shown(&changed).unwrap(), &pixels) < 3.0, "{factors:x}");
    }
}

#[test]
fn what_lacks_behind_the_last_row_of_a_jpeg_does_no_harm() {
    for progressive in [false, true] {
        let (file, pixels) = made((61, 70), ColorType::Rgb, |encoder| encoder.set_progressive(progressive));
        let without_end = &file[..file.len() - 2];
        let off = difference(&shown(without_end).unwrap(), &pixels);
        assert!(off < 3.0, "off by {off}");
        // Zeros that fill up a block of a disk, and an interval's marker behind the last one.
        for behind in [&[0; 40][..], &[0xFF, 0xD0, 0xFF, 0xD9]] {
            let padded = [without_end, behind].concat();
            assert!(difference(&shown(&padded).unwrap(), &pixels) < 3.0, "{behind:?}");
        }
    }
}

#[test]
fn more_than_nine_tenths_of_a_jpeg_are_enough_where_that_is_allowed() {
    for progressive in [false, true] {
        let (file, pixels) = made((70, 70), ColorType::Rgb, |encoder| {
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_progressive(progressive);
        });
        let scan = file.windows(2).rposition(|two| two == [0xFF, 0xDA]).unwrap();
        let cut = &file[..file.len() - 2 - ((file.len() - scan) / 25).max(3)];
        assert_eq!(shown(cut).unwrap_err().kind.code(), "image.corrupt", "progressive: {progressive}");
        let lenient = shown_within(cut, true).unwrap();
        assert!(difference(&lenient, &pixels) < 12.0, "progressive: {progressive}");
        assert!(shown_within(&file[..file.len() / 2], true).is_err());
    }
}

#[test]
fn a_frame_of_a_film_brings_no_codes_and_needs_none() {
    let (file, pixels) =
        made((33, 21), ColorType::Rgb, |encoder| encoder.set_optimized_huffman_tables(false));
    let mut bare = Vec::new();
    let mut at = 2;
    bare.extend(&file[..2]);
    loop {
        let end = at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        match file[at + 1] {
            0xC4 => {}
            0xDA => break,
            _ => bare.extend(&file[at..end]),
        }
        at = end;
    }
    bare.extend(&file[at..]);
    assert!(bare.len() + 300 < file.len());
    assert!(difference(&shown(&bare).unwrap(), &pixels) < 3.0);
    // Never as it is: not all that show pictures know the codes by heart.
    let recipe = pixmill_codec::Recipe { quality: 100, ..Default::default() };
    let made =
        pixmill_codec::recompress(&bare, &recipe, &Default::default(), &mut Default::default()).unwrap();
    assert!(made.bytes.windows(2).any(|two| two == [0xFF, 0xC4]) && !made.kept_source);
}

#[test]
fn blocks_lost_or_doubled_between_restart_markers_are_missed_by_whatever_way_the_picture_goes() {
    let (file, pixels) = made((70, 61), ColorType::Rgb, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.set_restart_interval(4);
    });
    let markers: Vec<usize> =
        (0..file.len() - 2).filter(|&at| matches!(file[at..], [0xFF, 0xD0..=0xD7, ..])).collect();
    assert!(markers.len() > 10);
    assert!(difference(&shown(&file).unwrap(), &pixels) < 3.0);
    let lost = [&file[..markers[3]], &file[markers[4]..]].concat();
    let doubled = [&file[..markers[4]], &file[markers[3]..]].concat();
    for broken in [lost, doubled] {
        assert_eq!(shown(&broken).unwrap_err().kind.code(), "image.corrupt");
        for recipe in [Recipe::default(), Recipe { max_width: Some(20), ..Recipe::default() }] {
            let made = recompress(&broken, &recipe, &Limits::default(), &mut Workspace::default());
            assert_eq!(made.unwrap_err().kind.code(), "image.corrupt", "{recipe:?}");
        }
    }
}

#[test]
fn a_relative_of_jpeg_is_named() {
    let (file, _) = made((9, 9), ColorType::Luma, |_| ());
    for (marker, name) in [(0xC3, "lossless"), (0xC9, "arithmetic"), (0xF7, "JPEG-LS")] {
        let mut other = file.clone();
        let frame = frame_at(&file);
        other[frame + 1] = marker;
        let error = shown(&other).unwrap_err();
        assert_eq!(error.kind.code(), "image.unsupported");
        assert!(error.message.contains(name), "{error}");
    }
}
