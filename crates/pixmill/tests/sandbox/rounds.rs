//! Runs in which pictures crash, hang and bloat their processes at seeded points, while others of these processes are
//! killed. `PIXMILL_TEST_SEEDS` says how many are played (10).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::children::{children_of, zombies_of};
use super::{good, harmful};
use crate::seeded::{Random, seeds};

/// What pictures do, and what that must be called.
const HARM: [(&str, &str); 6] = [
    ("panic", "image.crashed"),
    ("abort", "image.crashed"),
    ("overflow", "image.crashed"),
    ("exit", "image.crashed"),
    ("bloat", "image.crashed"),
    ("hang", "image.too_slow"),
];

/// Where they do it.
const POINTS: [&str; 4] = ["read", "decode", "done", "answering"];

/// Rows, of one picture each; the last ones do harm.
const ROWS: usize = 14;
const HARMFUL: usize = 2;

/// One run's folder and the codes that its last rows must end with.
fn prepared(folder: &Path, random: &mut Random) -> Vec<&'static str> {
    let mut catalogue = String::from("S. No.,Product Name,Input Image Urls\n");
    let mut codes = Vec::new();
    for row in 0..ROWS {
        let name = format!("{row}.jpg");
        let picture = if row < ROWS - HARMFUL {
            // Long enough at it to be killed there.
            if row % 3 == 0 { harmful("wait@decode") } else { good() }
        } else {
            let (what, code) = HARM[random.below(HARM.len() as u64) as usize];
            codes.push(code);
            harmful(&format!("{what}@{}", POINTS[random.below(POINTS.len() as u64) as usize]))
        };
        fs::write(folder.join(&name), picture).unwrap();
        catalogue += &format!("{row},Product {row},{name}\n");
    }
    fs::write(folder.join("shop.csv"), catalogue).unwrap();
    codes
}

/// Kills two processes that decode, at seeded times; how many it found.
fn killing(run: &Child, random: &mut Random) -> u64 {
    let mut killed = 0;
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(20 + random.below(150)));
        let children = children_of(run.id());
        if children.is_empty() {
            continue;
        }
        let victim = children[random.below(children.len() as u64) as usize];
        let signal = if random.below(2) == 0 { Signal::KILL } else { Signal::TERM };
        let pid = Pid::from_raw(victim as i32).expect("processes have numbers");
        killed += u64::from(kill_process(pid, signal).is_ok());
    }
    killed
}

/// Plays one seed; how many processes were killed.
fn play(seed: u64) -> u64 {
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let codes = prepared(folder.path(), &mut random);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    command.arg("run").arg(folder.path().join("shop.csv")).arg("-o").arg(folder.path().join("out"));
    command.args(["--quiet", "--concurrency", "2", "--max-seconds", "1"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let killed = killing(&run, &mut random);
    assert_eq!(zombies_of(run.id()).saturating_sub(1), 0, "seed {seed}: nobody looks after those that end");
    let ended = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "seed {seed}: {said}");
    let results = fs::read_to_string(folder.path().join("out/results.csv")).unwrap();
    for (row, line) in results.lines().skip(1).enumerate() {
        match row.checked_sub(ROWS - HARMFUL) {
            None => assert!(line.contains(",completed,"), "seed {seed}: {line}"),
            Some(at) => assert!(line.contains(codes[at]), "seed {seed}: {line} should be {}", codes[at]),
        }
    }
    killed
}

#[test]
fn crashes_hangs_bloats_and_kills_of_children_fail_no_other_image() {
    let seeds = seeds();
    let killed: u64 = (0..seeds).map(play).sum();
    assert!(killed >= seeds / 2, "only {killed} kills in {seeds} rounds: they prove little");
    println!("{seeds} rounds, {killed} children killed, {} crashed, hung or bloated", seeds * HARMFUL as u64);
}
