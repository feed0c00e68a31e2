//! `pixmill image` from outside.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures").join(name)
}

fn image(arguments: &[&Path], options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pixmill")).arg("image").args(arguments).args(options).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_picture_becomes_smaller_and_its_figures_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jpg");
    let output = image(&[&picture("caps.jpg"), &out], &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let written = std::fs::read(&out).unwrap();
    assert_eq!(told["image"]["bytes_after"], written.len());
    assert_eq!(told["image"]["format"], "jpeg");
    assert!(written.len() as u64 <= std::fs::metadata(picture("caps.jpg")).unwrap().len());
    assert!(written.starts_with(b"\xff\xd8\xff"));
}

#[test]
fn a_picture_goes_through_a_pipe() {
    let source = std::fs::read(picture("caps.jpg")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(["image", "-", "-", "--format", "png", "--max-width", "50"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&source).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(output.stdout.starts_with(b"\x89PNG"), "{} bytes", output.stdout.len());
}

#[cfg(unix)]
#[test]
fn descriptors_that_were_left_open_are_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let open: String = (3..10).map(|number| format!("exec {number}</dev/null; ")).collect();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{open} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_pixmill"), "image"]);
    let output = command.arg(picture("caps.jpg")).arg(folder.path().join("out.jpg")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
}

#[test]
fn a_broken_picture_leaves_no_output_and_shows_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, out) = (folder.path().join("broken.png"), folder.path().join("out.jpg"));
    let whole = std::fs::read(picture("caps-cutout.jpg")).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let output = image(&[&broken, &out], &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert!(error(&output).contains("image.corrupt"), "{}", error(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["image"]["code"], "image.corrupt");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["broken.png"]);
}

#[test]
fn a_failed_picture_leaves_the_earlier_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (broken, out) = (folder.path().join("broken.jpg"), folder.path().join("out.jpg"));
    std::fs::write(&broken, "no picture").unwrap();
    std::fs::write(&out, "earlier").unwrap();
    assert_eq!(image(&[&broken, &out], &[]).status.code(), Some(1));
    assert_eq!(std::fs::read(&out).unwrap(), b"earlier");
}

#[test]
fn a_picture_may_overwrite_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    std::fs::copy(picture("caps.jpg"), &path).unwrap();
    let output = image(&[&path, &path], &["--quality", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(std::fs::metadata(&path).unwrap().len() < std::fs::metadata(picture("caps.jpg")).unwrap().len());
}

#[test]
fn a_name_that_tells_of_another_format_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let output = image(&[&picture("caps.jpg"), &folder.path().join("out.png")], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(error(&output).contains("note: this is a .jpg"), "{}", error(&output));
}

#[test]
fn limits_hold_and_nothing_is_written_beyond_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jpg");
    for (limit, code) in [("--max-pixels", "image.too_many_pixels"), ("--max-bytes", "fetch.too_large")] {
        let output = image(&[&picture("caps.jpg"), &out], &[limit, "100"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(error(&output).contains(code), "{}", error(&output));
        assert!(!out.exists());
    }
}

#[test]
fn a_missing_picture_or_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.jpg");
    let output = image(&[&missing, &folder.path().join("out.jpg")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("file.missing") && error(&output).contains("missing.jpg"));
    let output = image(&[&picture("caps.jpg"), &folder.path().join("no/folder/out.jpg")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("no/folder/out.jpg"), "{}", error(&output));
}
