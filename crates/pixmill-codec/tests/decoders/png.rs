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

/// The same file with rows in seven passes, where data are the rows one after the other without filters.
fn in_passes(file: &[u8], bits: usize, (width, height): (usize, usize)) -> Vec<u8> {
    let stride = (width * bits).div_ceil(8);
    let data_at = file.windows(4).position(|word| word == b"IDAT").unwrap() - 4;
    let rows = rows_of(file, stride);
    let bit = |x: usize, y: usize, at: usize| {
        let place = x * bits + at;
        rows[y * stride + place / 8] >> (7 - place % 8) & 1
    };
    let passes =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let mut raw = Vec::new();
    for (left, top, across, down) in passes {
        let columns: Vec<usize> = (left..width).step_by(across).collect();
        for y in (top..height).step_by(down).filter(|_| !columns.is_empty()) {
            let samples: Vec<usize> = columns
                .iter()
                .flat_map(|x| (0..bits).map(move |at| (*x, at)))
                .map(|(x, at)| usize::from(bit(x, y, at)))
                .collect();
            raw.push(0);
            raw.extend(packed(&samples, 1));
        }
    }
    let data = miniz_oxide::deflate::compress_to_vec_zlib(&raw, 6);
    let mut head = file[16..29].to_vec();
    head[12] = 1;
    [&file[..8], &chunk(b"IHDR", &head), &file[33..data_at], &chunk(b"IDAT", &data), &chunk(b"IEND", b"")]
        .concat()
}

/// Rows as they are stored, by the png crate.
fn rows_of(file: &[u8], stride: usize) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    assert_eq!(info.line_size, stride);
    data
}

#[test]
fn png_in_passes_shows_what_was_put_in() {
    for ((colour, depth), size) in
        KINDS.into_iter().flat_map(|kind| sizes().step_by(3).map(move |size| (kind, size)))
    {
        let (file, mut pixels) = made(colour, depth, size);
        let file = mirrored(&in_passes(&file, depth as usize * colour.samples(), size));
        pixels.chunks_exact_mut(size.0).for_each(<[_]>::reverse);
        assert!(shown(&file).unwrap().pixels == pixels, "{colour:?} {depth:?} {size:?}");
    }
}

#[test]
fn a_colour_that_is_said_to_be_see_through_is() {
    let kinds = KINDS.into_iter().filter(|(colour, _)| colour.samples() != 2 && colour.samples() != 4);
    for ((colour, depth), size) in kinds.flat_map(|kind| sizes().step_by(7).map(move |size| (kind, size))) {
        let (file, mut pixels) = made(colour, depth, size);
        let bits = depth as usize;
        let first: Vec<usize> = {
            let row = rows_of(&file, (size.0 * bits * colour.samples()).div_ceil(8));
            let sample = |at: usize| match bits {
                16 => usize::from(row[2 * at]) << 8 | usize::from(row[2 * at + 1]),
                bits => usize::from(row[0]) >> (8 - bits) & ((1 << bits) - 1),
            };
            if bits == 8 {
                row[..colour.samples()].iter().map(|at| usize::from(*at)).collect()
            } else {
                (0..colour.samples()).map(sample).collect()
            }
        };
        let data: Vec<u8> = match colour {
            // Alpha of each entry up to the one of the first pixel.
            ColorType::Indexed => [vec![255; first[0]], vec![0]].concat(),
            _ => first.iter().flat_map(|sample| (*sample as u16).to_be_bytes()).collect(),
        };
        let at = file.windows(4).position(|word| word == b"IDAT").unwrap() - 4;
        let file = mirrored(&[&file[..at], &chunk(b"tRNS", &data), &file[at..]].concat());
        let shown = shown(&file).unwrap();
        if bits == 16 {
            // Two colours of 16 bits may be one of 8: the first pixel at least is gone.
            assert_eq!(shown.pixels[size.0 - 1][3], 0, "{colour:?} {size:?}");
            continue;
        }
        let gone = pixels[0];
        pixels.iter_mut().filter(|pixel| **pixel == gone).for_each(|pixel| pixel[3] = 0);
        pixels.chunks_exact_mut(size.0).for_each(<[_]>::reverse);
        let same = shown.pixels.iter().zip(&pixels).all(|(a, b)| a == b || a[3] == 0 && b[3] == 0);
        assert!(same, "{colour:?} {depth:?} {size:?}");
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
