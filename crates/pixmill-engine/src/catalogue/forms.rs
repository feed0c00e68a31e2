//! Cells that hold something written in another language: JSON or a list of Python, HTML, a spreadsheet's formula.

use std::borrow::Cow;
use std::ops::Range;

use super::naming::{Meaning, meaning};
use super::words::ABOUT_WORDS;

/// A text within a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quoted<'c> {
    /// As it is meant.
    pub(super) text: Cow<'c, str>,
    /// Where it is written, quotes left out.
    pub(super) place: Range<usize>,
    /// The name that it has in an object says that it is no picture.
    pub(super) is_other: bool,
}

/// The strings of JSON, or of a list or dictionary of Python. None for what is neither.
pub(super) fn json(cell: &str) -> Option<Vec<Quoted<'_>>> {
    if !cell.starts_with(['[', '{']) || !cell.ends_with([']', '}']) {
        return None;
    }
    let (mut strings, mut at, mut is_other) = (Vec::new(), 0, false);
    while let Some(offset) = cell[at..].find(['"', '\'', ',', '{', '}']) {
        let mark = at + offset;
        at = mark + 1;
        let quote = cell.as_bytes()[mark];
        if !matches!(quote, b'"' | b'\'') {
            is_other &= quote == b',' && inside_list(&cell[..mark]);
            continue;
        }
        let end = string_end(cell, at, quote)?;
        let place = at..end;
        at = end + 1;
        let text = unescaped(&cell[place.clone()]);
        if cell[at..].trim_start().starts_with(':') {
            is_other =
                matches!(meaning(&text), Meaning::About | Meaning::Page | Meaning::Link) || is_about(&text);
        } else {
            strings.push(Quoted { text, place, is_other });
        }
    }
    Some(strings)
}

/// Names that texts have in objects beside pictures.
fn is_about(key: &str) -> bool {
    ABOUT_WORDS.iter().any(|word| key.eq_ignore_ascii_case(word))
}

/// Whether the innermost bracket that is open is a list's.
fn inside_list(text: &str) -> bool {
    let mut depth = 0i32;
    for byte in text.bytes().rev() {
        match byte {
            b']' | b'}' => depth += 1,
            b'[' | b'{' if depth == 0 => return byte == b'[',
            b'[' | b'{' => depth -= 1,
            _ => {}
        }
    }
    false
}

fn string_end(cell: &str, from: usize, quote: u8) -> Option<usize> {
    let bytes = cell.as_bytes();
    let mut at = from;
    loop {
        at += memchr::memchr2(quote, b'\\', bytes.get(at..)?)?;
        if bytes[at] == quote {
            return Some(at);
        }
        at += 2;
    }
}

/// A string without its escapes.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    if let Ok(whole) = serde_json::from_str::<String>(&format!("\"{text}\"")) {
        return Cow::Owned(whole);
    }
    Cow::Owned(text.replace("\\/", "/").replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// The sources of `<img>` tags. None without one.
pub(super) fn html(cell: &str) -> Option<Vec<Quoted<'_>>> {
    let mut sources = Vec::new();
    let mut at = 0;
    while let Some(tag) = find_tag(cell, at) {
        let end = cell[tag..].find('>').map_or(cell.len(), |offset| tag + offset);
        at = end;
        if let Some(place) = source(cell, tag + 4..end) {
            let text = cell[place.clone()].replace("&amp;", "&");
            sources.push(Quoted { text: Cow::Owned(text), place, is_other: false });
        }
    }
    (!sources.is_empty()).then_some(sources)
}

fn find_tag(cell: &str, from: usize) -> Option<usize> {
    let bytes = cell.as_bytes();
    memchr::memchr_iter(b'<', &bytes[from..]).map(|offset| from + offset).find(|at| {
        let tag = bytes.get(*at..at + 5);
        tag.is_some_and(|tag| tag[..4].eq_ignore_ascii_case(b"<img") && !tag[4].is_ascii_alphanumeric())
    })
}

/// Where the value of `src` is within a tag, or of what is put in its place where pictures are loaded late.
fn source(cell: &str, tag: Range<usize>) -> Option<Range<usize>> {
    let mut found = None;
    let mut at = tag.start;
    while let Some(offset) = cell.get(at..tag.end)?.find('=') {
        let equals = at + offset;
        let name = cell[at..equals].trim().rsplit(char::is_whitespace).next().unwrap_or("");
        let value =
            equals + 1 + (cell[equals + 1..tag.end].len() - cell[equals + 1..tag.end].trim_start().len());
        let place = match cell[value..tag.end].chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let end = cell[value + 1..tag.end].find(quote).map_or(tag.end, |end| value + 1 + end);
                value + 1..end
            }
            _ => value..cell[value..tag.end].find(char::is_whitespace).map_or(tag.end, |end| value + end),
        };
        at = (place.end + 1).min(tag.end);
        let text = cell[place.clone()].trim();
        if name.eq_ignore_ascii_case("src") && !text.is_empty() && !text.starts_with("data:") {
            return Some(place);
        }
        if ["src", "data-src", "data-original", "data-lazy-src"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
            && !text.is_empty()
        {
            found = found.or(Some(place));
        }
    }
    found
}

/// The texts of a formula, `=HYPERLINK("a.jpg";"Cap")`; of a link, the address alone. Nothing is worked out.
pub(super) fn formula(cell: &str) -> Option<Vec<Quoted<'_>>> {
    let rest = cell.strip_prefix('=')?;
    let link = rest.trim_start().get(..9).is_some_and(|name| name.eq_ignore_ascii_case("HYPERLINK"));
    let mut texts = Vec::new();
    let mut at = 0;
    while let Some(offset) = cell[at..].find('"') {
        let from = at + offset + 1;
        let Some(length) = cell[from..].find('"') else { break };
        let place = from..from + length;
        at = place.end + 1;
        texts.push(Quoted { text: Cow::Borrowed(&cell[place.clone()]), place, is_other: false });
        if link {
            break;
        }
    }
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(quoted: Option<Vec<Quoted<'_>>>) -> Vec<String> {
        let quoted = quoted.expect("it is of that form");
        quoted.into_iter().filter(|quoted| !quoted.is_other).map(|quoted| quoted.text.into_owned()).collect()
    }

    #[test]
    fn strings_of_json_and_python_are_found_but_for_pages_and_texts() {
        assert_eq!(texts(json(r#"["http:\/\/a\/1.png","b.jpg"]"#)), ["http://a/1.png", "b.jpg"]);
        assert_eq!(texts(json(r"['a.jpg', 'b.jpg']")), ["a.jpg", "b.jpg"]);
        let object = r#"[{"src":"http://a/1.png","alt":"Cap, red","permalink":"http://a/p/1"},{"src":"http://a/2.png"}]"#;
        assert_eq!(texts(json(object)), ["http://a/1.png", "http://a/2.png"]);
        assert_eq!(texts(json(r#"{"a":{"url":"x\u0026y"}}"#)), ["x&y"]);
        assert_eq!(json("[a](b)"), None);
        assert_eq!(json("[\"open]"), None);
    }

    #[test]
    fn sources_of_tags_are_found() {
        assert_eq!(
            texts(html("<a href=\"x\"><IMG alt='a=b' src='a.jpg?x=1&amp;y=2'></a>")),
            ["a.jpg?x=1&y=2"]
        );
        assert_eq!(texts(html("<img src=a.jpg><img data-src=\"b.jpg\" src=\"data:,\">")), ["a.jpg", "b.jpg"]);
        assert_eq!(html("<a href=x>"), None);
        assert_eq!(html("<img"), None);
    }

    #[test]
    fn texts_of_formulas_are_found() {
        assert_eq!(texts(formula("=HYPERLINK(\"a.jpg\",\"Cap\")")), ["a.jpg"]);
        assert_eq!(texts(formula("=\"a.jpg\"")), ["a.jpg"]);
        assert_eq!(formula("=A1"), None);
    }
}
