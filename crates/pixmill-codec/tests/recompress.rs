//! What recompressing promises, on real pictures and on made ones.

use pixmill_codec::{
    Background, Error, ErrorKind, Format, KeepMetadata, Limits, OutputFormat, Recipe, Recompressed,
    Workspace, probe, recompress,
};
use proptest::prelude::*;
use zune_core::bytestream::ZCursor;

/// Pictures that are read, with their upright sizes.
const GOOD: [(&str, &[u8], (u32, u32)); 18] = [
    ("testorig.jpg", include_bytes!("fixtures/testorig.jpg"), (227, 149)),
    ("progressive-420.jpg", include_bytes!("fixtures/progressive-420.jpg"), (768, 512)),
    ("gps-6.jpg", include_bytes!("fixtures/gps-6.jpg"), (240, 320)),
    ("gps-6.webp", include_bytes!("fixtures/gps-6.webp"), (240, 320)),
    ("gps-1.avif", include_bytes!("fixtures/gps-1.avif"), (320, 240)),
    ("pil_sample_cmyk.jpg", include_bytes!("fixtures/pil_sample_cmyk.jpg"), (100, 100)),
    ("swapped.jpg", include_bytes!("fixtures/swapped.jpg"), (384, 256)),
    ("swapped.webp", include_bytes!("fixtures/swapped.webp"), (384, 256)),
    ("p3.png", include_bytes!("fixtures/p3.png"), (8, 8)),
    ("hopper.gif", include_bytes!("fixtures/hopper.gif"), (128, 128)),
    ("rgb16-565.bmp", include_bytes!("fixtures/rgb16-565.bmp"), (127, 64)),
    ("pal8rle.bmp", include_bytes!("fixtures/pal8rle.bmp"), (127, 64)),
    ("palette-lzw.tif", include_bytes!("fixtures/palette-lzw.tif"), (384, 256)),
    ("bilevel-deflate.tif", include_bytes!("fixtures/bilevel-deflate.tif"), (384, 256)),
    ("animated.webp", include_bytes!("fixtures/animated.webp"), (96, 64)),
    ("animated.png", include_bytes!("fixtures/animated.png"), (96, 64)),
    ("hopper.avif", include_bytes!("fixtures/hopper.avif"), (128, 128)),
    ("rot1mir0.avif", include_bytes!("fixtures/rot1mir0.avif"), (640, 427)),
];

fn good(name: &str) -> &'static [u8] {
    GOOD.iter().find(|(known, _, _)| *known == name).unwrap().1
}

fn run(bytes: &[u8], recipe: &Recipe) -> Result<Recompressed, Error> {
    recompress(bytes, recipe, &Limits::default(), &mut Workspace::default())
}

fn run_lenient(bytes: &[u8]) -> Result<Recompressed, Error> {
    let limits = Limits { lenient: true, ..Limits::default() };
    recompress(bytes, &Recipe::default(), &limits, &mut Workspace::default())
}

fn refusal(bytes: &[u8]) -> ErrorKind {
    let kind =
        run(bytes, &Recipe::default()).map_err(|error| error.kind).map(|made| made.format).unwrap_err();
    if let Err(error) = probe(bytes, &Recipe::default(), &Limits::default()) {
        assert_eq!(error.kind, kind);
    }
    kind
}

fn to(format: Format) -> Recipe {
    Recipe { format, ..Recipe::default() }
}

/// RGB of a JPEG.
fn jpeg_pixels(jpeg: &[u8]) -> Vec<u8> {
    let options = zune_core::options::DecoderOptions::default()
        .jpeg_set_out_colorspace(zune_core::colorspace::ColorSpace::RGB);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(jpeg), options).decode().unwrap()
}

/// Samples of a PNG as they are stored, with palettes and transparency spread out.
fn png_pixels(bytes: &[u8]) -> (u32, u32, usize, Vec<u8>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    data.truncate(info.buffer_size());
    (info.width, info.height, info.color_type.samples(), data)
}

/// A PNG of RGB pixels, with chunks put behind its header.
fn png_of(
    width: u32,
    height: u32,
    colour: png::ColorType,
    data: &[u8],
    chunks: &[([u8; 4], &[u8])],
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(colour);
    let mut writer = encoder.write_header().unwrap();
    for (kind, body) in chunks {
        writer.write_chunk(png::chunk::ChunkType(*kind), body).unwrap();
    }
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    out
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[test]
fn every_kind_of_picture_becomes_every_format_upright() {
    for (name, bytes, size) in GOOD {
        for format in [Format::Jpeg, Format::Webp, Format::Png] {
            let made = run(bytes, &to(format)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((made.width, made.height), size, "{name}");
            let again = probe(&made.bytes, &Recipe::default(), &Limits::default()).unwrap();
            assert_eq!((again.width, again.height), size, "{name} as {format:?}");
        }
    }
}

/// AVIF takes its time: what doesn't depend on the size is shown by small ones.
fn small(name: &str, format: Format) -> Recipe {
    let avif = format == Format::Avif || format == Format::Keep && name.ends_with(".avif");
    Recipe { max_width: avif.then_some(64), ..to(format) }
}

#[test]
fn every_kind_of_picture_becomes_an_avif_upright() {
    for (name, bytes, (width, height)) in GOOD {
        let made = run(bytes, &small(name, Format::Avif)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = (width.min(64), (f64::from(height) * 64.0 / f64::from(width.max(64))).round() as u32);
        assert_eq!((made.width, made.height), expected, "{name}");
        let again = probe(&made.bytes, &Recipe::default(), &Limits::default()).unwrap();
        assert_eq!((again.width, again.height), expected, "{name}");
    }
}

#[test]
fn an_animation_says_of_how_many_pictures_it_shows_the_first() {
    for (name, frames) in [("animated.webp", 6), ("animated.png", 6), ("hopper.gif", 1), ("testorig.jpg", 1)]
    {
        assert_eq!(run(good(name), &Recipe::default()).unwrap().frames, frames, "{name}");
    }
}

#[test]
fn keep_leaves_the_formats_of_the_web_and_makes_png_of_others() {
    for (name, bytes, _) in GOOD {
        let wanted = match name.rsplit('.').next().unwrap() {
            "jpg" => OutputFormat::Jpeg,
            "webp" => OutputFormat::Webp,
            "avif" => OutputFormat::Avif,
            _ => OutputFormat::Png,
        };
        assert_eq!(run(bytes, &small(name, Format::Keep)).unwrap().format, wanted, "{name}");
    }
}

#[test]
fn jpeg_and_lossless_png_of_a_picture_look_alike() {
    for (name, bytes, _) in GOOD {
        let jpeg = run(bytes, &Recipe { quality: 95, ..Recipe::default() }).unwrap();
        let flat = png_pixels(&run(bytes, &to(Format::Png)).unwrap().bytes);
        let (_, _, samples, data) = flat;
        let rgb: Vec<u8> = data
            .chunks(samples)
            .flat_map(|pixel| match *pixel {
                [g] => [g; 3],
                [g, a] => [over_white(g, a); 3],
                [r, g, b] => [r, g, b],
                [r, g, b, a] => [over_white(r, a), over_white(g, a), over_white(b, a)],
                _ => unreachable!("a PNG pixel has one to four samples"),
            })
            .collect();
        let shown = jpeg_pixels(&jpeg.bytes);
        let off: u64 = shown.iter().zip(&rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = off as f64 / rgb.len() as f64;
        assert_eq!(shown.len(), rgb.len(), "{name}");
        assert!(mean < 4.0, "{name}: mean difference {mean}");
    }
}

/// A pixel of a PNG with all of its samples.
fn rgba(pixel: &[u8]) -> [u8; 4] {
    match *pixel {
        [g] => [g, g, g, 255],
        [g, a] => [g, g, g, a],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a] => [r, g, b, a],
        _ => unreachable!("a PNG pixel has one to four samples"),
    }
}

fn over_white(sample: u8, alpha: u8) -> u8 {
    ((u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8
}

#[test]
fn the_same_picture_and_recipe_give_the_same_bytes_whatever_came_before() {
    let mut used = Workspace::default();
    for (name, bytes, _) in GOOD {
        for format in [Format::Jpeg, Format::Webp, Format::Avif, Format::Png, Format::Keep] {
            let recipe = small(name, format);
            let first = recompress(bytes, &recipe, &Limits::default(), &mut used).unwrap();
            assert_eq!(first, run(bytes, &recipe).unwrap(), "{name} as {format:?}");
        }
    }
}

#[test]
fn all_eight_orientations_come_out_as_the_same_picture() {
    let (width, height) = (5_usize, 3_usize);
    let upright: Vec<[u8; 3]> =
        (0..width * height).map(|i| [i as u8 * 16, 255 - i as u8 * 9, i as u8]).collect();
    // Where a stored pixel is shown, by what EXIF says of the sides that row 0 and column 0 are.
    for orientation in 1..=8_u8 {
        let swaps = orientation >= 5;
        let (stored_width, stored_height) = if swaps { (height, width) } else { (width, height) };
        let shown = |row: usize, column: usize| match orientation {
            1 => (row, column),
            2 => (row, width - 1 - column),
            3 => (height - 1 - row, width - 1 - column),
            4 => (height - 1 - row, column),
            5 => (column, row),
            6 => (column, width - 1 - row),
            7 => (height - 1 - column, width - 1 - row),
            _ => (height - 1 - column, row),
        };
        let mut data = Vec::new();
        for row in 0..stored_height {
            for column in 0..stored_width {
                let (y, x) = shown(row, column);
                data.extend(upright[y * width + x]);
            }
        }
        let exif =
            [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0]]
                .concat();
        let source = png_of(
            stored_width as u32,
            stored_height as u32,
            png::ColorType::Rgb,
            &data,
            &[(*b"eXIf", &exif)],
        );
        let made = run(&source, &to(Format::Png)).unwrap();
        let (w, h, samples, pixels) = png_pixels(&made.bytes);
        assert_eq!((w as usize, h as usize, samples), (width, height, 3), "orientation {orientation}");
        assert_eq!(pixels, upright.concat(), "orientation {orientation}");
    }
}

#[test]
fn metadata_is_left_out_unless_asked_for() {
    let location = b"GPS";
    for name in ["gps-6.jpg", "gps-6.webp", "gps-1.avif"] {
        for format in [Format::Jpeg, Format::Webp, Format::Avif, Format::Png, Format::Keep] {
            let made = run(good(name), &small(name, format)).unwrap();
            for word in [
                b"Exif\0\0MM".as_slice(),
                b"Exif\0\0II",
                b"EXIF",
                b"eXIf",
                b"x:xmpmeta",
                b"ICC_PROFILE",
                location,
            ] {
                assert!(!contains(&made.bytes, word), "{name} as {format:?} holds {:?}", word.escape_ascii());
            }
        }
    }
}

#[test]
fn metadata_that_is_kept_says_upright_and_srgb() {
    for (format, exif, icc) in [
        (Format::Jpeg, b"Exif\0\0".as_slice(), b"ICC_PROFILE\0".as_slice()),
        (Format::Webp, b"EXIF", b"ICCP"),
        (Format::Png, b"eXIf", b"iCCP"),
    ] {
        let all = Recipe { keep_metadata: KeepMetadata::All, ..to(format) };
        let made = run(good("gps-6.jpg"), &all).unwrap();
        assert!(contains(&made.bytes, exif) && contains(&made.bytes, icc), "{format:?}");
        // Read again, it is not turned a second time.
        let again = run(&made.bytes, &to(format)).unwrap();
        assert_eq!((again.width, again.height), (240, 320), "{format:?}");
        let profile = Recipe { keep_metadata: KeepMetadata::Icc, ..to(format) };
        let made = run(good("gps-6.jpg"), &profile).unwrap();
        assert!(!contains(&made.bytes, exif) && contains(&made.bytes, icc), "{format:?}");
    }
}

#[test]
fn a_jpeg_that_needs_nothing_else_never_grows() {
    for name in ["testorig.jpg", "progressive-420.jpg"] {
        let mut source = good(name).to_vec();
        for quality in [100, 90, 75, 50, 20] {
            for keep in [Format::Jpeg, Format::Keep] {
                let made = run(&source, &Recipe { quality, ..to(keep) }).unwrap();
                assert!(made.bytes.len() <= source.len(), "{name} at {quality}");
            }
        }
        // Once more at the same quality: not a byte more, and the picture stays.
        source = run(&source, &Recipe::default()).unwrap().bytes;
        let again = run(&source, &Recipe::default()).unwrap();
        assert!(again.bytes.len() <= source.len());
        assert_eq!(jpeg_pixels(&again.bytes), jpeg_pixels(&source));
    }
}

#[test]
fn png_to_png_keeps_every_bit_of_sixteen() {
    let source = include_bytes!("fixtures/basi6a16.png");
    let made = run(source, &to(Format::Png)).unwrap();
    assert!(made.kept_source);
    assert_eq!(png_pixels(&made.bytes), png_pixels(source));
}

#[test]
fn an_avif_shows_the_picture_that_it_was_made_of() {
    for name in ["testorig.jpg", "hopper.gif", "gps-6.jpg"] {
        let avif = run(good(name), &Recipe { quality: 80, ..to(Format::Avif) }).unwrap();
        let shown = png_pixels(&run(&avif.bytes, &to(Format::Png)).unwrap().bytes).3;
        let wanted = png_pixels(&run(good(name), &to(Format::Png)).unwrap().bytes).3;
        assert_eq!(shown.len(), wanted.len(), "{name}");
        let off: u64 = shown.iter().zip(&wanted).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = off as f64 / shown.len() as f64;
        assert!(mean < 5.0, "{name}: mean difference {mean}");
    }
}

#[test]
fn an_avif_keeps_alpha_and_grey_and_any_size() {
    for (width, height) in [(1, 1), (2, 5), (17, 9), (64, 33)] {
        for (colour, pixel) in [
            (png::ColorType::Grayscale, [90].as_slice()),
            (png::ColorType::GrayscaleAlpha, &[90, 130]),
            (png::ColorType::Rgb, &[200, 40, 90]),
            (png::ColorType::Rgba, &[200, 40, 90, 130]),
        ] {
            let source = png_of(width, height, colour, &pixel.repeat((width * height) as usize), &[]);
            let avif = run(&source, &Recipe { quality: 90, ..to(Format::Avif) }).unwrap();
            assert_eq!(avif.format, OutputFormat::Avif);
            let (w, h, samples, data) = png_pixels(&run(&avif.bytes, &to(Format::Png)).unwrap().bytes);
            assert_eq!((w, h), (width, height));
            for shown in data.chunks(samples).map(rgba) {
                let near = shown.iter().zip(rgba(pixel)).all(|(a, b)| a.abs_diff(b) < 5);
                assert!(near, "{width} × {height} {colour:?}: {shown:?}");
            }
        }
    }
}

#[test]
fn an_avif_that_needs_nothing_else_never_grows() {
    let source = good("hopper.avif");
    let all = Recipe { keep_metadata: KeepMetadata::All, ..to(Format::Keep) };
    for recipe in [Recipe { quality: 95, ..to(Format::Keep) }, to(Format::Avif), all] {
        let made = run(source, &recipe).unwrap();
        assert!(made.bytes.len() <= source.len(), "{recipe:?}");
    }
    let small = run(source, &Recipe { quality: 10, ..to(Format::Keep) }).unwrap();
    assert!(small.bytes.len() < source.len() && !small.kept_source);
}

#[test]
fn a_jpeg_made_smaller_looks_the_same_by_all_ways() {
    // By PNG it is decoded whole before it is made smaller.
    for name in ["testorig.jpg", "progressive-420.jpg", "gps-6.jpg"] {
        let whole = run(good(name), &to(Format::Png)).unwrap().bytes;
        for most in [90, 60, 40, 20] {
            let small = Recipe { max_width: Some(most), ..to(Format::Png) };
            let (width, height, samples, shown) = png_pixels(&run(good(name), &small).unwrap().bytes);
            let wanted = png_pixels(&run(&whole, &small).unwrap().bytes);
            assert_eq!((width, height, samples), (wanted.0, wanted.1, wanted.2), "{name} at {most}");
            let off: u64 = shown.iter().zip(&wanted.3).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = off as f64 / shown.len() as f64;
            assert!(mean < 4.0, "{name} at {most}: mean difference {mean}");
        }
    }
}

#[test]
fn higher_quality_takes_more_bytes() {
    for (name, bytes, _) in GOOD.iter().filter(|(name, _, size)| size.0 > 100 && !name.contains("bilevel")) {
        for format in [Format::Jpeg, Format::Webp] {
            let sizes = [20, 50, 80]
                .map(|quality| run(bytes, &Recipe { quality, ..to(format) }).unwrap().bytes.len());
            assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2], "{name} as {format:?}: {sizes:?}");
        }
    }
}

#[test]
fn bounds_apply_to_the_upright_picture() {
    let recipe = Recipe { max_width: Some(100), max_height: Some(90), ..Recipe::default() };
    let made = run(good("gps-6.jpg"), &recipe).unwrap();
    assert_eq!((made.width, made.height), (68, 90));
    let made = run(good("rot1mir0.avif"), &recipe).unwrap();
    assert_eq!((made.width, made.height), (100, 67));
}

#[test]
fn alpha_goes_onto_the_background_in_jpeg_and_stays_elsewhere() {
    let clear = png_of(16, 16, png::ColorType::Rgba, &[9, 9, 9, 0].repeat(256), &[]);
    let recipe = Recipe { background: Background([0x20, 0xA0, 0x40]), ..Recipe::default() };
    let pixels = jpeg_pixels(&run(&clear, &recipe).unwrap().bytes);
    for pixel in pixels.chunks(3) {
        for (got, wanted) in pixel.iter().zip([0x20_u8, 0xA0, 0x40]) {
            assert!(got.abs_diff(wanted) < 6, "{pixel:?}");
        }
    }
    let (_, _, samples, data) = png_pixels(&run(&clear, &to(Format::Png)).unwrap().bytes);
    assert!(samples.is_multiple_of(2) && data.chunks(samples).all(|pixel| pixel[samples - 1] == 0));
    assert!(contains(
        &run(include_bytes!("fixtures/gradient.avif"), &to(Format::Webp)).unwrap().bytes,
        b"ALPH"
    ));
}

#[test]
fn progressive_is_written_when_asked_for() {
    let made = run(good("testorig.jpg"), &Recipe { progressive: true, ..Recipe::default() }).unwrap();
    assert!(contains(&made.bytes, &[0xFF, 0xC2]));
    assert_eq!(jpeg_pixels(&made.bytes).len(), 227 * 149 * 3);
}

#[test]
fn a_profile_with_channels_swapped_swaps_them_back() {
    // The same photo, stored as BGR with a profile that says so: red must be where the WebP has it, too.
    let mean = |name: &str| {
        let pixels =
            jpeg_pixels(&run(good(name), &Recipe { quality: 90, ..Recipe::default() }).unwrap().bytes);
        let sum = |at: usize| pixels.iter().skip(at).step_by(3).map(|v| f64::from(*v)).sum::<f64>();
        [0, 1, 2].map(|at| sum(at) * 3.0 / pixels.len() as f64)
    };
    let plain = {
        let mut source = good("swapped.jpg").to_vec();
        // Without its profile.
        let at = source.windows(12).position(|window| window == b"ICC_PROFILE\0").unwrap();
        source[at..at + 12].copy_from_slice(b"XXX_XXXXXXX\0");
        let pixels = jpeg_pixels(&run(&source, &Recipe { quality: 90, ..Recipe::default() }).unwrap().bytes);
        let sum = |at: usize| pixels.iter().skip(at).step_by(3).map(|v| f64::from(*v)).sum::<f64>();
        [0, 1, 2].map(|at| sum(at) * 3.0 / pixels.len() as f64)
    };
    for name in ["swapped.jpg", "swapped.webp"] {
        let converted = mean(name);
        let moved: f64 = converted.iter().zip(&plain).map(|(a, b)| (a - b).abs()).sum();
        assert!(moved > 5.0, "{name}: {converted:?} is what the file holds without its profile, {plain:?}");
    }
}

#[test]
fn pictures_cut_short_are_corrupt() {
    for (name, bytes, _) in GOOD.iter().filter(|(name, _, _)| !name.starts_with("animated")) {
        for percent in [10, 50, 95] {
            let cut = &bytes[..bytes.len() * percent / 100];
            let kind = refusal(cut);
            assert_eq!(kind, ErrorKind::Corrupt, "{name} at {percent} %");
        }
    }
}

#[test]
fn lenient_accepts_more_than_nine_tenths_and_no_less() {
    let noise: Vec<u8> =
        (0..200 * 200 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let png = png_of(200, 200, png::ColorType::Rgb, &noise, &[]);
    assert!(run_lenient(&png[..png.len() * 97 / 100]).is_ok());
    assert_eq!(
        run_lenient(&png[..png.len() / 2]).map_err(|error| error.kind).err(),
        Some(ErrorKind::Corrupt)
    );
    let jpeg = good("testorig.jpg");
    assert!(run_lenient(&jpeg[..jpeg.len() - 30]).is_ok());
    let photo = include_bytes!("../../../examples/pictures/river.jpg");
    for (jpeg, percent) in
        [jpeg, photo.as_slice()].into_iter().flat_map(|jpeg| [6, 10, 20, 50, 80].map(|p| (jpeg, p)))
    {
        let cut = &jpeg[..jpeg.len() * percent / 100];
        let refused = run_lenient(cut).map_err(|error| error.kind).err();
        assert_eq!(refused, Some(ErrorKind::Corrupt), "{percent} % of {} bytes", jpeg.len());
    }
    assert_eq!(run(&jpeg[..jpeg.len() - 30], &Recipe::default()).unwrap_err().kind, ErrorKind::Corrupt);
}

#[test]
fn kinds_of_jpeg_that_are_not_read_are_called_unsupported() {
    let twelve_bits = run(include_bytes!("fixtures/monkey12.jpg"), &Recipe::default()).unwrap_err();
    assert_eq!(twelve_bits.kind, ErrorKind::Unsupported);
    assert!(twelve_bits.message.contains("12 bits"), "{twelve_bits}");
    let arithmetic = run(include_bytes!("fixtures/testimgari.jpg"), &Recipe::default()).unwrap_err();
    assert_eq!(arithmetic.kind, ErrorKind::Unsupported);
    assert!(arithmetic.message.contains("arithmetic"), "{arithmetic}");
}

#[test]
fn sizes_beyond_the_limit_are_refused_by_their_headers() {
    let mut png = png_of(1, 1, png::ColorType::Grayscale, &[0], &[]);
    png[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1]);
    assert_eq!(refusal(&png), ErrorKind::TooManyPixels);
    let gif = b"GIF89a\xFF\xFF\xFF\xFF\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\xFF\xFF\xFF\xFF\0\x02\x02D\x01\0;";
    assert_eq!(refusal(gif), ErrorKind::TooManyPixels);
    let bmp = [
        b"BM".as_slice(),
        &[0; 8],
        &[54, 0, 0, 0, 40, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 24, 0],
        &[0; 24],
    ]
    .concat();
    assert_eq!(refusal(&bmp), ErrorKind::TooManyPixels);
    let few = Limits { max_pixels: 1000, ..Limits::default() };
    let error = probe(good("testorig.jpg"), &Recipe::default(), &few).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooManyPixels);
}

#[test]
fn thousands_of_scans_are_too_slow() {
    let jpeg = good("progressive-420.jpg");
    let scan = jpeg.windows(2).position(|two| two == [0xFF, 0xDA]).unwrap();
    let empty_scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0x01, 0];
    let many = [&jpeg[..scan], &empty_scan.repeat(5000), &[0xFF, 0xD9]].concat();
    assert_eq!(refusal(&many), ErrorKind::TooSlow);
}

#[test]
fn a_profile_that_inflates_without_end_is_ignored() {
    let stream = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 32 << 20], 9);
    let chunk = [b"bomb\0\0".as_slice(), &stream].concat();
    let png = png_of(4, 4, png::ColorType::Rgb, &[7; 48], &[(*b"iCCP", &chunk)]);
    assert!(run(&png, &Recipe::default()).is_ok());
}

#[test]
fn what_is_put_around_a_picture_does_not_come_through() {
    let jpeg = good("testorig.jpg");
    let comment = [b"\xFF\xD8\xFF\xFE\0\x10".as_slice(), b"PAYLOAD-PAYLOA", &jpeg[2..], b"PAYLOAD"].concat();
    let png =
        [png_of(4, 4, png::ColorType::Rgb, &[7; 48], &[(*b"tEXt", b"a\0PAYLOAD")]).as_slice(), b"PAYLOAD"]
            .concat();
    for source in [comment, png] {
        for quality in [50, 100] {
            for format in [Format::Jpeg, Format::Keep] {
                let made = run(&source, &Recipe { quality, ..to(format) }).unwrap();
                assert!(!contains(&made.bytes, b"PAYLOAD"));
            }
        }
    }
}

#[test]
fn the_estimate_of_memory_covers_the_pixels() {
    for (name, bytes, (width, height)) in GOOD {
        let probed = probe(bytes, &Recipe::default(), &Limits::default()).unwrap();
        assert!(probed.memory_bytes >= u64::from(width * height), "{name}");
        let webp = probe(bytes, &to(Format::Webp), &Limits::default()).unwrap();
        assert!(webp.memory_bytes >= u64::from(width * height) * 9, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all_give_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), start in 0usize..9) {
        let starts: [&[u8]; 9] = [
            b"", b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"RIFF\xF0\0\0\0WEBPVP8 ", b"GIF89a", b"II*\0\x08\0\0\0",
            b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x80meta", b"MM\0*\0\0\0\x08",
        ];
        let start = starts[start];
        if bytes.len() > start.len() {
            bytes[..start.len()].copy_from_slice(start);
        }
        let small = Limits { max_pixels: 1_000_000, lenient: true, ..Limits::default() };
        let _ = recompress(&bytes, &Recipe::default(), &small, &mut Workspace::default());
    }

    #[test]
    fn damaged_pictures_give_an_answer(
        which in 0..GOOD.len(), format in 0usize..3, lenient: bool,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = GOOD[which].1.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let recipe = small(GOOD[which].0, [Format::Jpeg, Format::Png, Format::Keep][format]);
        let limits = Limits { max_pixels: 1_000_000, lenient, ..Limits::default() };
        let made = recompress(&bytes, &recipe, &limits, &mut Workspace::default());
        if let Ok(made) = made {
            let again = probe(&made.bytes, &Recipe::default(), &Limits::default());
            prop_assert_eq!(again.map(|probe| (probe.width, probe.height)), Ok((made.width, made.height)));
        }
    }
}
