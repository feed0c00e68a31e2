//! `docs/mongodb.md` names every field and collection of ours.

use std::collections::BTreeSet;

use crate::root;

/// What follows a beginning in all sources of the records in MongoDB, up to the first sign that no name has.
fn names(beginning: &str) -> BTreeSet<String> {
    let folder = root().join("crates/pixmill-adapters/src/records/mongodb");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for (at, _) in source.match_indices(beginning) {
            let rest = &source[at + beginning.len()..];
            let end = rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len());
            names.insert(rest[..end].to_owned());
        }
    }
    names.remove("");
    names
}

#[test]
fn the_page_of_mongodb_names_every_field_of_ours() {
    let page = std::fs::read_to_string(root().join("docs/mongodb.md")).unwrap();
    let fields = names("\"pixmill.");
    assert!(fields.len() > 30, "{fields:?}");
    let untold: Vec<_> = fields.iter().filter(|field| !page.contains(&format!("`{field}`"))).collect();
    assert!(untold.is_empty(), "docs/mongodb.md does not name {untold:?}");
    let collections = names("&str = \"pixmill_");
    assert!(collections.len() > 4, "{collections:?}");
    let untold: Vec<_> =
        collections.iter().filter(|name| !page.contains(&format!("`pixmill_{name}`"))).collect();
    assert!(untold.is_empty(), "docs/mongodb.md does not name {untold:?}");
}
