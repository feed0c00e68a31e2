//! The pages: that the book holds them all, that links lead somewhere, and that what is made from the code equals it.
//! `UPDATE_DOCS=1` writes anew what is made from the code.

#[path = "../../help/book.rs"]
mod book;
mod links;
mod mongodb;
mod releases;
#[path = "../../help/render.rs"]
mod render;
mod shops;
#[path = "../../src/api/pages/help/slug.rs"]
mod slug;
mod summary;
mod trials;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Markdown file below a folder of the project, as paths from its root, sorted.
fn markdown_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir()
                && !name.starts_with('.')
                && !matches!(name.as_str(), "target" | "node_modules" | "out")
            {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// Compares a file with what it should be, and writes it anew where that is asked for.
fn keep_equal(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, wanted, "{path} differs from the code: run with UPDATE_DOCS=1 to write it anew");
}
