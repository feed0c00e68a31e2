//! Addresses cut out of a cell that holds at least one with a scheme or a host.
//!
//! Addresses may hold commas, semicolons, pipes, brackets and even spaces themselves (`w_200,h_300/x.jpg`), so these end
//! one only where what follows begins the next, or where they can't be meant as part of it.

use std::borrow::Cow;
use std::ops::Range;

use super::looks::{begins_with_host, has_picture_ending};

/// How far a scheme is looked for before its colon, in bytes: no scheme anyone uses for pictures is longer.
const MAX_SCHEME_BYTES: usize = 32;

/// How an address is written in its cell, which is how another one is written in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// As it is.
    #[default]
    Plain,
    /// In a string of JSON.
    Json,
    /// With `&amp;`.
    Html,
}

/// Where an address begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    /// Its first byte.
    at: usize,
    /// The first byte after `://`.
    rest: usize,
    /// It is `data:`, whose end is another one.
    data: bool,
}

/// Whether a cell holds an address with a scheme or a host, rather than paths.
pub(super) fn holds_address(cell: &str) -> bool {
    next_start(cell, 0).is_some()
}

/// Whether a text starts as an address does, quotes aside.
pub(super) fn begins_address(text: &str) -> bool {
    let text = text.trim_start().trim_start_matches(is_quote).trim_start();
    next_start(text, 0).is_some_and(|start| start.at == 0)
}

/// Hands over each address of a cell, as it is meant, with the place where it is written.
pub(super) fn cut<'c>(cell: &'c str, mut found: impl FnMut(Cow<'c, str>, Range<usize>, Form)) {
    let (mut at, mut keyed) = (0, false);
    while let Some(start) = next_start(cell, at) {
        keyed |= cell[..start.at].ends_with('=');
        let opened = cell[..start.at].chars().next_back();
        let end = if start.data { end_of_data(cell, start.rest) } else { end_of(cell, start, opened, keyed) };
        let place = tidied(cell, start.at..end);
        let (address, form) = meant(&cell[place.clone()]);
        found(address, place, form);
        at = end.max(start.rest);
    }
}

/// Where the next address begins.
fn next_start(text: &str, from: usize) -> Option<Start> {
    let bytes = text.as_bytes();
    let mut at = from;
    let by_scheme = loop {
        let Some(offset) = memchr::memchr3(b':', b'%', b'/', bytes.get(at..)?) else { break None };
        let mark = at + offset;
        let start = match bytes[mark] {
            b':' => after_colon(bytes, from, mark),
            b'%' => after_escape(bytes, from, mark),
            _ => host_alone(bytes, mark),
        };
        if start.is_some() {
            break start;
        }
        at = mark + 1;
    };
    let before = by_scheme.map_or(bytes.len(), |start| start.at);
    www(text, from, before).or(by_scheme)
}

fn after_colon(bytes: &[u8], from: usize, colon: usize) -> Option<Start> {
    let after = &bytes[colon + 1..];
    let least = from.max(colon.saturating_sub(MAX_SCHEME_BYTES));
    let length = bytes[least..colon].iter().rev().take_while(|byte| is_of_scheme(**byte)).count();
    let word = &bytes[colon - length..colon];
    if let Some(http) = http(word) {
        let marks: [&[u8]; 3] = [b"//", b"\\/\\/", b"\\\\"];
        let mark = marks.iter().find(|mark| after.starts_with(mark))?;
        return Some(Start { at: colon - http, rest: colon + 1 + mark.len(), data: false });
    }
    let length = word.iter().position(u8::is_ascii_alphabetic).map(|skipped| word.len() - skipped)?;
    let word = &bytes[colon - length..colon];
    if word.eq_ignore_ascii_case(b"data") {
        let kind =
            after.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b';' | b','));
        return kind.then_some(Start { at: colon - length, rest: colon + 1, data: true });
    }
    // A letter alone is a Windows drive.
    (length > 1 && after.starts_with(b"//")).then_some(Start {
        at: colon - length,
        rest: colon + 3,
        data: false,
    })
}

/// `http%3A//` and `http%3A%2F%2F`.
fn after_escape(bytes: &[u8], from: usize, mark: usize) -> Option<Start> {
    let after = &bytes[mark..];
    let is = |text: &[u8], at: usize| {
        after.get(at..at + text.len()).is_some_and(|part| part.eq_ignore_ascii_case(text))
    };
    let rest = match () {
        () if is(b"%3a//", 0) => 5,
        () if is(b"%3a%2f%2f", 0) => 9,
        () => return None,
    };
    let length = bytes[from..mark].iter().rev().take(5).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let http = http(&bytes[mark - length..mark])?;
    Some(Start { at: mark - http, rest: mark + rest, data: false })
}

/// `//host/`, where a piece begins.
fn host_alone(bytes: &[u8], mark: usize) -> Option<Start> {
    let before = mark.checked_sub(1).map(|at| bytes[at]);
    let begins = before.is_none_or(|byte| {
        !byte.is_ascii_alphanumeric() && !matches!(byte, b':' | b'/' | b'\\' | b'.' | b'_' | b'-')
    });
    let host = bytes
        .get(mark + 2)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80 || *byte == b'[');
    (begins && host && bytes[mark + 1] == b'/').then_some(Start { at: mark, rest: mark + 2, data: false })
}

/// `www.host/`, where a piece begins.
fn www(text: &str, from: usize, before: usize) -> Option<Start> {
    let bytes = &text.as_bytes()[..before];
    let mut at = from;
    while let Some(offset) = memchr::memchr2(b'w', b'W', bytes.get(at..)?) {
        let found = at + offset;
        let begins = found == 0
            || !(bytes[found - 1].is_ascii_alphanumeric()
                || matches!(bytes[found - 1], b'/' | b'.' | b'-' | b'_' | b'@'));
        let is_www = bytes.get(found..found + 4).is_some_and(|part| part.eq_ignore_ascii_case(b"www."));
        if begins && is_www && begins_with_host(text[found..].split(char::is_whitespace).next().unwrap_or(""))
        {
            return Some(Start { at: found, rest: found + 4, data: false });
        }
        at = found + 1;
    }
    None
}

/// The length of `http` or `https` at the end of a word.
fn http(word: &[u8]) -> Option<usize> {
    [&b"https"[..], b"http"].iter().map(|scheme| scheme.len()).find(|length| {
        let end = word.len().checked_sub(*length).map(|from| &word[from..]);
        end.is_some_and(|end| end.eq_ignore_ascii_case(&b"https"[..*length]))
    })
}

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '`' | '«' | '»')
}

/// White space that ends a line.
pub(super) fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Signs that are not seen.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{2060}' | '\u{ad}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `data:` ends with its last sign of base 64 or of a URL.
fn end_of_data(text: &str, from: usize) -> usize {
    let comma = text[from..].find(',').map_or(from, |at| from + at + 1);
    let head_is_whole = !text[from..comma].contains(|c: char| c.is_whitespace() || is_quote(c));
    let from = if head_is_whole { comma } else { from };
    let ends =
        |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '%' | '-' | '_' | '.' | '~'));
    text[from..].find(ends).map_or(text.len(), |at| from + at)
}

/// What never ends an address, and opens and closes nothing.
fn is_dull(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        | matches!(byte, b'/' | b'.' | b'_' | b'~' | b'?' | b'=' | b'%' | b'&' | b'+')
}

/// Where an address ends.
fn end_of(text: &str, start: Start, opened: Option<char>, keyed: bool) -> usize {
    let (mut at, mut depth) = (start.rest, 0usize);
    let closes = opened.and_then(closing);
    loop {
        at += text.as_bytes()[at..].iter().take_while(|byte| is_dull(**byte)).count();
        let Some(c) = text[at..].chars().next() else { break };
        let after = at + c.len_utf8();
        if Some(c) == closes && c != '"' {
            let inside = is_quote(c) && text[after..].chars().next().is_some_and(char::is_alphanumeric);
            match depth {
                0 if !inside => return at,
                _ => depth = depth.saturating_sub(usize::from(!is_quote(c))),
            }
        } else if closes.is_some() && Some(c) == opened && !is_quote(c) {
            depth += 1;
        } else if ends_line(c)
            || matches!(c, '"' | '<' | '>' | '`' | '“' | '”' | '„' | '«' | '»')
            || (c == '\\' && text[after..].starts_with(['"', '\'', 'n', 'r']))
            || (c == '-' && text[at..].starts_with("-|-") && begins_next(&text[at + 3..], keyed))
        {
            return at;
        } else if c == ':'
            && let Some(end) = glued(text, start.at, at)
        {
            return end;
        } else if separates(c) {
            let rest = text[at..].trim_start_matches(separates);
            let run = &text[at..text.len() - rest.len()];
            if parts(&text[start.at..at], run, rest, opened, keyed) {
                return at;
            }
            at += run.len();
            continue;
        }
        at = after;
    }
    at
}

fn closing(opening: char) -> Option<char> {
    Some(match opening {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '\'' => '\'',
        '‘' => '’',
        '’' => '’',
        _ => return None,
    })
}

fn separates(c: char) -> bool {
    matches!(c, ',' | ';' | '|') || c.is_whitespace()
}

/// Whether a run of separators ends the address before it.
fn parts(before: &str, run: &str, rest: &str, opened: Option<char>, keyed: bool) -> bool {
    if rest.is_empty() || run.contains(ends_line) || begins_next(rest, keyed) {
        return true;
    }
    if opened.is_some_and(is_quote) && rest.contains(|c| Some(c) == opened) {
        return false;
    }
    let (mark, space) = (run.contains([',', ';', '|']), run.contains(char::is_whitespace));
    match (mark, space) {
        (true, space) => space,
        (false, _) => is_caption(before, rest),
    }
}

/// Whether a text after a space belongs to no address: after one that is whole, without another picture's name, or a size
/// as in `srcset`.
fn is_caption(before: &str, rest: &str) -> bool {
    let upto = rest.find(|c| matches!(c, ',' | ';' | '|') || ends_line(c)).unwrap_or(rest.len());
    let next = next_start(rest, 0).map_or(upto, |start| start.at.min(upto));
    let words = rest[..next]
        .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | ')' | ']' | '"' | '\''));
    if has_picture_ending(words.split(['?', '#']).next().unwrap_or(words)) {
        return false;
    }
    let whole = has_picture_ending(before.split(['?', '#']).next().unwrap_or(before));
    let size = words.trim_end_matches(['x', 'w']);
    let size = size.len() < words.len() && size.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    whole || size || words.starts_with(['!', '(', '[', '-', '–', '—', ':', '#', '"', '\''])
}

/// Whether the next address begins here, behind quotes, brackets and the like.
fn begins_next(rest: &str, keyed: bool) -> bool {
    let Some(start) = next_start(rest, 0) else { return false };
    let mut before =
        rest[..start.at].trim_end_matches(|c: char| !c.is_alphanumeric() && c != '=' && c != ':');
    if keyed && let Some(key) = before.strip_suffix('=') {
        before = key.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    }
    if let Some(label) = before.strip_suffix(':')
        && label.len() <= 16
        && label.chars().all(char::is_alphanumeric)
    {
        return true;
    }
    before.chars().all(|c| !c.is_alphanumeric() && !matches!(c, '=' | ':' | '/' | '.' | '&'))
}

/// Where an address ends whose neighbour follows without anything that separates, as in `a.jpg+http://`. `colon` is that of
/// a scheme within it.
fn glued(text: &str, start: usize, colon: usize) -> Option<usize> {
    let next = after_colon(text.as_bytes(), start, colon).filter(|next| !next.data && next.at > start)?;
    let before = &text[start..next.at];
    let address = before.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '=' | '/'));
    (has_picture_ending(address) && !address.contains('?')).then_some(start + address.len())
}

/// Without the punctuation that a sentence or a list leaves at its end.
fn tidied(text: &str, place: Range<usize>) -> Range<usize> {
    let mut address = &text[place.clone()];
    while let Some(last) = address.chars().next_back() {
        let unbalanced = |open: char| address.matches(last).count() > address.matches(open).count();
        let drops = match last {
            ')' => unbalanced('('),
            ']' => unbalanced('['),
            '}' => unbalanced('{'),
            '.' | ',' | ';' | ':' | '!' | '|' | '*' | '\'' | '\\' => true,
            c => c.is_whitespace() || is_invisible(c) || is_quote(c),
        };
        if !drops {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    place.start..place.start + address.len()
}

/// An address as it is meant: without what its cell's form adds to it.
pub(super) fn meant(written: &str) -> (Cow<'_, str>, Form) {
    let bytes = written.as_bytes();
    let host_alone =
        written.starts_with("//") || bytes.first().is_some_and(|byte| matches!(byte, b'w' | b'W'));
    let special = bytes.iter().any(|byte| matches!(byte, b'\\' | 0xC2 | 0xE2 | 0xEF))
        || memchr::memchr_iter(b'&', bytes).any(|at| matches!(bytes.get(at + 1), Some(b'a' | b'#')));
    let scheme = bytes.iter().take(6).any(|byte| *byte == b'%');
    if !host_alone && !special && !scheme {
        return (Cow::Borrowed(written), Form::Plain);
    }
    let (mut text, mut form) = (written.to_owned(), Form::Plain);
    if text.contains("\\/") {
        text = text.replace("\\/", "/").replace("\\u0026", "&");
        form = Form::Json;
    }
    while text.contains("&amp;") {
        text = text.replace("&amp;", "&");
        form = Form::Html;
    }
    for entity in ["&#38;", "&#x26;"] {
        if text.contains(entity) {
            text = text.replace(entity, "&");
            form = Form::Html;
        }
    }
    if text.contains(is_invisible) {
        text.retain(|c| !is_invisible(c) || matches!(c, '\u{200c}' | '\u{200d}'));
    }
    if scheme {
        text = unescaped_scheme(&text);
    }
    if text.starts_with("//") {
        text.insert_str(0, "https:");
    } else if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
        text.insert_str(0, "https://");
    }
    (Cow::Owned(text), form)
}

/// `http%3A//h%3A80/a` and `http%3A%2F%2Fh%2Fa` as they are meant.
fn unescaped_scheme(text: &str) -> String {
    let parted = text.split_once('%').and_then(|(scheme, after)| {
        Some((scheme, after.strip_prefix("3A").or_else(|| after.strip_prefix("3a"))?))
    });
    let Some((scheme, rest)) = parted else { return text.to_owned() };
    let Some(path) = rest.strip_prefix("//") else {
        return percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    };
    let (host, path) = path.split_at(path.find('/').unwrap_or(path.len()));
    let host = percent_encoding::percent_decode_str(host).decode_utf8_lossy();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(cell: &str) -> Vec<String> {
        let mut found = Vec::new();
        cut(cell, |address, _, _| found.push(address.into_owned()));
        found
    }

    #[test]
    fn a_percent_sign_that_begins_no_colon_stays() {
        for cell in ["//a,%", "//a%", "//a%\u{6feac}", "www.%a", "//%3", "//h%3/a.png", "//%41.example/a.png"]
        {
            let kept = meant(cell).0.into_owned();
            assert!(kept.ends_with(cell), "{cell}: {kept}");
        }
        assert_eq!(meant("http%3a//h%3A80/a").0, "http://h:80/a");
        assert_eq!(meant("https%3A%2F%2Fh%2Fa%20b").0, "https://h/a b");
    }

    #[test]
    fn each_separator_parts_before_an_address() {
        let both = ["http://a/1.png", "https://a/2.png"];
        for between in [
            ",", ", ", ",  ", ";", "; ", "|", " | ", " ", "  ", "\n", "\r\n", "\t", ",\n", " ,", ",,", ", ,",
            "\u{a0}", "-|-", "+", " + ", "\\n", "||", ";;", " - ", "<br>", "<br/>\n", "&", "##", "\",\"",
            "','", "')('", "\u{200b}",
        ] {
            assert_eq!(all(&both.join(between)), both, "{between:?}");
        }
    }

    #[test]
    fn marks_within_an_address_stay() {
        for address in [
            "http://a/w_200,h_300/x.jpg",
            "http://a/x?t=a|b",
            "http://a/my red cap 1.jpg",
            "http://a/Шапка [красная] (2).jpg",
            "http://a/cup;front;2.jpg",
            "http://a/cup|front|1.jpg",
            "http://a/123_High_Street,_London.jpg",
            "http://a/x?next=http://b/y",
            "http://a/CR36211,CR36212,CR36213.jpg",
            "http://a/x.jpg?a=1&b=2;c=3#top",
            "ftp://two.example/x.jpg",
            "http://a/(1).jpg",
            "http://a/O'Brien's.jpg",
            "data:image/png;base64,AAAA",
            "http://a/x.jpg;v=2",
            "http://[::1]/a.jpg",
            "HTTP://A/x.JPG",
        ] {
            assert_eq!(all(address), [address]);
            assert_eq!(all(&format!("{address}, http://b/c.jpg")), [address, "http://b/c.jpg"], "{address}");
            assert_eq!(all(&format!("\"{address}\"")), [address]);
            assert_eq!(all(&format!("x ({address})")), [address]);
        }
    }

    #[test]
    fn what_stands_around_an_address_is_not_part_of_it() {
        for cell in [
            "cap.jpg (http://a/1.png)",
            "=HYPERLINK(\"http://a/1.png\",\"Cap\")",
            "=IMAGE(\"http://a/1.png\")",
            "=IMAGE(\"http://a/1.png\";1)",
            "![Cap](http://a/1.png)",
            "![Cap](http://a/1.png \"a cap\")",
            "[Cap](http://a/1.png)",
            "<http://a/1.png>",
            "URL:http://a/1.png",
            "URL: http://a/1.png",
            "ITEMIMAGEURL1=http://a/1.png",
            "+http://a/1.png",
            "!http://a/1.png!",
            "http://a/1.png Front view",
            "http://a/1.png (front)",
            "http://a/1.png ! alt : cap ! title : red",
            "http://a/1.png.",
            "http://a/1.png,",
            "['http://a/1.png']",
            "{\"url\":\"http://a/1.png\",\"alt\":\"Cap\"}",
            "[\"http:\\/\\/a\\/1.png\"]",
            "http%3A//a/1.png",
            "http%3A%2F%2Fa%2F1.png",
            "\u{200b}http://a/1.png\u{200b}",
            "\u{feff}http://a/1.png",
            "“http://a/1.png”",
            "'http://a/1.png'",
            "\"http://a/1.png",
            "http://a/1.png\"",
            "Main: http://a/1.png; Front",
            "http://a/1.png 2x",
            "(http://a/1.png)",
            "http://a/1.png, pics/y.jpg",
            "front|http://a/1.png",
        ] {
            assert_eq!(all(cell), ["http://a/1.png"], "{cell}");
        }
        assert_eq!(all("http://a/x?w=1&amp;s=2"), ["http://a/x?w=1&s=2"]);
        assert_eq!(all("http://a/1.png 1x, http://a/2.png 2x"), ["http://a/1.png", "http://a/2.png"]);
        assert_eq!(all("A=http://a/1.png,B=http://a/2.png"), ["http://a/1.png", "http://a/2.png"]);
        assert_eq!(
            all("a.jpg (http://a/1.png),b.jpg (http://a/2.png)"),
            ["http://a/1.png", "http://a/2.png"]
        );
        assert_eq!(all("http%3A//127.0.0.1%3A80/a%20b.jpg"), ["http://127.0.0.1:80/a%20b.jpg"]);
    }

    #[test]
    fn hosts_without_a_scheme_are_https() {
        assert_eq!(all("//cdn.shop.example/a.jpg"), ["https://cdn.shop.example/a.jpg"]);
        assert_eq!(all("//h/a.jpg, //h/b.jpg"), ["https://h/a.jpg", "https://h/b.jpg"]);
        assert_eq!(
            all("www.shop.example/a.jpg;www.shop.example/b.jpg"),
            ["https://www.shop.example/a.jpg", "https://www.shop.example/b.jpg"]
        );
        for none in [
            "a//b.jpg",
            "C:\\a.jpg",
            "12:30",
            "a/b:c",
            "://a",
            "mailto:x",
            "pics/a.jpg",
            "// red",
            "",
            "é://x",
            "newww.jpg",
        ] {
            assert!(!holds_address(none), "{none}");
        }
    }

    #[test]
    fn places_are_where_addresses_are_written() {
        let cell = "x (http://a/1.png), <a href='http:\\/\\/a\\/2.png'>";
        let mut places = Vec::new();
        cut(cell, |_, place, form| places.push((&cell[place], form)));
        assert_eq!(places, [("http://a/1.png", Form::Plain), ("http:\\/\\/a\\/2.png", Form::Json)]);
    }
}
