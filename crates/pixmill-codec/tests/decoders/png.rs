//! PNG, by the png crate's encoder.

use pixmill_codec::{Format, Limits, Recipe, Workspace, recompress};
use png::{BitDepth, ColorType, Encoder};

use super::{eight_bits, noise, shown, shown_within, sizes};

const KINDS: [(ColorType, BitDepth); 15] = [
    (ColorType::Grayscale, BitDepth::One),
    (ColorType::Grayscale, BitDepth::Two),
    (ColorType::Grayscale, BitDepth::Four),
    (ColorType::Grayscale, BitDepth::Eight),
    (ColorType::Grayscale, BitDepth::Sixteen),
    (ColorType::GrayscaleAlpha, BitDepth::Eight),
    (ColorType::GrayscaleAlpha, BitDepth::Sixteen),
    (ColorType::Rgb, BitDepth::Eight),
    (ColorType::Rgb, BitDepth::Sixteen),
    (ColorType::Rgba, BitDepth::Eight),
    (ColorType::Rgba, BitDepth::Sixteen),
    (ColorType::Indexed, BitDepth::One),
    (ColorType::Indexed, BitDepth::Two),
    (ColorType::Indexed, BitDepth::Four),
    (ColorType::Indexed, BitDepth::Eight),
];

/// Bits of a row, packed.
fn packed(samples: &[usize], bits: usize) -> Vec<u8> {
    let mut row = vec![0; (samples.len() * bits).div_ceil(8)];
    for (at, sample) in samples.iter().enumerate() {
        match bits {
            16 => row[2 * at..2 * at + 2].copy_from_slice(&(*sample as u16).to_be_bytes()),
            bits => row[at * bits / 8] |= (sample << (8 - bits - at * bits % 8)) as u8,
        }
    }
    row
}

fn made(colour: ColorType, depth: BitDepth, (width, height): (usize, usize)) -> (Vec<u8>, Vec<[u8; 4]>) {
    let (bits, count) = (depth as usize, colour.samples());
    let mut noise = noise(width * 70 + height + bits * count);
    let palette: Vec<[u8; 3]> =
        (0..1 << bits.min(8)).map(|at| [at as u8, !at as u8, (at * 5) as u8]).collect();
    let (mut data, mut pixels) = (Vec::new(), Vec::new());
    for _ in 0..height {
        let samples: Vec<usize> = (0..width * count).map(|_| noise() & ((1 << bits) - 1)).collect();
        data.extend(packed(&samples, bits));
        pixels.extend(samples.chunks(count).map(|pixel| {
            let level = |at: usize| eight_bits(pixel[at], bits);
            match colour {
                ColorType::Grayscale => [level(0), level(0), level(0), 255],
                ColorType::GrayscaleAlpha => [level(0), level(0), level(0), level(1)],
                ColorType::Rgb => [level(0), level(1), level(2), 255],
                ColorType::Rgba => [level(0), level(1), level(2), level(3)],
                ColorType::Indexed => {
                    let [r, g, b] = palette[pixel[0]];
                    [r, g, b, 255]
                }
            }
        }));
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(palette.concat());
    }
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    (file, pixels)
}

#[test]
fn png_of_every_colour_depth_and_size_shows_what_was_put_in() {
    for ((colour, depth), size) in
        KINDS.into_iter().flat_map(|kind| sizes().step_by(2).map(move |size| (kind, size)))
    {
        let (file, pixels) = made(colour, depth, size);
        let file = if depth == BitDepth::Sixteen { mirrored(&file) } else { file };
        let mut shown = shown(&file).unwrap();
        assert_eq!((shown.width, shown.height), size);
        if depth == BitDepth::Sixteen {
            shown.pixels.chunks_exact_mut(size.0).for_each(<[_]>::reverse);
        }
        assert!(shown.pixels == pixels, "{colour:?} {depth:?} {size:?}");
    }
}

/// To be shown from right to left, so that it is decoded: sixteen bits that need no change are kept as they are.
fn mirrored(file: &[u8]) -> Vec<u8> {
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x02\0\0\0\0\0\0";
    [&file[..33], &chunk(b"eXIf", exif), &file[33..]].concat()
}

/// Samples as a PNG has them, by the png crate's decoder.
fn samples(file: &[u8]) -> (ColorType, BitDepth, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    data.truncate(info.buffer_size());
    (info.color_type, info.bit_depth, data)
}

#[test]
fn sixteen_bits_that_need_no_change_are_kept_to_the_last_one() {
    for (colour, size) in [ColorType::Grayscale, ColorType::GrayscaleAlpha, ColorType::Rgb, ColorType::Rgba]
        .into_iter()
        .flat_map(|colour| sizes().step_by(5).map(move |size| (colour, size)))
    {
        let (file, _) = made(colour, BitDepth::Sixteen, size);
        let recipe = Recipe { format: Format::Png, ..Recipe::default() };
        let kept = recompress(&file, &recipe, &Limits::default(), &mut Workspace::default()).unwrap();
        assert!(samples(&kept.bytes) == samples(&file), "{colour:?} {size:?}");
    }
}

#[test]
fn a_profile_that_cannot_be_read_is_no_fault_of_the_picture() {
    let (file, pixels) = made(ColorType::Rgb, BitDepth::Eight, (9, 7));
    for data in [&b"name\0\0rubbish"[..], b"name", b"name\0"] {
        let file = [&file[..33], &chunk(b"iCCP", data), &file[33..]].concat();
        assert!(shown(&file).unwrap().pixels == pixels, "{data:?}");
    }
}

#[test]
fn what_lacks_behind_the_last_row_of_a_png_does_no_harm() {
    for (colour, depth) in KINDS.into_iter().filter(|(_, depth)| *depth != BitDepth::Sixteen) {
        let (file, pixels) = made(colour, depth, (61, 43));
        // The end chunk; the checksum of the last chunk of data; the checksum inside of it.
        for cut in [12, 12 + 4, 12 + 4 + 4] {
            let shown = shown(&file[..file.len() - cut]);
            assert!(shown.unwrap().pixels == pixels, "{colour:?} {depth:?} without {cut} bytes");
        }
        let cut = &file[..file.len() * 3 / 4];
        assert_eq!(shown(cut).unwrap_err().kind.code(), "image.corrupt");
        assert!(shown_within(cut, true).is_err());
    }
}

#[test]
fn a_png_whose_checksum_is_wrong_is_corrupt() {
    let (mut file, _) = made(ColorType::Rgb, BitDepth::Eight, (20, 20));
    let at = file.len() - 12 - 1;
    file[at] ^= 1;
    assert_eq!(shown(&file).unwrap_err().kind.code(), "image.corrupt");
}

#[test]
fn a_png_whose_checksum_inside_of_its_data_is_wrong_is_corrupt() {
    // No other program shows it, so it may not be kept as it is either.
    for colour in [ColorType::Rgb, ColorType::Grayscale] {
        let (file, _) = made(colour, BitDepth::Eight, (20, 20));
        let at = file.windows(4).position(|word| word == b"IDAT").unwrap();
        let mut data = file[at + 4..file.len() - 16].to_vec();
        *data.last_mut().unwrap() ^= 1;
        let damaged = [&file[..at - 4], &chunk(b"IDAT", &data), &file[file.len() - 12..]].concat();
        let error = shown(&damaged).unwrap_err();
        assert_eq!(error.kind.code(), "image.corrupt");
        assert!(error.message.contains("checksum") || error.message.contains("damaged"), "{error}");
    }
}

#[test]
fn a_png_for_apple_is_named() {
    let (file, _) = made(ColorType::Rgb, BitDepth::Eight, (4, 4));
    let chunk = [&4_u32.to_be_bytes()[..], b"CgBI\x50\0\x20\x06", &[0; 4]].concat();
    let error = shown(&[&file[..8], &chunk, &file[8..]].concat()).unwrap_err();
    assert_eq!(error.kind.code(), "image.unsupported");
    assert!(error.message.contains("CgBI"), "{error}");
}

#[test]
fn what_is_wrong_with_a_png_is_told_in_words_for_people() {
    let (file, _) = made(ColorType::Indexed, BitDepth::Eight, (20, 20));
    let told = |at: usize, to: u8| {
        let mut damaged = file.clone();
        damaged[at] = to;
        shown(&damaged).err().map(|error| error.message)
    };
    for told in (8..file.len()).filter_map(|at| told(at, 0xA5)) {
        let is_of_a_program =
            told.contains(['{', '"', '#', ':']) || told.contains("0x") || told.contains("Chunk");
        assert!(!is_of_a_program, "{told}");
    }
    let data = file.windows(4).position(|word| word == b"IDAT").unwrap();
    assert!(
        told(data + 20, 0xA5).is_some_and(|told| told.contains("checksums") || told.contains("compressed"))
    );
}

/// A chunk as a file has it.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [kind, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
}

#[test]
fn colours_that_are_said_by_numbers_become_those_of_srgb_in_their_order() {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 1, 1);
    encoder.set_color(ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[128, 102, 77]).unwrap();
    let p3 = chunk(b"cICP", &[12, 13, 0, 1]);
    let gamma = chunk(b"gAMA", &100_000_u32.to_be_bytes());
    let usual = chunk(b"gAMA", &45_455_u32.to_be_bytes());
    let srgb = chunk(b"sRGB", &[0]);
    let with = |chunks: &[&[u8]]| {
        let file = [&file[..33], &chunks.concat(), &file[33..]].concat();
        shown(&file).unwrap().pixels[0]
    };
    let near = |pixel: [u8; 4], wanted: [u8; 3]| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 2);
    assert!(near(with(&[&p3]), [132, 101, 73]), "{:?}", with(&[&p3]));
    assert_eq!(with(&[&p3, &gamma, &srgb]), with(&[&p3]));
    assert_eq!(with(&[&gamma, &srgb]), [128, 102, 77, 255]);
    assert_eq!(with(&[&usual]), [128, 102, 77, 255]);
    let primaries = [31_270_u32, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
    let primaries = chunk(b"cHRM", &primaries.map(u32::to_be_bytes).concat());
    assert!(near(with(&[&primaries, &gamma]), [187, 168, 147]), "{:?}", with(&[&primaries, &gamma]));
    let video = [&file[..33], &chunk(b"cICP", &[9, 16, 9, 0]), &file[33..]].concat();
    assert_eq!(shown(&video).unwrap_err().kind.code(), "image.unsupported");
}
