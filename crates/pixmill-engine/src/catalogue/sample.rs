//! The first rows of a catalogue, read as a dialect would have them, before it is known which one is right.

use super::notes::Notes;
use super::scan::{Outcome, Scan, count_breaks};

/// How many rows are looked at.
const ROWS: usize = 220;

/// How a file parts its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What stands between fields.
    pub(super) delimiter: u8,
    /// Quotes within quotes are written `\"`.
    pub(super) backslash: bool,
}

/// A record of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sampled {
    /// The line at which it starts, from 1.
    pub(super) line: u64,
    /// Its place among all records, blank ones too, from 0.
    pub(super) index: usize,
    /// Its values.
    pub(super) fields: Vec<String>,
}

impl Sampled {
    /// Whether it holds nothing.
    pub(super) fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim().is_empty())
    }
}

/// The first bytes of a catalogue.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) bytes: &'a [u8],
    /// They are all there are.
    pub(super) ended: bool,
    /// Which lines its records are in, where these are not those of its text.
    pub(super) notes: Option<&'a Notes>,
}

impl Sample<'_> {
    /// Its records that are not blank, as many as are looked at, and whether a quote is left open.
    pub(super) fn records(&self, dialect: Dialect) -> (Vec<Sampled>, bool) {
        let (mut records, open) = records(self.bytes, self.ended, dialect);
        for record in &mut records {
            record.line = self.notes.and_then(|notes| notes.line_of(record.index)).unwrap_or(record.line);
        }
        (records, open)
    }
}

/// The sample's records that are not blank, as many as are looked at, and whether a quote is left open.
fn records(sample: &[u8], ended: bool, dialect: Dialect) -> (Vec<Sampled>, bool) {
    let mut scan = Scan { backslash: dialect.backslash, ..Scan::default() };
    let (mut records, mut at, mut line, mut index) = (Vec::new(), 0, 1, 0);
    while at < sample.len() && records.len() < ROWS {
        let (content, next) = match scan.record(&sample[at..], dialect.delimiter, ended) {
            Outcome::Whole { content, next } => (content, next),
            Outcome::More(_) => break,
            Outcome::Unclosed => return (records, true),
        };
        let bytes = &sample[at..at + content];
        let text = String::from_utf8_lossy(bytes);
        // What is not UTF-8 is of another length as text.
        if text.len() != bytes.len() {
            scan.record(text.as_bytes(), dialect.delimiter, true);
        }
        let value = |span: &super::scan::Span| {
            let mut value = String::new();
            span.push_value(&text, &mut value);
            value
        };
        let record = Sampled { line, index, fields: scan.fields.iter().map(value).collect() };
        line += 1 + count_breaks(bytes);
        index += 1;
        at += next;
        if !record.is_blank() {
            records.push(record);
        }
    }
    (records, false)
}
