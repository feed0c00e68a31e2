//! What came where a picture should have, told in words.

use url::Url;

use super::share;
use crate::code::Code;
use crate::fault::Fault;

/// Bytes in which a page shows that it is one, and those in which its title is looked for.
const BEGINNING: usize = 1024;
const HEAD: usize = 64 << 10;
/// The longest title that is told, characters.
const TITLE: usize = 80;

/// What pages begin with, comments and white space apart.
const MARKS: [&str; 8] = ["<!doctype html", "<html", "<head", "<body", "<title", "<script", "<br", "<meta"];

/// The fault of a file that is a web page: no picture begins like one.
pub(super) fn instead_of_a_picture(bytes: &[u8], url: &Url) -> Option<Fault> {
    if !is_page(bytes) {
        return None;
    }
    let place = url.origin().ascii_serialization();
    let what = if share::is_page(url) { "a share page, not a picture" } else { "a web page, not a picture" };
    let message = match title(&bytes[..bytes.len().min(HEAD)]) {
        Some(title) => format!("{place} answered with {what}: '{title}'"),
        None => format!("{place} answered with {what}"),
    };
    Some(Fault::permanent(Code::ImageUnsupported, message))
}

fn is_page(bytes: &[u8]) -> bool {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(BEGINNING)]).to_ascii_lowercase();
    let mut text = beginning.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
    while let Some((_, rest)) = text.strip_prefix("<!--").and_then(|comment| comment.split_once("-->")) {
        text = rest.trim_start();
    }
    if text.starts_with("<?xml") {
        return text.contains("<html") || text.contains("<!doctype html");
    }
    MARKS.iter().any(|mark| text.starts_with(mark))
}

/// A page's title, in one line and without what could be taken for anything else.
fn title(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_ascii_lowercase();
    let begin = lower.find("<title")?;
    let begin = begin + lower[begin..].find('>')? + 1;
    let end = begin + lower[begin..].find("</title")?;
    let plain = text[begin..end]
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let words = plain.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(TITLE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8], url: &str) -> Option<String> {
        instead_of_a_picture(bytes, &Url::parse(url).unwrap()).map(|fault| fault.message)
    }

    #[test]
    fn a_web_page_is_told_by_its_title() {
        let page = b"\xEF\xBB\xBF <!-- hm -->\n<!DOCTYPE html><html><head><TITLE lang=en>Not\n \x1b[31mfound &amp; gone</TITLE>";
        assert_eq!(
            told(page, "https://shop.example/a.jpg?key=secret").unwrap(),
            "https://shop.example answered with a web page, not a picture: 'Not [31mfound & gone'"
        );
        assert_eq!(
            told(b"<html><body>", "http://shop.example/").unwrap(),
            "http://shop.example answered with a web page, not a picture"
        );
        let long = format!("<html><title>{}</title>", "x".repeat(10_000));
        assert!(told(long.as_bytes(), "http://shop.example/").unwrap().len() < 200);
    }

    #[test]
    fn a_share_page_is_called_one() {
        let message = told(b"<!doctype html><title>a.jpg</title>", "https://photos.app.goo.gl/x").unwrap();
        assert!(message.contains("a share page, not a picture"), "{message}");
    }

    #[test]
    fn pictures_and_broken_ones_are_no_pages() {
        for bytes in
            [&b"\xFF\xD8\xFF\xE0"[..], b"", b"<", b"<svg xmlns=", b"<?xml version='1.0'?><svg>", b"BM<html"]
        {
            assert_eq!(told(bytes, "http://a.example/"), None);
        }
    }

    #[test]
    fn no_page_of_any_bytes_breaks_the_telling() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200))| {
            let page = [b"<html><title", &bytes[..]].concat();
            told(&page, "http://a.example/");
        });
    }
}
