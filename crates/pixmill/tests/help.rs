//! What the command says about itself, and to whoever uses it wrongly.

use std::process::{Command, Output};

fn pixmill(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(arguments)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .env_remove("COLUMNS")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn help_teaches_each_command() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["image", "--help"],
        &["serve", "--help"],
        &["doctor", "--help"],
        &["webhook", "--help"],
        &["webhook", "test", "--help"],
        &["submit", "--help"],
        &["keys", "--help"],
        &["hosts", "--help"],
        &["completions", "--help"],
        &["backup", "--help"],
        &["backup", "verify", "--help"],
        &["restore", "--help"],
        &["migrate", "--help"],
    ] {
        let words = arguments.iter().filter(|word| arguments.len() == 1 || **word != "--help");
        let name = format!("help-{}", words.copied().collect::<Vec<_>>().join("-").trim_start_matches('-'));
        let output = pixmill(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        insta::assert_snapshot!(name, String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn wrong_use_is_told_on_standard_error_alone() {
    let wrong: [&[&str]; 12] = [
        &[],
        &["no-such-command"],
        &["run"],
        &["run", "c.csv", "--no-such-flag"],
        &["run", "c.csv", "--qualty", "50"],
        &["run", "c.csv", "--quality", "0"],
        &["run", "c.csv", "--quality", "101"],
        &["run", "c.csv", "--format", "bmp"],
        &["run", "c.csv", "--allow-address", "elephant"],
        &["run", "a/c.csv", "b/c.csv"],
        &["run", "c.csv", "--base-dir", "nowhere"],
        &["image", "a.jpg", "-", "--json"],
    ];
    let mut all = String::new();
    for arguments in wrong {
        let output = pixmill(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        if !arguments.is_empty() {
            all.push_str(&format!(
                "$ pixmill {}\n{}\n",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn formats_that_are_not_written_are_not_accepted() {
    let output = pixmill(&["run", "c.csv", "--format", "gif"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn wrong_settings_are_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pixmill.toml"), "qualty = 3\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .args(["check", "c.csv"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("config.invalid") && error.contains("did you mean quality?"), "{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_catalogue_that_is_not_there_is_named() {
    for command in ["run", "check"] {
        let output = pixmill(&[command, "missing-catalogue.csv"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("missing-catalogue.csv"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = pixmill(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("retry-failed"), "{shell}");
    }
}

#[test]
fn the_version_is_told() {
    let output = pixmill(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), concat!("pixmill ", env!("CARGO_PKG_VERSION"), "\n"));
}
