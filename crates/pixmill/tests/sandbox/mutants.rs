//! Pictures with bytes changed, left out and doubled: each ends with an answer. `PIXMILL_TEST_SEEDS` times fifty are
//! tried (500).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pixmill_codec::{Format, Limits, Recipe};
use pixmill_engine::port::sandbox::{Sandbox, Unbounded};

use super::sandbox;
use crate::seeded::{Random, seeds};

/// What of each seed is tried.
const A_SEED: u64 = 50;

/// Small pictures of all kinds.
fn originals() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["pixmill-codec/tests/fixtures", "../fuzz/seeds/jpeg"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let originals = paths.iter().map(|path| std::fs::read(path).unwrap());
    originals.filter(|bytes| bytes.len() < 100_000).collect()
}

fn mutant(originals: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = originals[random.below(originals.len() as u64) as usize].clone();
    for _ in 0..=random.below(6) {
        let length = bytes.len() as u64;
        if length < 16 {
            break;
        }
        // Headers decide most.
        let reach = if random.below(2) == 0 { length.min(400) } else { length };
        let at = random.below(reach) as usize;
        let end = (at + 1 + random.below(16) as usize).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at..end].fill([0, 1, 127, 255][random.below(4) as usize]),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            _ => bytes.truncate(bytes.len() - random.below(length / 4) as usize),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutated_picture_ends_more_than_itself() {
    let (sandbox, originals) = (Arc::new(sandbox(2)), Arc::new(originals()));
    assert!(originals.len() > 20, "only {} originals", originals.len());
    let lane = |first: u64| {
        let (sandbox, originals) = (sandbox.clone(), originals.clone());
        tokio::spawn(async move {
            let mut ends = BTreeMap::<&str, u64>::new();
            for number in (first..seeds() * A_SEED).step_by(2) {
                let mut random = Random(number);
                let source = mutant(&originals, &mut random);
                let format =
                    [Format::Jpeg, Format::Jpeg, Format::Png, Format::Webp][random.below(4) as usize];
                let recipe = Recipe { format, max_width: Some(300), ..Recipe::default() };
                let limits = Limits { max_pixels: 4_000_000, ..Limits::default() };
                let done = sandbox.recompress(source.into(), recipe, limits, &Unbounded).await;
                let code = done.map_or_else(|fault| fault.code.as_str(), |_| "completed");
                assert!(code == "completed" || code.starts_with("image."), "mutant {number}: {code}");
                *ends.entry(code).or_default() += 1;
            }
            ends
        })
    };
    let lanes = [lane(0), lane(1)];
    let mut ends = BTreeMap::<&str, u64>::new();
    for lane in lanes {
        lane.await.unwrap().into_iter().for_each(|(code, count)| *ends.entry(code).or_default() += count);
    }
    println!("{} mutants: {ends:?}", seeds() * A_SEED);
    assert!(ends.get("completed").is_some_and(|completed| *completed > 0), "{ends:?}");
}
