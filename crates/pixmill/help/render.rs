//! A page as the program shows it: HTML without a script, a style or a picture, whose links lead to its other pages.

use std::path::{Component, Path};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::book::Page;
use crate::slug::Slugs;

/// Where files are that the program has no page of.
pub(crate) const REPOSITORY: &str = "https://github.com/pixmill/pixmill/blob/main/";

/// Markdown as GitHub and mdBook read it, as far as the pages need.
pub(crate) fn events(text: &str) -> Vec<Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_TABLES).collect()
}

/// The page as HTML.
pub(crate) fn html(page: &Page) -> String {
    let mut events = events(&page.text);
    name_headings(&mut events);
    let shown = events.into_iter().flat_map(|event| shown(page, event));
    let mut text = String::new();
    html::push_html(&mut text, shown);
    text
}

/// Headings get the names by which links call them.
pub(crate) fn name_headings(events: &mut [Event<'_>]) {
    let mut slugs = Slugs::default();
    for at in 0..events.len() {
        if !matches!(events[at], Event::Start(Tag::Heading { .. })) {
            continue;
        }
        let within =
            events[at + 1..].iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
        let text: String = within
            .filter_map(|event| match event {
                Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
            *id = Some(CowStr::from(slugs.of(&text)));
        }
    }
}

/// What stands for an event: wide tables may be moved sideways, a picture becomes a link to it, comments are left out.
fn shown<'t>(page: &Page, event: Event<'t>) -> Vec<Event<'t>> {
    match event {
        Event::Html(_)
        | Event::InlineHtml(_)
        | Event::Start(Tag::HtmlBlock)
        | Event::End(TagEnd::HtmlBlock) => Vec::new(),
        Event::Start(Tag::Table(columns)) => {
            vec![Event::Html("<div class=\"wide\">".into()), Event::Start(Tag::Table(columns))]
        }
        Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), Event::Html("</div>".into())],
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = address(page, &dest_url).into();
            vec![Event::Start(Tag::Link { link_type, dest_url, title, id })]
        }
        Event::Start(Tag::Image { dest_url, title, id, .. }) => {
            let dest_url = address(page, &dest_url).into();
            vec![Event::Start(Tag::Link { link_type: pulldown_cmark::LinkType::Inline, dest_url, title, id })]
        }
        Event::End(TagEnd::Image) => vec![Event::End(TagEnd::Link)],
        other => vec![other],
    }
}

/// Where a link of a page leads, seen from `/help/` and its page's path.
fn address(page: &Page, link: &str) -> String {
    let (file, anchor) = link.split_at(link.find('#').unwrap_or(link.len()));
    if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
        return link.to_owned();
    }
    match file.strip_suffix(".md") {
        Some("index") => format!("./{anchor}"),
        Some(other) => format!(
            "{}{anchor}",
            other.strip_suffix("/index").map_or(other.to_owned(), |up| format!("{up}/"))
        ),
        None => format!("{REPOSITORY}docs/{}", beside(&page.path, file)),
    }
}

/// A path beside a page's, without steps up.
pub(crate) fn beside(page: &str, link: &str) -> String {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.components().chain(Path::new(link).components()) {
        match part {
            Component::ParentDir => match parts.last() {
                Some(&last) if last != ".." => _ = parts.pop(),
                _ => parts.push(".."),
            },
            Component::Normal(name) => parts.extend(name.to_str()),
            _ => {}
        }
    }
    parts.join("/")
}
