//! Kernels give the same bytes whether they run on the machine's best instructions or on those that any machine has.

use std::fs;
use std::path::Path;

use pixmill_codec::{Format, Limits, Recipe, Workspace, recompress};
use pixmill_cpu::on_any_machine;
use proptest::prelude::*;

fn made(bytes: &[u8], recipe: &Recipe) -> Option<Vec<u8>> {
    let made = recompress(bytes, recipe, &Limits::default(), &mut Workspace::default());
    made.ok().map(|made| made.bytes)
}

fn recipes() -> impl Iterator<Item = Recipe> {
    let plain = Recipe::default();
    [
        plain,
        Recipe { progressive: true, ..plain },
        Recipe { quality: 85, ..plain },
        Recipe { quality: 95, max_width: Some(70), ..plain },
        Recipe { max_width: Some(70), ..plain },
        Recipe { max_width: Some(30), ..plain },
        Recipe { max_width: Some(11), ..plain },
        Recipe { max_width: Some(30), format: Format::Png, ..plain },
    ]
    .into_iter()
}

#[test]
fn all_seeds_become_the_same_on_any_machine() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    let mut pictures = 0;
    for file in fs::read_dir(seeds).unwrap().flat_map(|target| fs::read_dir(target.unwrap().path()).unwrap())
    {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for recipe in recipes() {
            let here = made(&bytes, &recipe);
            assert!(on_any_machine(|| made(&bytes, &recipe)) == here, "{}: {recipe:?}", path.display());
            pictures += usize::from(here.is_some());
        }
    }
    assert!(pictures >= 100, "only {pictures} pictures were made");
}

proptest! {
    #[test]
    fn noise_becomes_the_same_on_any_machine(
        width in 1_u32..60, height in 1_u32..60, quality in 1_u8..=100, most in 1_u32..60, noise in 0_u32..32,
        mut state: u32,
    ) {
        let sample = |at: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (at / 3 % width * 3 + at / 3 / width * 2 + (state >> noise)) as u8
        };
        let data: Vec<u8> = (0..width * height * 3).map(sample).collect();
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&data).unwrap();

        let recipe = Recipe { quality, ..Recipe::default() };
        let jpeg = made(&png, &recipe);
        prop_assert!(on_any_machine(|| made(&png, &recipe)) == jpeg);
        let jpeg = jpeg.expect("noise can be encoded");
        for recipe in [Recipe { quality: quality / 2 + 1, ..recipe }, Recipe { max_width: Some(most), ..recipe }] {
            prop_assert!(on_any_machine(|| made(&jpeg, &recipe)) == made(&jpeg, &recipe));
        }
    }
}
