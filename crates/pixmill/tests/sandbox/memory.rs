//! What a picture's process really takes, C code and allocators included, beside what its header says it will.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pixmill_adapters::sandbox::process::{ProcessSandbox, Program};
use pixmill_codec::{Format, Limits, Recipe, probe};
use pixmill_engine::code::Code;
use pixmill_engine::port::sandbox::{Sandbox, Unbounded};

use super::children::children_of;
use crate::seeded::Random;

const WIDTH: u32 = 900;
const HEIGHT: u32 = 700;

/// What a process takes before and beside a picture: its program above all, which is large in builds for tests. MiB.
const OWN_MIB: u64 = 32;

/// Noise, of which encoders make most: a PNG in stored blocks.
fn noise(samples: u8) -> Vec<u8> {
    let mut random = Random(7);
    let mut rows = Vec::new();
    for _ in 0..HEIGHT {
        rows.push(0);
        rows.extend((0..WIDTH * u32::from(samples)).map(|_| random.below(256) as u8));
    }
    let mut data = vec![0x78, 1];
    let mut blocks = rows.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        data.push(u8::from(blocks.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    data.extend((b << 16 | a).to_be_bytes());
    let colour = if samples == 3 { 2 } else { 6 };
    let mut header = Vec::new();
    header.extend(WIDTH.to_be_bytes());
    header.extend(HEIGHT.to_be_bytes());
    header.extend([8, colour, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let from = png.len();
        png.extend(kind);
        png.extend(data);
        png.extend(checksum(&png[from..]).to_be_bytes());
    }
    png
}

/// CRC-32 as PNG has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// The most that the child of a `pixmill image` had resident, MiB.
fn peak_mib(source: &Path, out: &Path, options: &[&str]) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    command.arg("image").arg(source).arg(out).args(options).args(["--max-seconds", "1000"]);
    let mut parent = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while parent.try_wait().unwrap().is_none() {
        for child in children_of(parent.id()) {
            let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let told = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = told.and_then(|told| told.split_whitespace().next()?.parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) >> 10);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(parent.wait().unwrap().success());
    peak
}

#[test]
fn no_encoder_and_no_scorer_takes_more_than_is_charged_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("noise.png"), folder.path().join("out"));
    let plain = Recipe::default();
    let target = 90.0.try_into().ok();
    let recipes = [
        (
            Recipe { format: Format::Webp, quality: 100, ..plain },
            vec!["--format", "webp", "--quality", "100"],
        ),
        (Recipe { format: Format::Webp, ..plain }, vec!["--format", "webp"]),
        (Recipe { format: Format::Png, ..plain }, vec!["--format", "png"]),
        (Recipe { progressive: true, quality: 95, ..plain }, vec!["--progressive", "--quality", "95"]),
        (Recipe { target_ssimulacra2: target, ..plain }, vec!["--target-ssimulacra2", "90"]),
        (Recipe { format: Format::Avif, quality: 60, ..plain }, vec!["--format", "avif", "--quality", "60"]),
    ];
    for samples in [3, 4] {
        let bytes = noise(samples);
        std::fs::write(&source, &bytes).unwrap();
        // AVIF takes long; with alpha it takes most.
        for (recipe, options) in
            recipes.iter().filter(|(recipe, _)| samples == 4 || recipe.format != Format::Avif)
        {
            let said = probe(&bytes, recipe, &Limits::default()).unwrap().memory_bytes + bytes.len() as u64;
            let took = peak_mib(&source, &out, options);
            assert!(took > 0, "{options:?}: its process was not seen");
            assert!(
                took <= (said >> 20) + OWN_MIB,
                "{samples} samples, {options:?}: {took} MiB, charged {} MiB",
                said >> 20
            );
        }
    }
}

#[tokio::test]
async fn want_of_memory_is_told_as_such_whichever_code_wanted_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("bounded");
    let recipe = Recipe { format: Format::Webp, quality: 100, ..Recipe::default() };
    let (mut wanting, mut enough) = (0, 0);
    for mib in (16..100).step_by(6) {
        let text =
            format!("#!/bin/sh\nulimit -d {}\nexec {} \"$@\"\n", mib << 10, env!("CARGO_BIN_EXE_pixmill"));
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let program = Program { path: script.clone(), argument: "decode-pictures" };
        let sandbox = ProcessSandbox::new(1, Duration::from_secs(60), program).unwrap();
        match sandbox.recompress(noise(4).into(), recipe, Limits::default(), &Unbounded).await {
            Ok(_) => enough += 1,
            // One that can't even come up.
            Err(fault) if fault.code == Code::BackendUnavailable => {}
            Err(fault) => {
                assert!(
                    fault.code == Code::ImageCrashed && fault.message.contains("far more memory"),
                    "within {mib} MiB: {fault}"
                );
                wanting += 1;
            }
        }
    }
    assert!(wanting > 1 && enough > 1, "{wanting} wanted memory, {enough} had enough");
}
