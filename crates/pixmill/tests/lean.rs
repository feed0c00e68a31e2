//! What a build without some of the backends says when it is asked for them.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it in an empty folder.
fn pixmill(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(arguments)
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Ends as bad configuration, and names the feature.
fn is_told_to_lack(feature: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("this build of pixmill") && said.contains(&format!("`{feature}`")), "{said}");
}

const SERVE: [&str; 5] = ["serve", "--role", "worker", "--listen", "127.0.0.1:0"];

fn serve(option: &str, value: &str) -> Output {
    pixmill(&[&SERVE[..], &[option, value]].concat(), &[])
}

#[test]
fn backends_that_a_build_does_without_are_named() {
    if cfg!(not(feature = "mongodb")) {
        is_told_to_lack("mongodb", &serve("--database", "mongodb://127.0.0.1:1/shop"));
    }
    if cfg!(not(feature = "bullmq")) {
        is_told_to_lack("bullmq", &serve("--queue", "redis://127.0.0.1:1"));
    }
    if cfg!(not(feature = "buckets")) {
        is_told_to_lack("buckets", &serve("--storage", "s3://shop"));
    }
    if cfg!(not(feature = "otlp")) {
        let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        is_told_to_lack("otlp", &pixmill(&SERVE, &[collector]));
    }
}

#[test]
fn avif_is_read_and_written_or_said_to_be_lacking() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pixmill-codec/tests/fixtures");
    let image = |name: &str, format: &str| {
        let source = fixtures.join(name);
        pixmill(&["image", source.to_str().unwrap(), "out", "--format", format, "--max-width", "32"], &[])
    };
    let (written, read) = (image("hopper.gif", "avif"), image("hopper.avif", "jpeg"));
    if cfg!(feature = "avif") {
        assert_eq!((written.status.code(), read.status.code()), (Some(0), Some(0)), "{written:?} {read:?}");
        return;
    }
    is_told_to_lack("avif", &written);
    let said = String::from_utf8_lossy(&read.stderr);
    assert_eq!(read.status.code(), Some(1), "{said}");
    assert!(said.contains("image.unsupported") && said.contains("`avif`"), "{said}");
}
