//! What crash loops share: all that a seed decides.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use pixmill_testkit::checker::Expected;
use pixmill_testkit::origin::Pictures;
use tokio::runtime::Runtime;

/// Where those that work on images kill themselves.
pub(crate) const POINTS: [&str; 9] = [
    "after_claim_commit",
    "after_claim",
    "after_fetch",
    "after_save",
    "before_settle",
    "after_settle",
    "before_settle_commit",
    "after_settle_commit",
    "before_completion",
];

/// Seeds that are played at a time: most of what they do is wait.
const AT_A_TIME: u64 = 3;

/// How many seeds are played.
pub(crate) fn seeds() -> u64 {
    std::env::var("PIXMILL_TEST_SEEDS").ok().map_or(10, |text| text.parse().expect("a number"))
}

/// Plays all seeds, some at a time; what came of each.
pub(crate) fn play_all<T: Send, R: Future<Output = T>>(play: impl Fn(u64) -> R + Sync) -> Vec<T> {
    let (seeds, play) = (seeds(), &play);
    let lane = move |first: u64| {
        let runtime = Runtime::new().expect("threads can be had");
        (first..seeds)
            .step_by(AT_A_TIME as usize)
            .map(|seed| runtime.block_on(play(seed)))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_A_TIME).map(|first| scope.spawn(move || lane(first))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("every seed ends well")).collect()
    })
}

/// A small generator (SplitMix64), so that a seed says everything about a round.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The URLs of a row and how each must end: pictures, one repeated, now and then one that is gone or comes late.
pub(crate) fn row(base: &str, number: usize) -> (Vec<String>, Vec<Expected>) {
    let mut urls = vec![format!("{base}/caps.jpg?{number}"), format!("{base}/motocross-fade.png?{number}")];
    let mut ends = vec![Expected::Completed; 2];
    match number % 4 {
        0 => {
            (urls.push(format!("{base}/x/status/404?{number}")), ends.push(Expected::Failed("fetch.status")))
        }
        1 => (urls.push(format!("{base}/caps.jpg?{}", number - 1)), ends.push(Expected::Completed)),
        2 => (urls.push(format!("{base}/x/html?{number}")), ends.push(Expected::Failed("image.unsupported"))),
        _ => (urls.push(format!("{base}/x/slow/20/macaws.webp?{number}")), ends.push(Expected::Completed)),
    };
    (urls, ends)
}

/// The pictures that ship with the examples.
pub(crate) fn pictures() -> Pictures {
    Pictures::Folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures"))
}

/// A catalogue of so many rows, and how each image of each row must end.
pub(crate) fn catalogue(base: &str, rows: usize) -> (String, Vec<Vec<Expected>>) {
    let mut text = String::from("S. No.,Product Name,Input Image Urls\n");
    let mut expected = Vec::new();
    for number in 0..rows {
        let (urls, ends) = row(base, number);
        text += &format!("{number},Product {number},\"{}\"\n", urls.join(", "));
        expected.push(ends);
    }
    (text, expected)
}
