//! What fuzzing began from and what it found, once more in each run of the tests.

use std::fs;
use std::path::Path;

use pixmill_codec::{Limits, Recipe, probe};

#[expect(unreachable_pub, reason = "for those who fuzz it is a crate of its own")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzzed;

#[test]
fn promises_hold_for_all_seeds_and_findings() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut pictures = 0;
    for folder in ["seeds", "findings"] {
        let Ok(targets) = fs::read_dir(fuzz.join(folder)) else { continue };
        for file in targets.flat_map(|target| fs::read_dir(target.unwrap().path()).unwrap()) {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            if let Ok(header) = probe(&bytes, &Recipe::default(), &Limits::default()) {
                fuzzed::promises_hold(header.format, &bytes);
                pictures += 1;
            }
        }
    }
    assert!(pictures >= 15, "only {pictures} seeds are pictures");
}
