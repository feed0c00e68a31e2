//! What a header says of the memory that a picture will take is no less than what it takes. A process of its own, for
//! all that is allocated is counted; what libwebp takes is not seen here.

use peak_alloc::PeakAlloc;
use pixmill_codec::{Format, Limits, Recipe, Workspace, probe, recompress};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 900;

/// A PNG of slopes and a little noise.
fn picture(colour: png::ColorType) -> Vec<u8> {
    let mut state = 9_u32;
    let samples = colour.samples() as u32;
    let data: Vec<u8> = (0..WIDTH * HEIGHT * samples)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (at / samples % WIDTH, at / samples / WIDTH);
            (x / 8 + y / 8 * (at % samples) + (state >> 29)) as u8
        })
        .collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, WIDTH, HEIGHT);
    encoder.set_color(colour);
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    out
}

fn made(bytes: &[u8], recipe: &Recipe) -> Vec<u8> {
    recompress(bytes, recipe, &Limits::default(), &mut Workspace::default()).unwrap().bytes
}

#[test]
fn no_picture_takes_more_than_its_header_says() {
    let plain = Recipe::default();
    let (rgb, rgba) = (picture(png::ColorType::Rgb), picture(png::ColorType::Rgba));
    let sources = [
        ("a PNG", rgb.clone()),
        ("a grey PNG", picture(png::ColorType::Grayscale)),
        ("a PNG with alpha", rgba.clone()),
        ("a JPEG", made(&rgb, &Recipe { quality: 80, ..plain })),
        ("a JPEG 4:4:4", made(&rgb, &Recipe { quality: 95, ..plain })),
        ("a progressive JPEG", made(&rgb, &Recipe { progressive: true, ..plain })),
        ("a WebP", made(&rgba, &Recipe { format: Format::Webp, ..plain })),
    ];
    let bounded = |most| Recipe { max_width: Some(most), ..plain };
    let recipes = [
        plain,
        Recipe { quality: 95, ..plain },
        Recipe { progressive: true, ..plain },
        Recipe { format: Format::Png, ..plain },
        Recipe { format: Format::Webp, ..plain },
        Recipe { format: Format::Png, ..bounded(400) },
        bounded(1100),
        bounded(500),
        bounded(300),
        bounded(100),
        Recipe { format: Format::Avif, quality: 90, ..bounded(200) },
    ];
    // As a whole and by tiles.
    let target_ssimulacra2 = 60.0.try_into().ok();
    let scored = [
        Recipe { target_ssimulacra2, ..plain },
        Recipe { target_ssimulacra2, ..bounded(1100) },
        Recipe { target_ssimulacra2, format: Format::Webp, ..plain },
    ];
    let mut broken = Vec::new();
    for (name, source) in &sources {
        let slow = scored.iter().filter(|_| matches!(*name, "a PNG with alpha" | "a progressive JPEG"));
        for recipe in recipes.iter().chain(slow) {
            let said = probe(source, recipe, &Limits::default()).unwrap().memory_bytes;
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            drop(made(source, recipe));
            let took = ALLOCATOR.peak_usage() - before;
            if took as u64 > said {
                broken.push(format!("{name} takes {took} bytes instead of {said}: {recipe:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
