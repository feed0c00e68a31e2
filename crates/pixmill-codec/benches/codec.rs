//! What `bench/run codec` measures pixmill with: CPU time over a folder of pictures, and SSIMULACRA2 of what came out.
//!
//! `codec time IN OUT ROUNDS FORMAT QUALITY [MAX_WIDTH]` · `codec score REFERENCES OUTPUTS` (folders of PNG)

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

use std::fs;
use std::path::{Path, PathBuf};

use pixmill_codec::{Limits, Recipe, Workspace, recompress};
use rustix::time::{ClockId, clock_gettime};
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, Xyb, compute_frame_ssimulacra2};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["time", from, to, rounds, format, quality, ref bound @ ..] => {
            let recipe = Recipe {
                format: serde_json::from_value(format.into()).expect("a format"),
                quality: quality.parse().expect("a quality"),
                max_width: bound.first().map(|width| width.parse().expect("pixels")),
                ..Recipe::default()
            };
            time(&files(from), Path::new(to), rounds.parse().expect("a number"), &recipe);
        }
        ["score", references, outputs] => score(&files(references), &files(outputs)),
        // `cargo test --benches` runs it without a command.
        _ => {}
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// CPU seconds of this thread, to the nanosecond; what `/proc` says of them moves on by whole ticks.
fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Prints CPU milliseconds an image of each round; the first, which warms up, writes the outputs.
fn time(files: &[PathBuf], to: &Path, rounds: usize, recipe: &Recipe) {
    let sources: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a picture")).collect();
    let mut workspace = Workspace::default();
    for (file, source) in files.iter().zip(&sources) {
        let made = recompress(source, recipe, &Limits::default(), &mut workspace).expect("recompresses");
        let name = Path::new(file.file_name().expect("a name")).with_extension(made.format.extension());
        fs::write(to.join(name), made.bytes).expect("written");
    }
    let mut milliseconds = Vec::new();
    for _ in 0..rounds {
        let begin = cpu_seconds();
        for source in &sources {
            let made = recompress(source, recipe, &Limits::default(), &mut workspace);
            std::hint::black_box(made.expect("recompresses"));
        }
        milliseconds.push((cpu_seconds() - begin) * 1000.0 / files.len() as f64);
    }
    println!("{}", serde_json::json!(milliseconds));
}

/// Prints the score of each pair.
fn score(references: &[PathBuf], outputs: &[PathBuf]) {
    let scores: Vec<f64> = references
        .iter()
        .zip(outputs)
        .map(|(reference, output)| {
            compute_frame_ssimulacra2(pixels(reference), pixels(output)).expect("of one size")
        })
        .collect();
    println!("{}", serde_json::json!(scores));
}

fn pixels(file: &Path) -> Xyb {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(file).expect("a picture")))
        .read_info()
        .expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a PNG");
    let samples = info.color_type.samples();
    let rgb = bytes
        .chunks_exact(samples)
        .map(|pixel| [0, 1, 2].map(|at| f32::from(pixel[if samples < 3 { 0 } else { at }]) / 255.0));
    let (width, height) = (info.width as usize, info.height as usize);
    let rgb = Rgb::new(rgb.collect(), width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709);
    Xyb::try_from(rgb.expect("as many pixels as its size")).expect("sRGB")
}
