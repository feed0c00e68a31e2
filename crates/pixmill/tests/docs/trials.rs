//! The page that answers what was tried to break pixmill: the tests that it names are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::root;

/// Names of functions in all Rust files below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("fn ").skip(1);
            names.extend(after.map(|rest| {
                rest.chars()
                    .take_while(|sign| sign.is_ascii_alphanumeric() || *sign == '_')
                    .collect::<String>()
            }));
        }
    }
}

#[test]
fn every_test_that_the_page_of_trials_names_is_there() {
    let page = fs::read_to_string(root().join("docs/trials.md")).unwrap();
    let mut there = BTreeSet::new();
    functions(&root().join("crates"), &mut there);
    let named: Vec<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.contains('_')
                && name.chars().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_')
        })
        .collect();
    assert!(named.len() > 80, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !there.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/trials.md names tests that are not there: {missing:?}");
}

#[test]
fn the_page_of_trials_answers_each_that_did_not_hold() {
    let page = fs::read_to_string(root().join("docs/trials.md")).unwrap();
    let counted: u64 =
        page.lines().filter_map(|line| line.split(" | ").nth(1)?.trim().parse::<u64>().ok()).sum();
    assert_eq!(counted, 43 + 47);
    for number in 1..=13 {
        assert!(page.contains(&format!("| B{number} |")), "B{number}");
    }
}
