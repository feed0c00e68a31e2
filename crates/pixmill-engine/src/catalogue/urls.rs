//! The picture cells of a row, and the addresses in them.

use std::borrow::Cow;
use std::ops::Range;

use url::Url;

use super::cut::{Form, begins_address, cut, ends_line, holds_address, is_invisible, is_quote, meant};
use super::forms::{self, Quoted};
use super::looks::{begins_with_host, has_picture_ending, is_placeholder};

/// The addresses of a row in their order, in one buffer so that a reader can fill it again and again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Urls {
    text: String,
    pieces: Vec<Piece>,
    placeholders: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Where its text ends.
    end: usize,
    place: Place,
}

/// Where an address is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The column, from 0.
    pub(super) column: usize,
    /// In the cell's value.
    pub(super) at: Range<usize>,
    /// How.
    pub(super) form: Form,
}

/// How a column's cells are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// The column, from 0.
    pub(super) column: usize,
    /// Nothing but its name says that it holds pictures: a word alone is none.
    pub(super) strict: bool,
    /// What paths are put behind.
    pub(super) base: Option<&'a Url>,
}

impl Urls {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// True when the row has no address.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The address at a position, from 0.
    pub fn get(&self, position: usize) -> Option<&str> {
        let end = self.pieces.get(position)?.end;
        let start = if position == 0 { 0 } else { self.pieces[position - 1].end };
        Some(&self.text[start..end])
    }

    /// The column, from 0, of the address at a position.
    pub fn column(&self, position: usize) -> Option<usize> {
        self.pieces.get(position).map(|piece| piece.place.column)
    }

    /// Each address as it is meant.
    pub fn iter(&self) -> UrlsIter<'_> {
        UrlsIter { urls: self, position: 0 }
    }

    /// Where the address at a position is written.
    pub(super) fn place(&self, position: usize) -> Option<&Place> {
        self.pieces.get(position).map(|piece| &piece.place)
    }

    /// Cells, or parts of cells, that said that there is no picture.
    pub(super) fn placeholders(&self) -> u32 {
        self.placeholders
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.pieces.clear();
        self.placeholders = 0;
    }

    /// Appends the addresses of a cell.
    pub(super) fn read_cell(&mut self, cell: &str, reading: Reading<'_>) {
        if is_plain_address(cell) {
            return self.push(cell, 0..cell.len(), Form::Plain, reading);
        }
        if self.read_plain(cell, reading) {
            return;
        }
        let trimmed = cell.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        if trimmed.is_empty() {
            return;
        }
        if is_placeholder(trimmed) {
            self.placeholders += 1;
            return;
        }
        let from = offset(cell, trimmed);
        let quoted =
            forms::json(trimmed).or_else(|| forms::html(trimmed)).or_else(|| forms::formula(trimmed));
        if quoted.is_some_and(|quoted| self.read_quoted(trimmed, &quoted, from, reading)) {
            return;
        }
        if holds_address(trimmed) {
            cut(trimmed, |address, place, form| {
                self.push(&address, from + place.start..from + place.end, form, reading)
            });
        } else {
            self.read_paths(trimmed, from, reading);
        }
    }

    /// A quick look: a cell of nothing but plain addresses and what parts them, as most are. Appends nothing of any other.
    fn read_plain(&mut self, cell: &str, reading: Reading<'_>) -> bool {
        let (bytes, before) = (cell.as_bytes(), (self.text.len(), self.pieces.len()));
        let mut at = 0;
        while let Some(end) = plain_address(bytes, at) {
            self.push(&cell[at..end], at..end, Form::Plain, reading);
            let rest = &bytes[end..];
            let run =
                rest.iter().take_while(|byte| matches!(byte, b',' | b';' | b'|' | b' ' | b'\n')).count();
            at = end + run;
            if at == bytes.len() {
                return true;
            }
        }
        self.text.truncate(before.0);
        self.pieces.truncate(before.1);
        false
    }

    /// Whether the texts of a form hold addresses, which are appended.
    fn read_quoted(&mut self, cell: &str, quoted: &[Quoted<'_>], from: usize, reading: Reading<'_>) -> bool {
        let before = self.len();
        for quoted in quoted.iter().filter(|quoted| !quoted.is_other) {
            let text = quoted.text.trim();
            let written = cell.get(quoted.place.clone()).unwrap_or("");
            let skipped = written.len() - written.trim_start().len();
            let start = from + quoted.place.start + skipped;
            let place = start..start + written.trim().len();
            let form = match () {
                () if written.contains("\\/") => Form::Json,
                () if written.contains("&amp;") => Form::Html,
                () => Form::Plain,
            };
            if text.is_empty() || is_placeholder(text) {
                self.placeholders += 1;
            } else if begins_address(text) {
                // A list within a string, of which each part has a place.
                let mut parts = Vec::new();
                cut(text, |address, at, form| parts.push((address, at, form)));
                match (parts.as_slice(), &quoted.text) {
                    ([_, _, ..], Cow::Borrowed(_)) => {
                        for (address, at, form) in parts {
                            self.push(&address, start + at.start..start + at.end, form, reading);
                        }
                    }
                    _ => self.push(&meant(text).0, place, form, reading),
                }
            } else if has_picture_ending(text)
                || begins_with_host(text)
                || (text.starts_with('/') && text.len() > 1)
            {
                self.push_path(text, place, form, reading);
            }
        }
        self.len() > before
    }

    /// A cell without any scheme: paths, and hosts without one.
    fn read_paths(&mut self, cell: &str, from: usize, reading: Reading<'_>) {
        for piece in paths(cell) {
            let text = bare(&cell[piece.clone()]);
            if text.is_empty() {
                continue;
            }
            if is_placeholder(text) {
                self.placeholders += 1;
                continue;
            }
            let start = from + offset(cell, text);
            let place = start..start + text.len();
            let is_word = !text.contains(['/', '\\']) && !has_picture_ending(text);
            if reading.strict && is_word {
                self.placeholders += 1;
            } else {
                self.push_path(text, place, Form::Plain, reading);
            }
        }
    }

    fn push_path(&mut self, path: &str, place: Range<usize>, form: Form, reading: Reading<'_>) {
        if begins_with_host(path) {
            return self.push(&format!("https://{path}"), place, form, reading);
        }
        match reading.base {
            Some(base) => self.push(&below(base, path), place, form, reading),
            None => self.push(path, place, form, reading),
        }
    }

    fn push(&mut self, address: &str, at: Range<usize>, form: Form, reading: Reading<'_>) {
        self.text.push_str(address);
        self.pieces.push(Piece { end: self.text.len(), place: Place { column: reading.column, at, form } });
    }
}

/// A path below an address. One that begins with what the address ends with is not put there twice.
fn below(base: &Url, path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches("./").trim_start_matches('/');
    let root = base.path().trim_matches('/');
    let path = match path.strip_prefix(root) {
        Some(rest) if !root.is_empty() && rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    };
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

impl<'a> IntoIterator for &'a Urls {
    type Item = &'a str;
    type IntoIter = UrlsIter<'a>;

    fn into_iter(self) -> UrlsIter<'a> {
        self.iter()
    }
}

/// The addresses of a row, one after the other.
#[derive(Debug, Clone)]
pub struct UrlsIter<'a> {
    urls: &'a Urls,
    position: usize,
}

impl<'a> Iterator for UrlsIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let url = self.urls.get(self.position)?;
        self.position += 1;
        Some(url)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.urls.len() - self.position;
        (left, Some(left))
    }
}

impl ExactSizeIterator for UrlsIter<'_> {}

/// A quicker look: one address alone.
fn is_plain_address(cell: &str) -> bool {
    let Some(rest) = cell.strip_prefix("http").map(|rest| rest.strip_prefix('s').unwrap_or(rest)) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix("://") else { return false };
    let plain = rest.bytes().fold(true, |plain, byte| plain & is_plain(byte));
    plain && rest.bytes().next_back().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Where a plain address ends that begins here: one that ends at what parts addresses or with the cell, and in which nothing is
/// to be undone.
fn plain_address(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?.strip_prefix(b"http")?;
    let rest = rest.strip_prefix(b"s").unwrap_or(rest).strip_prefix(b"://")?;
    let begins = bytes.len() - rest.len();
    let mut at = begins;
    while let Some(byte) = bytes.get(at) {
        let plain = match byte {
            byte if is_plain(*byte) => true,
            // Not `&amp;` and the like.
            b'&' => !matches!(bytes.get(at + 1), Some(b'a' | b'#')),
            // A port.
            b':' => bytes.get(at + 1).is_some_and(u8::is_ascii_digit),
            b',' | b';' | b'|' | b' ' | b'\n' => break,
            _ => false,
        };
        if !plain {
            return None;
        }
        at += 1;
    }
    (at > begins && bytes[at - 1].is_ascii_alphanumeric()).then_some(at)
}

/// What neither parts addresses nor may be part of what surrounds them.
// A call for each byte would take half the time of reading a catalogue.
#[inline(always)]
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        | matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~' | b'?' | b'=' | b'%' | b'#' | b'@' | b'$')
}

/// Where in a text a part of it begins.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

fn is_mark(c: char) -> bool {
    matches!(c, ',' | ';' | '|') || ends_line(c)
}

/// The pieces of a cell without schemes: parted at every mark; at white space only after a picture's name, for names of
/// files hold it too. What follows such a name and is none itself is a caption.
fn paths(cell: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for part in cell.split(is_mark) {
        let end = start + part.len();
        let mut from = start;
        let words = part.match_indices(char::is_whitespace).map(|(at, _)| start + at).chain([end]);
        for at in words {
            if has_picture_ending(bare(&cell[from..at])) {
                pieces.push(from..at);
                from = at;
            }
        }
        if from == start {
            pieces.push(start..end);
        }
        start = end + cell[end..].chars().next().map_or(0, char::len_utf8);
    }
    pieces
}

/// A piece without white space, brackets and quotes around it, and the signs that some shops put before it. A quote on one
/// side alone stays: a file's name may begin with an apostrophe.
fn bare(piece: &str) -> &str {
    let mut piece = piece.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    loop {
        let (Some(first), Some(last)) = (piece.chars().next(), piece.chars().next_back()) else {
            return piece;
        };
        let paired = piece.len() > first.len_utf8()
            && ((is_quote(first) && is_quote(last))
                || matches!((first, last), ('[', ']') | ('(', ')') | ('{', '}') | ('<', '>')));
        let opened = (first == '[' && !piece.contains(']'))
            || (first == '"' && piece.matches('"').count() == 1)
            || first == '+';
        let closed =
            (last == ']' && !piece.contains('[')) || (last == '"' && piece.matches('"').count() == 1);
        if paired {
            piece = piece[first.len_utf8()..piece.len() - last.len_utf8()].trim();
        } else if opened {
            piece = piece[first.len_utf8()..].trim_start();
        } else if closed {
            piece = piece[..piece.len() - last.len_utf8()].trim_end();
        } else {
            return piece;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading<'static> = Reading { column: 0, strict: false, base: None };

    fn read(cell: &str, reading: Reading<'_>) -> (Vec<String>, u32) {
        let mut urls = Urls::default();
        urls.read_cell(cell, reading);
        assert_eq!(urls.iter().len(), urls.len());
        assert_eq!(urls.is_empty(), urls.iter().next().is_none());
        for position in 0..urls.len() {
            assert!(cell.get(urls.place(position).unwrap().at.clone()).is_some(), "{cell}");
        }
        (urls.iter().map(str::to_owned).collect(), urls.placeholders())
    }

    fn split(cell: &str) -> Vec<String> {
        read(cell, PLAIN).0
    }

    #[test]
    fn a_cell_without_schemes_parts_at_every_mark() {
        assert_eq!(
            split("a.jpg,b.jpg|c.jpg d.jpg\ne.jpg;f.jpg"),
            ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"]
        );
        assert_eq!(split("C:\\a.jpg,D:\\b.jpg"), ["C:\\a.jpg", "D:\\b.jpg"]);
        assert_eq!(split("My Shop/cap 1.jpg"), ["My Shop/cap 1.jpg"]);
        assert_eq!(split("My Shop/cap 1.jpg My Shop/cap 2.jpg"), ["My Shop/cap 1.jpg", "My Shop/cap 2.jpg"]);
        assert_eq!(split("cap.jpg (front)"), ["cap.jpg"]);
        assert_eq!(split("[\"a.jpg\", \"b.jpg\"]"), ["a.jpg", "b.jpg"]);
        assert_eq!(split("[a.jpg, b.jpg]"), ["a.jpg", "b.jpg"]);
        assert_eq!(split("=HYPERLINK(\"pics/a.jpg\",\"Cap\")"), ["pics/a.jpg"]);
        assert_eq!(split("<img src=\"/a.jpg\">"), ["/a.jpg"]);
        assert_eq!(split("+/a/b.jpg"), ["/a/b.jpg"]);
        assert_eq!(split("shop.example/a.jpg"), ["https://shop.example/a.jpg"]);
    }

    #[test]
    fn empty_pieces_and_padding_are_dropped() {
        assert_eq!(split(",http://a/1, ,http://a/2,,"), ["http://a/1", "http://a/2"]);
        assert_eq!(split("  http://a/1  "), ["http://a/1"]);
        assert_eq!(split("a.jpg,"), ["a.jpg"]);
        for nothing in ["", "  ", ",", " , | ", "\"\"", "''", "\n", "\"", "\u{200b}"] {
            assert_eq!(split(nothing), Vec::<String>::new(), "{nothing:?}");
        }
    }

    #[test]
    fn quotes_around_a_path_are_dropped() {
        assert_eq!(split("'a.jpg','b.jpg'"), ["a.jpg", "b.jpg"]);
        assert_eq!(split("'tis.jpg"), ["'tis.jpg"]);
        assert_eq!(split("'http://a/1', 'http://a/2'"), ["http://a/1", "http://a/2"]);
    }

    #[test]
    fn placeholders_are_counted() {
        assert_eq!(read("N/A", PLAIN), (vec![], 1));
        assert_eq!(read("a.jpg, null", PLAIN), (vec!["a.jpg".to_owned()], 1));
        assert_eq!(read("[\"\", \"http://a/1.png\"]", PLAIN), (vec!["http://a/1.png".to_owned()], 1));
        assert_eq!(read("", PLAIN), (vec![], 0));
        let strict = Reading { strict: true, ..PLAIN };
        assert_eq!(read("Front", strict), (vec![], 1));
        assert_eq!(read("front.jpg", strict).0, ["front.jpg"]);
        assert_eq!(read("http://a/x", strict).0, ["http://a/x"]);
        assert_eq!(read("Front", PLAIN).0, ["Front"]);
    }

    #[test]
    fn paths_are_put_behind_a_base() {
        let base = Url::parse("https://shop.example/media/").unwrap();
        let based = Reading { base: Some(&base), ..PLAIN };
        for path in ["/a/b.jpg", "a/b.jpg", "a\\b.jpg", "./a/b.jpg", "/media/a/b.jpg"] {
            assert_eq!(read(path, based).0, ["https://shop.example/media/a/b.jpg"], "{path}");
        }
        assert_eq!(read("http://b/c.jpg", based).0, ["http://b/c.jpg"]);
    }

    #[test]
    fn pages_in_json_are_left_out() {
        let cell = r#"[{"url":"http://a/1.png","permalink":"http://a/p/1"},{"url":"http://a/2.png"}]"#;
        assert_eq!(split(cell), ["http://a/1.png", "http://a/2.png"]);
        assert_eq!(
            split("[\"http:\\/\\/a\\/1.png\",\"http:\\/\\/a\\/my 2.png\"]"),
            ["http://a/1.png", "http://a/my 2.png"]
        );
    }

    #[test]
    fn a_buffer_filled_again_holds_only_the_last_cells() {
        let mut urls = Urls::default();
        urls.read_cell("a.jpg,b.jpg", PLAIN);
        urls.clear();
        urls.read_cell("c.jpg", PLAIN);
        urls.read_cell("http://a/1.png", Reading { column: 3, ..PLAIN });
        assert_eq!((urls.get(0), urls.get(1), urls.get(2)), (Some("c.jpg"), Some("http://a/1.png"), None));
        assert_eq!((urls.column(0), urls.column(1)), (Some(0), Some(3)));
        urls.clear();
        assert!(urls.is_empty());
    }
}
