//! Who comes from an earlier version finds what to do.

use crate::root;

/// Versions that have a heading such as `## [0.1.0]` or `## 0.1.0`.
fn versions(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    let named =
        headings.map(|heading| heading.trim_start_matches('[').split([']', ' ']).next().unwrap().to_owned());
    named.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_release_tells_how_to_come_to_it() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (changes, told) = (versions(&read("CHANGELOG.md")), versions(&read("UPGRADING.md")));
    assert!(!changes.is_empty());
    let untold: Vec<_> = changes.iter().filter(|version| !told.contains(version)).collect();
    assert!(untold.is_empty(), "UPGRADING.md has no heading for {untold:?}");
}
