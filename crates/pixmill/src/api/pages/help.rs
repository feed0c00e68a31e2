//! The documentation of the version that runs: pages of `docs/`, packed by the build script, for people and for programs
//! that read. Open to whoever reaches the server, as its sources are.

mod search;
mod slug;

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::body::Body;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use flate2::read::ZlibDecoder;
use http::StatusCode;
use pixmill_engine::code::Code;

use self::search::Found;
use super::super::Api;
use super::super::answer;
use super::super::problem::Problem;
use super::super::query::Query;
use super::{Page as Frame, redirect};

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A page.
struct Page {
    /// Below `/help/`.
    path: &'static str,
    title: &'static str,
    /// The part in which it stands.
    part: &'static str,
    /// How deep it stands below others.
    depth: usize,
    /// Its first sentence.
    about: &'static str,
    /// Where its Markdown is in all text.
    text: Range<usize>,
    /// Where its HTML is there.
    html: Range<usize>,
}

include!(concat!(env!("OUT_DIR"), "/help.rs"));

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/help.bin"));

/// All text, unpacked when somebody asks first.
static WHOLE: LazyLock<String> = LazyLock::new(|| {
    let mut whole = String::new();
    ZlibDecoder::new(PACKED).read_to_string(&mut whole).expect("what was packed can be unpacked");
    whole
});

impl Page {
    fn text(&self) -> &'static str {
        &WHOLE[self.text.clone()]
    }

    fn html(&self) -> &'static str {
        &WHOLE[self.html.clone()]
    }

    /// Whether the list of pages has a new part here.
    fn begins_part(&self) -> bool {
        let before = PAGES.iter().take_while(|page| page.path != self.path).last();
        !self.part.is_empty() && before.is_none_or(|before| before.part != self.part)
    }

    /// Its address below `/help/`.
    fn address(&self) -> &'static str {
        if self.path == "index" { "" } else { self.path }
    }
}

#[derive(Template)]
#[template(path = "help.html")]
struct Help {
    page: Frame,
    pages: &'static [Page],
    at: &'static str,
    html: &'static str,
    asked: String,
    found: Vec<Found>,
}

/// Relative links of pages need the slash.
pub(super) async fn to_first(State(api): State<Arc<Api>>) -> Response {
    redirect(&api, "/help/")
}

/// The first page, or what was found.
pub(super) async fn first(State(api): State<Arc<Api>>, query: Query) -> Result<Response, Problem> {
    let asked = query.get("q").unwrap_or_default().trim().to_owned();
    if asked.is_empty() {
        return page(&api, "index");
    }
    let (frame, found) = (Frame::open(&api, "Search"), search::find(&asked));
    let help = Help { page: frame, pages: PAGES, at: "", html: "", asked, found };
    Ok(super::show(StatusCode::OK, &help))
}

/// A page; its Markdown where the address ends so.
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    parameters: RawPathParams,
) -> Result<Response, Problem> {
    let path = parameters.iter().find(|(name, _)| *name == "path").map_or("", |(_, path)| path);
    match path.strip_suffix(".md") {
        Some(path) => Ok(answer::of(StatusCode::OK, MARKDOWN, Body::from(known(path)?.text()))),
        None => page(&api, path),
    }
}

fn known(path: &str) -> Result<&'static Page, Problem> {
    let found = PAGES.iter().find(|page| page.path == path);
    found.ok_or_else(|| Problem::new(Code::RouteUnknown, format!("there is no page {path:?}: see /help/")))
}

fn page(api: &Api, path: &str) -> Result<Response, Problem> {
    let page = known(path)?;
    let (frame, at, html) = (Frame::open(api, page.title), page.path, page.html());
    let (asked, found) = (String::new(), Vec::new());
    Ok(super::show(StatusCode::OK, &Help { page: frame, pages: PAGES, at, html, asked, found }))
}

/// The index for programs that read (llmstxt.org): each page with its first sentence.
pub(super) async fn index_for_programs(State(api): State<Arc<Api>>) -> Response {
    let links = api.on.links.trim_end_matches('/');
    let mut text = format!(
        "# pixmill {}\n\n> Bulk image processing on your own machine, in one binary.\n\n\
         All of it in one file: {links}/llms-full.txt. The HTTP API for programs: {links}/openapi.json.\n",
        env!("CARGO_PKG_VERSION")
    );
    for page in PAGES {
        if page.begins_part() {
            text += &format!("\n## {}\n\n", page.part);
        }
        let Page { path, title, about, .. } = page;
        text += &format!("- [{title}]({links}/help/{path}.md): {about}\n");
    }
    answer::of(StatusCode::OK, TEXT, Body::from(text))
}

/// All pages as Markdown, one after the other.
pub(super) async fn whole_for_programs() -> Response {
    let text: Vec<&str> = PAGES.iter().map(Page::text).collect();
    answer::of(StatusCode::OK, TEXT, Body::from(text.join("\n")))
}
