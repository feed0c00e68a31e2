//! The pages of `docs/`, in the order of their SUMMARY.md: what mdBook makes a site of, and the program its `/help`.

use std::fs;
use std::path::Path;

/// A page of the book.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it is below `docs/`, without the ending: `shops/shopify`.
    pub(crate) path: String,
    /// What the summary calls it.
    pub(crate) title: String,
    /// The part of the book in which it stands; empty before the first.
    pub(crate) part: String,
    /// How deep it stands below others.
    pub(crate) depth: usize,
    /// Its Markdown, with what it includes.
    pub(crate) text: String,
}

/// All pages.
///
/// # Errors
/// A sentence that names the file or the line that can't be read.
pub(crate) fn read(docs: &Path) -> Result<Vec<Page>, String> {
    let (mut pages, mut part) = (Vec::new(), String::new());
    for line in text_of(&docs.join("SUMMARY.md"))?.lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            part = if heading == "Summary" { String::new() } else { heading.to_owned() };
        } else if !line.trim().is_empty() {
            let unread = || format!("docs/SUMMARY.md: '{line}' is no part and names no page");
            let (title, path) = entry(line).ok_or_else(unread)?;
            let depth = (line.len() - line.trim_start().len()) / 2;
            let text = with_includes(docs, &text_of(&docs.join(format!("{path}.md")))?)?;
            let (path, title) = (path.to_owned(), title.to_owned());
            pages.push(Page { path, title, part: part.clone(), depth, text });
        }
    }
    Ok(pages)
}

/// The title and the path of a line such as `  - [Shopify](shops/shopify.md)`.
fn entry(line: &str) -> Option<(&str, &str)> {
    let link = line.trim().trim_start_matches("- ").strip_prefix('[')?;
    let (title, path) = link.strip_suffix(".md)")?.split_once("](")?;
    Some((title, path))
}

/// Lines such as `{{#include ../ARCHITECTURE.md}}` stand for files, as mdBook has it.
fn with_includes(docs: &Path, text: &str) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    for line in text.lines() {
        let included = line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
        match included {
            Some(file) => whole += &text_of(&docs.join(file))?,
            None => whole += line,
        }
        whole.push('\n');
    }
    Ok(whole)
}

fn text_of(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{} can't be read: {error}", file.display()))
}

/// The first sentence of a page, in plain text.
pub(crate) fn about(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim);
    let mut spoken = paragraphs.filter(|paragraph| {
        let begins = |first: char| first.is_alphabetic() || matches!(first, '*' | '`');
        paragraph.starts_with(begins) && !paragraph.starts_with("```")
    });
    let paragraph = without_addresses(&spoken.next().unwrap_or_default().replace('\n', " "));
    let sentence = paragraph.split(". ").next().unwrap_or_default().trim_end_matches(['.', ':']);
    sentence.replace(['`', '*'], "") + "."
}

/// Of links such as `[text](address)`, the text.
fn without_addresses(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        plain += before;
        let link = after.split_once("](").and_then(|(said, after)| Some((said, after.split_once(')')?.1)));
        match link {
            Some((said, after)) => (plain, rest) = (plain + said, after),
            None => (plain, rest) = (plain + "[", after),
        }
    }
    plain + rest
}
