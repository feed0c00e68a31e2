//! Where the fields of one record are, and where it ends.
//!
//! RFC 4180 with the leniences that readers agree on: any line end, a quote inside a bare field is literal, text
//! after a closing quote belongs to the field. Own code because `csv-core` keeps to itself what rows must tell:
//! the line of a record under any line end, whether a quote was still open at the end, and where the raw bytes
//! were, so that plain rows need no copy.

use std::ops::Range;

use memchr::{memchr, memchr3};

/// How far a quote after white space is followed to see whether it opens a field, in bytes.
const SPACED_QUOTE_BYTES: usize = 4096;

/// One field, as offsets from the start of its record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What is to be undone.
    pub(super) escapes: Escapes,
}

/// What a span holds beside its field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Nothing.
    Nothing,
    /// It begins at an opening quote; quotes within are doubled.
    Quotes,
    /// It begins at an opening quote; quotes within are doubled, or written `\"`.
    Backslashes,
}

impl Span {
    /// Appends the value of a span of this text.
    pub(super) fn push_value(&self, text: &str, value: &mut String) {
        let span = &text[self.start..self.end];
        match self.escapes {
            Escapes::Nothing => value.push_str(span),
            _ => {
                parts(span, self.escapes == Escapes::Backslashes).for_each(|part| value.push_str(&span[part]))
            }
        }
    }

    /// Where in the text a range of the value, which is not empty, is written.
    pub(super) fn locate_range(&self, text: &str, range: Range<usize>) -> Range<usize> {
        self.locate(text, range.start)..self.locate(text, range.end - 1) + 1
    }

    /// Where in the text a byte of the value is written.
    fn locate(&self, text: &str, place: usize) -> usize {
        if self.escapes == Escapes::Nothing {
            return self.start + place;
        }
        let mut passed = 0;
        let span = &text[self.start..self.end];
        for part in parts(span, self.escapes == Escapes::Backslashes) {
            if place < passed + part.len() {
                return self.start + part.start + (place - passed);
            }
            passed += part.len();
        }
        self.end
    }
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The record's content is `..content`, the next record begins at `next`.
    Whole { content: usize, next: usize },
    /// The bytes ended first, in this place.
    More(Place),
    /// The file ended within quotes.
    Unclosed,
}

/// Where in a record a scan stopped for want of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    FieldStart,
    Bare,
    Quoted,
    /// After a quote that may close the field or be the first half of two.
    AfterQuote,
}

/// The fields of the record that was scanned last; its buffer is used again.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) fields: Vec<Span>,
    /// Line breaks within quotes.
    pub(super) breaks: u64,
    /// A quoted field over several lines goes on after its closing quote: most likely two rows that a missing quote
    /// has fused.
    pub(super) fused: bool,
    /// Quotes within quotes are written `\"`, as some databases do.
    pub(super) backslash: bool,
}

impl Scan {
    /// Scans the record that starts at the first of `bytes`, which are all there are if `ended`.
    pub(super) fn record(&mut self, bytes: &[u8], delimiter: u8, ended: bool) -> Outcome {
        self.fields.clear();
        self.breaks = 0;
        self.fused = false;
        let mut at = 0;
        loop {
            let (span, stop) = match self.field(bytes, at, delimiter, ended) {
                Ok(found) => found,
                Err(outcome) => return outcome,
            };
            match bytes.get(stop) {
                Some(byte) if *byte == delimiter => at = stop + 1,
                Some(b'\n') => return self.whole(span, stop, stop + 1),
                Some(_) => match bytes.get(stop + 1) {
                    Some(b'\n') => return self.whole(span, stop, stop + 2),
                    None if !ended => return Outcome::More(Place::Bare),
                    _ => return self.whole(span, stop, stop + 1),
                },
                None if ended => return self.whole(span, stop, stop),
                None if stop == at => return Outcome::More(Place::FieldStart),
                None => return Outcome::More(Place::Bare),
            }
            self.fields.push(span);
        }
    }

    fn whole(&mut self, last: Span, content: usize, next: usize) -> Outcome {
        self.fields.push(last);
        Outcome::Whole { content, next }
    }

    /// The field at `at`, and where it stops: at a delimiter, a line end or the end of the bytes.
    fn field(
        &mut self,
        bytes: &[u8],
        at: usize,
        delimiter: u8,
        ended: bool,
    ) -> Result<(Span, usize), Outcome> {
        let opening = match bytes.get(at) {
            Some(b'"') => Some(at),
            Some(byte) if is_space(*byte, delimiter) => spaced_quote(bytes, at, delimiter, ended)?,
            _ => None,
        };
        let Some(opening) = opening else {
            let stop = stop_from(bytes, at, delimiter);
            return Ok((Span { start: at, end: stop, escapes: Escapes::Nothing }, stop));
        };
        let (close, doubled) = closing_quote(bytes, opening + 1, ended, self.backslash)?;
        let stop = stop_from(bytes, close + 1, delimiter);
        let breaks = count_breaks(&bytes[opening..close]);
        self.breaks += breaks;
        self.fused |= breaks > 0 && bytes[close + 1..stop].iter().any(|byte| !is_space(*byte, delimiter));
        if doubled || stop > close + 1 {
            let escapes = if self.backslash { Escapes::Backslashes } else { Escapes::Quotes };
            Ok((Span { start: opening, end: stop, escapes }, stop))
        } else {
            Ok((Span { start: opening + 1, end: close, escapes: Escapes::Nothing }, stop))
        }
    }
}

fn is_space(byte: u8, delimiter: u8) -> bool {
    (byte == b' ' || byte == b'\t') && byte != delimiter
}

fn stop_from(bytes: &[u8], at: usize, delimiter: u8) -> usize {
    memchr3(delimiter, b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |offset| at + offset)
}

/// The quote that closes a field whose text starts at `from`, and whether doubled quotes come before it.
fn closing_quote(bytes: &[u8], from: usize, ended: bool, backslash: bool) -> Result<(usize, bool), Outcome> {
    let mut at = from;
    loop {
        let Some(offset) = memchr(b'"', &bytes[at..]) else {
            return Err(if ended { Outcome::Unclosed } else { Outcome::More(Place::Quoted) });
        };
        let quote = at + offset;
        if backslash && is_escaped(&bytes[from..quote]) {
            at = quote + 1;
            continue;
        }
        match bytes.get(quote + 1) {
            Some(b'"') => at = quote + 2,
            None if !ended => return Err(Outcome::More(Place::AfterQuote)),
            _ => return Ok((quote, at > from)),
        }
    }
}

/// Whether what follows these bytes is escaped: by an odd number of backslashes.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The opening quote of a field that begins with white space, as in `1, "Mug, large"`, if its text is closed nearby
/// as one should be, right before a delimiter or a line end. Otherwise the quote is literal.
fn spaced_quote(bytes: &[u8], at: usize, delimiter: u8, ended: bool) -> Result<Option<usize>, Outcome> {
    let more = Err(Outcome::More(Place::Bare));
    let after_space =
        |from: usize| from + bytes[from..].iter().take_while(|b| is_space(**b, delimiter)).count();
    let opening = after_space(at);
    match bytes.get(opening) {
        Some(b'"') => {}
        None if !ended => return more,
        _ => return Ok(None),
    }
    let near = bytes.len().min(opening + SPACED_QUOTE_BYTES);
    let in_sight = near < bytes.len() || ended;
    let close = match closing_quote(&bytes[..near], opening + 1, in_sight, false) {
        Ok((close, _)) => close,
        Err(Outcome::Unclosed) => return Ok(None),
        Err(_) => return more,
    };
    match bytes.get(after_space(close + 1)) {
        Some(byte) if *byte == delimiter || *byte == b'\n' || *byte == b'\r' => Ok(Some(opening)),
        None if !ended => more,
        None => Ok(Some(opening)),
        Some(_) => Ok(None),
    }
}

/// Line breaks in a text, where CR LF is one.
pub(super) fn count_breaks(bytes: &[u8]) -> u64 {
    let ends = memchr::memchr2_iter(b'\n', b'\r', bytes);
    ends.filter(|at| bytes[*at] == b'\r' || *at == 0 || bytes[*at - 1] != b'\r').count() as u64
}

/// The parts of a span that begins at an opening quote which make up its value: quotes undone, what follows the closing
/// quote as it is.
fn parts(span: &str, backslash: bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = span.as_bytes();
    let (mut at, mut look, mut closed, mut ended) = (1, 1, false, false);
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let quote = if closed { None } else { memchr(b'"', &bytes[look..]).map(|offset| look + offset) };
        let Some(quote) = quote else {
            ended = true;
            return Some(at..bytes.len());
        };
        let from = at;
        if backslash && is_escaped(&bytes[1..quote]) {
            (at, look) = (quote, quote + 1);
            return Some(from..quote - 1);
        }
        if bytes.get(quote + 1) == Some(&b'"') {
            (at, look) = (quote + 2, quote + 2);
            return Some(from..quote + 1);
        }
        closed = true;
        at = quote + 1;
        Some(from..quote)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<String> {
        let mut scan = Scan::default();
        let outcome = scan.record(text.as_bytes(), b',', true);
        assert!(matches!(outcome, Outcome::Whole { .. }), "{outcome:?}");
        values(&scan, text)
    }

    /// Each value, of which every place is found in the text again.
    fn values(scan: &Scan, text: &str) -> Vec<String> {
        let value = |span: &Span| {
            let mut value = String::new();
            span.push_value(text, &mut value);
            for (place, letter) in value.char_indices() {
                assert!(text[span.locate(text, place)..].starts_with(letter), "{text:?} {value:?} {place}");
            }
            value
        };
        scan.fields.iter().map(value).collect()
    }

    #[test]
    fn quotes_behind_backslashes_are_undone_where_a_file_writes_them() {
        let text = r#""See <a href=\"x\">ours, all</a>","a ""b""","\"c\"",C:\x,"end\\""#;
        let mut scan = Scan { backslash: true, ..Scan::default() };
        let outcome = scan.record(text.as_bytes(), b',', true);
        assert!(matches!(outcome, Outcome::Whole { .. }), "{outcome:?}");
        assert_eq!(
            values(&scan, text),
            [r#"See <a href="x">ours, all</a>"#, "a \"b\"", "\"c\"", "C:\\x", "end\\\\"]
        );
    }

    #[test]
    fn quotes_are_undone_as_rfc_4180_says() {
        assert_eq!(fields("a,,b"), ["a", "", "b"]);
        assert_eq!(fields("a,"), ["a", ""]);
        assert_eq!(fields("\"a,b\",\"\"\"c\"\"\",\"\""), ["a,b", "\"c\"", ""]);
        assert_eq!(fields("\"a\nb\",\"\""), ["a\nb", ""]);
        assert_eq!(fields("\"ha \"\"ha\"\" ha\""), ["ha \"ha\" ha"]);
    }

    #[test]
    fn stray_quotes_are_literal() {
        assert_eq!(fields("Mug 5\" tall,x"), ["Mug 5\" tall", "x"]);
        assert_eq!(fields("\"Mug\" big,x"), ["Mug big", "x"]);
        assert_eq!(fields("\"Mug 5\" tall\",x"), ["Mug 5 tall\"", "x"]);
        assert_eq!(fields(" \"best\" mug,x"), [" \"best\" mug", "x"]);
        assert_eq!(fields(" \"best mug,x"), [" \"best mug", "x"]);
        assert_eq!(fields(&format!(" \"{}\",x", "y".repeat(5000)))[0].len(), 5003);
    }

    #[test]
    fn white_space_may_stand_before_an_opening_quote() {
        assert_eq!(fields("1, \"Mug, large\" , \"a\nb\""), ["1", "Mug, large ", "a\nb"]);
    }

    #[test]
    fn each_line_end_ends_a_record() {
        for (text, next) in [("a\nb", 2), ("a\rb", 2), ("a\r\nb", 3), ("a", 1)] {
            let outcome = Scan::default().record(text.as_bytes(), b',', true);
            assert_eq!(outcome, Outcome::Whole { content: 1, next }, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_all_there_is_asked_for() {
        let place = |text: &str| match Scan::default().record(text.as_bytes(), b',', false) {
            Outcome::More(place) => place,
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(place(""), Place::FieldStart);
        assert_eq!(place("a,"), Place::FieldStart);
        assert_eq!(place("a,b"), Place::Bare);
        assert_eq!(place("a\r"), Place::Bare);
        assert_eq!(place("a,\"b"), Place::Quoted);
        assert_eq!(place("a,\"b\""), Place::AfterQuote);
        assert_eq!(place("a, "), Place::Bare);
        assert_eq!(place("a, \"b"), Place::Bare);
        assert_eq!(place("a, \"b\" "), Place::Bare);
        assert_eq!(Scan::default().record(b"a,\"b", b',', true), Outcome::Unclosed);
    }

    #[test]
    fn rows_fused_by_a_missing_quote_are_noticed() {
        let fused = |text: &str| {
            let mut scan = Scan::default();
            scan.record(text.as_bytes(), b',', true);
            scan.fused
        };
        assert!(fused("2,\"Cup,x\n3,\"Jug\",y\n"));
        assert!(!fused("2,\"Cup\" big,x\n3,\"Jug\",y\n"));
        assert!(!fused("2,\"Cup\nbig\" ,x\n"));
    }

    #[test]
    fn line_breaks_are_counted_whatever_they_are_made_of() {
        assert_eq!(count_breaks(b"a\nb\rc\r\nd\n\re\r\r\n"), 7);
        assert_eq!(count_breaks(b""), 0);
    }
}
