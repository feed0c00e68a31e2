//! Packs the pages of `docs/` for the program, which shows them at `/help`: once as HTML, made here so that the program
//! needs no Markdown, and once as they are, for programs that read.

// Cargo is told by standard output.
#![allow(clippy::print_stdout)]

mod book;
mod render;
#[path = "../src/api/pages/help/slug.rs"]
mod slug;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// How hard is tried to make them small: this file is compiled without optimisation.
const EFFORT: u8 = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../..");
    for read in ["docs", "ARCHITECTURE.md"] {
        println!("cargo::rerun-if-changed={}", root.join(read).display());
    }
    let (mut table, mut whole) = (String::from("const PAGES: &[Page] = &[\n"), String::new());
    for page in book::read(&root.join("docs"))? {
        let (text, about) = (add(&mut whole, &page.text), book::about(&page.text));
        let html = add(&mut whole, &render::html(&page));
        let book::Page { path, title, part, depth, .. } = &page;
        writeln!(
            table,
            "    Page {{ path: {path:?}, title: {title:?}, part: {part:?}, depth: {depth}, about: {about:?}, \
             text: {text:?}, html: {html:?} }},"
        )?;
    }
    table += "];\n";
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("help.rs"), table)?;
    fs::write(out.join("help.bin"), miniz_oxide::deflate::compress_to_vec_zlib(whole.as_bytes(), EFFORT))?;
    Ok(())
}

/// Appends, and says where.
fn add(whole: &mut String, part: &str) -> std::ops::Range<usize> {
    let begin = whole.len();
    whole.push_str(part);
    begin..whole.len()
}
