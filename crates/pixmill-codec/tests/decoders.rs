//! Each decoder held against a second one: made pictures of every depth, kind of colour and size, with padding and
//! without, must show what somebody else's codec, or an encoder made by hand for this, says that they hold.

#[cfg(feature = "avif")]
#[path = "decoders/avif.rs"]
mod avif;
#[path = "decoders/bmp.rs"]
mod bmp;
#[path = "decoders/facsimile.rs"]
mod facsimile;
#[path = "decoders/factors.rs"]
mod factors;
#[path = "decoders/gif.rs"]
mod gif;
#[path = "decoders/jpeg.rs"]
mod jpeg;
#[path = "decoders/png.rs"]
mod png;
#[path = "decoders/tiff.rs"]
mod tiff;
#[path = "decoders/tiff_ycbcr.rs"]
mod tiff_ycbcr;
#[path = "decoders/webp.rs"]
mod webp;

use pixmill_codec::{Error, Format, Limits, Recipe, Workspace, recompress};

/// A picture with red, green, blue and alpha of each pixel.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

/// All widths and heights from 1 to 70, each at least once.
fn sizes() -> impl Iterator<Item = (usize, usize)> {
    (1..=70).map(|width| (width, (width * 37 + 33) % 70 + 1))
}

/// Numbers that look like chance, the same in each run.
fn noise(seed: usize) -> impl FnMut() -> usize {
    let mut state = seed as u32 * 2 + 1;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    }
}

/// What our own decoder shows.
fn shown(bytes: &[u8]) -> Result<Shown, Error> {
    shown_within(bytes, false)
}

fn shown_within(bytes: &[u8], lenient: bool) -> Result<Shown, Error> {
    let recipe = Recipe { format: Format::Png, ..Recipe::default() };
    let limits = Limits { lenient, ..Limits::default() };
    let made = recompress(bytes, &recipe, &limits, &mut Workspace::default())?;
    let mut decoder = ::png::Decoder::new(std::io::Cursor::new(made.bytes.as_slice()));
    decoder.set_transformations(::png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("what was written is a PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut data).expect("what was written is whole");
    let pixels = data[..info.buffer_size()].chunks(info.color_type.samples()).map(|pixel| match *pixel {
        [g] => [g, g, g, 255],
        [g, a] => [g, g, g, a],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a] => [r, g, b, a],
        _ => unreachable!("a PNG pixel has one to four samples"),
    });
    Ok(Shown { width: info.width as usize, height: info.height as usize, pixels: pixels.collect() })
}

#[test]
fn damaged_pictures_of_every_kind_give_an_answer() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut pictures = 0;
    for file in
        std::fs::read_dir(seeds).unwrap().flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap())
    {
        let whole = std::fs::read(file.unwrap().path()).unwrap();
        let mut noise = noise(whole.len());
        for round in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 5 {
                // Headers are hit as often as all the rest.
                let most = if round % 2 == 0 { bytes.len() } else { bytes.len().min(400) };
                let at = noise() % most;
                bytes[at] = if round % 3 == 0 { 0xFF } else { noise() as u8 };
            }
            if round % 7 == 0 {
                bytes.truncate(noise() % bytes.len());
            }
            let limits = Limits { max_pixels: 1 << 18, lenient: round % 2 == 0, ..Limits::default() };
            let recipe = Recipe { format: Format::Png, ..Recipe::default() };
            pictures += usize::from(recompress(&bytes, &recipe, &limits, &mut Workspace::default()).is_ok());
        }
    }
    assert!(pictures > 1000, "only {pictures} could still be read");
}

/// Mean difference of samples.
fn difference(one: &Shown, other: &[[u8; 4]]) -> f64 {
    assert_eq!(one.pixels.len(), other.len());
    let pairs = one.pixels.as_flattened().iter().zip(other.as_flattened());
    pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / (other.len() * 4) as f64
}

/// A sample of so many bits as 8.
fn eight_bits(sample: usize, bits: usize) -> u8 {
    let most = (1 << bits) - 1;
    ((sample * 255 + most / 2) / most) as u8
}
