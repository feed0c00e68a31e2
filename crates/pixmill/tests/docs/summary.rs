//! The book's table of contents.

use std::collections::BTreeSet;

use crate::{book, markdown_below, render, root};

#[test]
fn every_page_is_in_the_book_once() {
    let pages = book::read(&root().join("docs")).unwrap();
    let listed: Vec<String> = pages.iter().map(|page| format!("docs/{}.md", page.path)).collect();
    let distinct: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(distinct.len(), listed.len(), "docs/SUMMARY.md names a page twice");
    let titles: BTreeSet<&str> = pages.iter().map(|page| page.title.as_str()).collect();
    assert_eq!(titles.len(), pages.len(), "two pages have one title");
    let lost = pages.iter().skip(1).find(|page| page.part.is_empty() || page.depth > 1);
    assert!(lost.is_none(), "{lost:?} stands in no part, or too deep");
    let there = markdown_below("docs");
    let missing: Vec<_> =
        there.iter().filter(|page| *page != "docs/SUMMARY.md" && !distinct.contains(page)).collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

#[test]
fn every_page_begins_with_its_heading_and_says_what_it_is_about() {
    for page in book::read(&root().join("docs")).unwrap() {
        assert!(page.text.starts_with("# "), "docs/{}.md has no heading on its first line", page.path);
        let headings = page.text.lines().scan(false, |in_code, line| {
            *in_code ^= line.trim_start().starts_with("```");
            Some(!*in_code && line.starts_with("# "))
        });
        assert_eq!(
            headings.filter(|is_one| *is_one).count(),
            1,
            "docs/{}.md has several first headings",
            page.path
        );
        let about = book::about(&page.text);
        assert!(!about.contains("](") && !about.contains("```"), "docs/{}.md begins with {about}", page.path);
        assert!(about.len() > 10, "docs/{}.md has no first sentence", page.path);
    }
}

#[test]
fn pages_become_html_that_runs_and_loads_nothing() {
    let page = book::Page {
        path: "shops/cap".into(),
        title: "Cap".into(),
        part: String::new(),
        depth: 1,
        text: "# Cap\n\n<script>alert(1)</script>\n\n<!-- note -->\n[a](../origins.md#pace) [b](hat.md) ![c](cap.webp)\n\n\
               | x |\n|---|\n| <b onclick=\"y\">1</b> |\n"
            .into(),
    };
    let html = render::html(&page);
    assert!(html.contains("<h1 id=\"cap\">Cap</h1>"), "{html}");
    assert!(html.contains("<a href=\"../origins#pace\">a</a> <a href=\"hat\">b</a>"), "{html}");
    let picture = format!("<a href=\"{}docs/shops/cap.webp\">c</a>", render::REPOSITORY);
    assert!(html.contains(&picture) && html.contains("<div class=\"wide\"><table>"), "{html}");
    assert!(!html.contains("script") && !html.contains("<img") && !html.contains("onclick"), "{html}");
}
