//! Links between files of the project and to headings in them. Nobody outside is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pulldown_cmark::{Event, Tag};

use crate::render::{REPOSITORY, beside, events, name_headings};
use crate::{book, markdown_below, root};

/// What links lead to within a text, and those that lead out of it.
struct Read {
    headings: BTreeSet<String>,
    links: Vec<String>,
}

fn read(text: &str) -> Read {
    let mut all = events(text);
    name_headings(&mut all);
    let mut read = Read { headings: BTreeSet::new(), links: Vec::new() };
    for event in all {
        match event {
            Event::Start(Tag::Heading { id: Some(id), .. }) => _ = read.headings.insert(id.into_string()),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                read.links.push(dest_url.into_string());
            }
            _ => {}
        }
    }
    read
}

/// Texts by their paths from the root: those of the book with what they include.
fn texts() -> BTreeMap<String, String> {
    let whole = |path: String| (path.clone(), std::fs::read_to_string(root().join(path)).unwrap());
    let mut texts: BTreeMap<_, _> = markdown_below(".").into_iter().map(whole).collect();
    let pages = book::read(&root().join("docs")).unwrap();
    texts.extend(pages.into_iter().map(|page| (format!("docs/{}.md", page.path), page.text)));
    texts
}

/// The file that a link names, from the root, and the heading; none where it leads to somebody else.
fn target(from: &str, link: &str) -> Option<(String, Option<String>)> {
    let (file, anchor) =
        link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor.to_owned())));
    let file = match file.strip_prefix(REPOSITORY) {
        Some(ours) => ours.to_owned(),
        None if file.contains(':') => return None,
        None if file.is_empty() => from.to_owned(),
        None => beside(from, file),
    };
    Some((file, anchor))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let texts = texts();
    let read: BTreeMap<&str, Read> = texts.iter().map(|(path, text)| (path.as_str(), read(text))).collect();
    let mut broken = Vec::new();
    for (from, found) in &read {
        for link in &found.links {
            let Some((file, anchor)) = target(from, link) else { continue };
            let heading_is_there = match (&anchor, read.get(file.as_str())) {
                (Some(anchor), Some(there)) => there.headings.contains(anchor),
                _ => true,
            };
            if !root().join(&file).exists() {
                broken.push(format!("{from}: {link}: there is no file {file}"));
            } else if !heading_is_there {
                broken.push(format!("{from}: {link}: {file} has no such heading"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn pages_of_the_book_link_to_files_outside_by_whole_addresses() {
    let mut broken = Vec::new();
    for page in book::read(&root().join("docs")).unwrap() {
        for link in read(&page.text).links {
            let is_ours = !link.contains(':') && !link.starts_with('#');
            if is_ours && beside(&page.path, &link).starts_with("..") {
                broken.push(format!(
                    "docs/{}.md: {link} leaves the site: begin it with {REPOSITORY}",
                    page.path
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn pictures_have_words_for_those_who_do_not_see_them() {
    for (path, text) in texts() {
        assert!(!text.contains("![]("), "{path}: a picture without words");
    }
    assert!(Path::new(&root()).join("docs/dashboard").is_dir());
}
