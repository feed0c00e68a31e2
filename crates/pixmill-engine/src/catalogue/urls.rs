//! One cell, many addresses.
//!
//! Addresses may hold commas, pipes and even spaces themselves (`w_200,h_300/x.jpg`), so these part for certain
//! only where nothing else makes sense: before a scheme, or in a cell where no address has one.

/// The addresses of a row in their order, in one buffer so that a reader can fill it again and again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Urls {
    text: String,
    ends: Vec<usize>,
}

impl Urls {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when the row has no address.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The address at a position, from 0.
    pub fn get(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)?;
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        Some(&self.text[start..end])
    }

    /// Each address as it was in the cell, without the quotes around it.
    pub fn iter(&self) -> UrlsIter<'_> {
        UrlsIter { urls: self, position: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, piece: &str) {
        let piece = bare(piece);
        if !piece.is_empty() {
            self.text.push_str(piece);
            self.ends.push(self.text.len());
        }
    }

    /// Replaces the addresses by those of a cell.
    pub(super) fn read_cell(&mut self, cell: &str) {
        self.clear();
        let cell = cell.trim();
        if !cell.bytes().fold(false, |found, byte| found | may_part(byte)) {
            return self.push(cell);
        }
        let schemeless = !pieces(cell, |_| true).any(begins_with_scheme);
        for piece in pieces(cell, |parting| schemeless || parting.is_certain() || parting.before_scheme) {
            self.push(piece);
        }
    }
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

/// What stands between two pieces: a run of white space, commas and pipes.
#[derive(Default)]
struct Parting {
    newline: bool,
    space: bool,
    mark: bool,
    before_scheme: bool,
}

impl Parting {
    /// Parts whatever comes next.
    fn is_certain(&self) -> bool {
        self.newline || (self.mark && self.space)
    }
}

/// A quick look: false for every byte of a cell means that the cell is one piece. Bytes beyond ASCII may belong to
/// white space of Unicode.
fn may_part(byte: u8) -> bool {
    (byte <= b' ') | (byte == b',') | (byte == b'|') | (byte >= 0x80)
}

fn parts(c: char) -> bool {
    c == ',' || c == '|' || c.is_whitespace()
}

/// The pieces of a cell, parted at each run of separators that `decides` to.
fn pieces(cell: &str, decides: impl Fn(&Parting) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(cell);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut at = 0;
        while let Some(from) = text[at..].find(parts).map(|offset| at + offset) {
            let after = text[from..].trim_start_matches(parts);
            let to = text.len() - after.len();
            let mut parting = Parting { before_scheme: begins_with_scheme(after), ..Parting::default() };
            for c in text[from..to].chars() {
                parting.mark |= c == ',' || c == '|';
                parting.newline |=
                    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
                parting.space |= c.is_whitespace();
            }
            // What trails a cell, and what leads it, parts nothing from something.
            if from == 0 || after.is_empty() || decides(&parting) {
                rest = Some(after);
                return Some(&text[..from]);
            }
            at = to;
        }
        rest = None;
        Some(text)
    })
}

/// Whether a text starts like an absolute address, quotes aside: `scheme://`, or `data:`. A letter alone is a
/// Windows drive.
pub(super) fn begins_with_scheme(text: &str) -> bool {
    let text = text.trim_start().trim_start_matches(is_quote).trim_start();
    let Some(colon) = memchr::memchr(b':', &text.as_bytes()[..text.len().min(MAX_SCHEME_BYTES)]) else {
        return false;
    };
    let (scheme, rest) = (&text.as_bytes()[..colon], &text[colon + 1..]);
    let named = colon > 1
        && scheme[0].is_ascii_alphabetic()
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    named && (rest.starts_with("//") || scheme.eq_ignore_ascii_case(b"data"))
}

/// No scheme anyone uses for pictures is longer; bounds the look at each piece.
const MAX_SCHEME_BYTES: usize = 32;

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '`')
}

/// A piece without white space and quotes around it. A quote on one side alone is dropped from absolute addresses
/// only: a file's name may begin with an apostrophe.
fn bare(piece: &str) -> &str {
    let mut piece = piece.trim();
    while let (Some(first), Some(last)) = (piece.chars().next(), piece.chars().next_back()) {
        let paired = piece.len() > first.len_utf8() && is_quote(first) && is_quote(last);
        if paired {
            piece = piece[first.len_utf8()..piece.len() - last.len_utf8()].trim();
        } else if is_quote(first) && begins_with_scheme(piece) {
            piece = piece.trim_start_matches(is_quote).trim_start();
        } else if last == '"' && begins_with_scheme(piece) {
            piece = piece[..piece.len() - 1].trim_end();
        } else {
            break;
        }
    }
    if matches!(piece, "\"" | "'") { "" } else { piece }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(cell: &str) -> Vec<String> {
        let mut urls = Urls::default();
        urls.read_cell(cell);
        assert_eq!(urls.iter().len(), urls.len());
        assert_eq!(urls.is_empty(), urls.iter().next().is_none());
        urls.iter().map(str::to_owned).collect()
    }

    #[test]
    fn each_separator_parts_before_a_scheme() {
        let both = ["http://a/1.png", "https://a/2.png"];
        for between in
            [",", ", ", ",  ", "|", " | ", " ", "  ", "\n", "\r\n", "\t", ",\n", " ,", ",,", ", ,", "\u{a0}"]
        {
            assert_eq!(split(&both.join(between)), both, "{between:?}");
        }
    }

    #[test]
    fn marks_within_an_address_stay() {
        assert_eq!(
            split("http://a/w_200,h_300/x.jpg, http://a/w_1,h_2/y.jpg,http://a/z.jpg"),
            ["http://a/w_200,h_300/x.jpg", "http://a/w_1,h_2/y.jpg", "http://a/z.jpg"]
        );
        assert_eq!(split("http://a/x?t=a|b|http://a/y"), ["http://a/x?t=a|b", "http://a/y"]);
        assert_eq!(split("http://a/my mug.jpg http://a/b.jpg"), ["http://a/my mug.jpg", "http://a/b.jpg"]);
        assert_eq!(split("http://a/x?next=http://b/y"), ["http://a/x?next=http://b/y"]);
        assert_eq!(split("data:image/png;base64,AAAA"), ["data:image/png;base64,AAAA"]);
    }

    #[test]
    fn a_comma_with_white_space_and_a_newline_part_whatever_follows() {
        assert_eq!(split("http://a/x.jpg, pics/y.jpg"), ["http://a/x.jpg", "pics/y.jpg"]);
        assert_eq!(split("http://a/x.jpg\npics/y.jpg"), ["http://a/x.jpg", "pics/y.jpg"]);
        assert_eq!(split("http://a/x.jpg | pics/y.jpg"), ["http://a/x.jpg", "pics/y.jpg"]);
    }

    #[test]
    fn a_cell_without_schemes_parts_everywhere() {
        assert_eq!(split("a.jpg,b.jpg|c.jpg d.jpg\ne.jpg"), ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]);
        assert_eq!(split("C:\\a.jpg,D:\\b.jpg"), ["C:\\a.jpg", "D:\\b.jpg"]);
    }

    #[test]
    fn empty_pieces_and_padding_are_dropped() {
        assert_eq!(split(",http://a/1, ,http://a/2,,"), ["http://a/1", "http://a/2"]);
        assert_eq!(split("  http://a/1  "), ["http://a/1"]);
        assert_eq!(split("a.jpg,"), ["a.jpg"]);
        for nothing in ["", "  ", ",", " , | ", "\"\"", "''", "\n", "\""] {
            assert_eq!(split(nothing), Vec::<String>::new(), "{nothing:?}");
        }
    }

    #[test]
    fn quotes_around_an_address_are_dropped() {
        assert_eq!(split("'http://a/1', 'http://a/2'"), ["http://a/1", "http://a/2"]);
        assert_eq!(split("\"http://a/1\",\"http://a/2\""), ["http://a/1", "http://a/2"]);
        assert_eq!(split("“http://a/1”"), ["http://a/1"]);
        assert_eq!(split("'a.jpg','b.jpg'"), ["a.jpg", "b.jpg"]);
        assert_eq!(split("\"http://a/1"), ["http://a/1"]);
        assert_eq!(split("http://a/1\""), ["http://a/1"]);
        assert_eq!(split("'tis.jpg"), ["'tis.jpg"]);
    }

    #[test]
    fn schemes_are_told_from_drives_and_times() {
        for yes in ["http://a", "HTTP://a", " 'https://a", "ftp://a", "svn+ssh://a", "data:x"] {
            assert!(begins_with_scheme(yes), "{yes}");
        }
        for no in ["C:\\a", "12:30", "a/b:c", "://a", "mailto:x", "//cdn/a", "", "é://x"] {
            assert!(!begins_with_scheme(no), "{no}");
        }
    }

    #[test]
    fn a_buffer_filled_again_holds_only_the_last_cell() {
        let mut urls = Urls::default();
        urls.read_cell("a.jpg,b.jpg");
        urls.read_cell("c.jpg");
        assert_eq!(urls.get(0), Some("c.jpg"));
        assert_eq!(urls.get(1), None);
        urls.read_cell("");
        assert!(urls.is_empty());
    }
}
