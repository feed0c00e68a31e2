//! The catalogue again: byte for byte as it came, with other addresses in the places of those that were read.

use std::io::{self, Read, Write};
use std::ops::Range;

use encoding_rs::Encoding;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::fields::Fields;
use super::hints::Hints;
use super::in_json;
use super::read::{Catalogue, Next, Row};
use super::refusal::OpenError;
use super::scan::{Escapes, Span};
use super::trace::encoded;
use super::understood::Understood;
use super::written::{PIECE, written};

/// What an address may not hold in a field without quotes, whatever parts fields.
const PARTING: &AsciiSet = &CONTROLS.add(b'"').add(b',').add(b';').add(b'|').add(b'^').add(b'~').add(b' ');

/// Reads a catalogue and writes it again.
pub struct Rewriter<R> {
    catalogue: Catalogue<R>,
    encoding: &'static Encoding,
}

/// A part of a record's text, and what stands in its place.
struct Edit {
    /// In the record's bytes as UTF-8.
    at: Range<usize>,
    text: String,
}

impl<R: Read> Rewriter<R> {
    /// Opens a catalogue that was read before, of which the same was said.
    ///
    /// # Errors
    /// Those of [`Catalogue::open`].
    pub fn open(reader: R, hints: &Hints) -> Result<Self, OpenError> {
        let catalogue = Catalogue::open_traced(reader, hints)?;
        let encoding = catalogue.records().source().encoding;
        Ok(Rewriter { catalogue, encoding })
    }

    /// Whether it came in gzip.
    pub fn is_gzip(&self) -> bool {
        self.catalogue.form().gzip
    }

    /// Whether it is written as comma-separated text, though it came as something else: a spreadsheet.
    pub fn is_converted(&self) -> bool {
        !self.catalogue.form().is_text() && self.catalogue.form().again.is_none()
    }

    /// What the catalogue is understood as, so far.
    pub fn understood(&self) -> Understood {
        self.catalogue.understood()
    }

    /// Writes the whole. `outputs` is asked row by row, in order, for what stands in the place of each address; what has
    /// nothing in its place stays.
    ///
    /// # Errors
    /// Those of reading, writing and `outputs`.
    pub fn rewrite<E: From<io::Error>>(
        mut self,
        mut out: impl Write,
        mut outputs: impl FnMut(u64) -> Result<Vec<Option<String>>, E>,
    ) -> Result<(), E> {
        if self.catalogue.form().again.is_some() {
            return in_json::rewrite(self.catalogue, out, outputs);
        }
        let (mut row, mut piece) = (Row::default(), Vec::with_capacity(2 * PIECE));
        loop {
            match self.catalogue.next_row(&mut row)? {
                Next::Row if row.urls.is_empty() => {}
                Next::Row => {
                    let outputs = outputs(row.number)?;
                    self.replace(&row, &outputs, &mut piece);
                }
                Next::Bad(_) => {}
                Next::End => break,
            }
            self.catalogue.hand_on(&mut piece);
            if piece.len() >= PIECE {
                out.write_all(&piece)?;
                piece.clear();
            }
        }
        self.catalogue.records_mut().trace_mut().take_all(&mut piece);
        out.write_all(&piece)?;
        Ok(out.flush()?)
    }

    /// Hands on the row that was read last, with what stands in the place of its addresses.
    fn replace(&mut self, row: &Row, outputs: &[Option<String>], piece: &mut Vec<u8>) {
        let mut edits = self.edits(row, outputs);
        edits.sort_by_key(|edit| edit.at.start);
        let begin = self.catalogue.records().record_at();
        let trace = self.catalogue.records_mut().trace_mut();
        for edit in edits {
            let (from, to) = (begin + edit.at.start as u64, begin + edit.at.end as u64);
            let Some(bytes) = encoded(&edit.text, self.encoding) else { continue };
            trace.take_until(from, piece);
            if trace.is_at(from) {
                trace.drop_until(to);
                piece.extend_from_slice(&bytes);
            }
        }
    }

    fn edits(&self, row: &Row, outputs: &[Option<String>]) -> Vec<Edit> {
        let Some(fields) = self.catalogue.records().last_fields() else { return Vec::new() };
        let mut edits: Vec<Edit> = Vec::new();
        let mut follow = Follow { field: 0, at: 0 };
        let mut position = 0;
        while position < row.urls.len() {
            let Some(column) = row.urls.column(position) else { break };
            let count =
                (position..row.urls.len()).take_while(|next| row.urls.column(*next) == Some(column)).count();
            let spilled = self.catalogue.folded(column);
            let mut by_field: Vec<(usize, Replacement)> = Vec::new();
            for position in position..position + count {
                let (Some(place), Some(output)) =
                    (row.urls.place(position), outputs.get(position).and_then(Option::as_ref))
                else {
                    continue;
                };
                let found = match spilled {
                    None => Some((column, place.at.clone())),
                    Some(folded) => follow.find(&fields, column, folded, place.at.clone()),
                };
                if let Some((field, at)) = found {
                    by_field.push((field, Replacement { at, text: written(output, place.form) }));
                }
            }
            for group in by_field.chunk_by(|one, other| one.0 == other.0) {
                let replacements: Vec<&Replacement> =
                    group.iter().map(|(_, replacement)| replacement).collect();
                if let Some(span) = fields.spans.get(group[0].0) {
                    edits.extend(in_field(fields.text, span, &replacements, self.catalogue.delimiter()));
                }
            }
            position += count;
        }
        edits
    }
}

/// A part of a field's value, and what stands in its place.
struct Replacement {
    at: Range<usize>,
    text: String,
}

/// Finds addresses again in the fields out of which a cell was folded.
struct Follow {
    field: usize,
    at: usize,
}

impl Follow {
    fn find(
        &mut self,
        fields: &Fields<'_>,
        first: usize,
        folded: &str,
        at: Range<usize>,
    ) -> Option<(usize, Range<usize>)> {
        let address = folded.get(at)?;
        self.field = self.field.max(first);
        while self.field < fields.len() {
            let value = fields.value(self.field);
            if let Some(offset) = value.get(self.at..).and_then(|rest| rest.find(address)) {
                let from = self.at + offset;
                self.at = from + address.len();
                return Some((self.field, from..self.at));
            }
            (self.field, self.at) = (self.field + 1, 0);
        }
        None
    }
}

/// What is to be changed in a field, so that it reads as its value with these parts replaced.
fn in_field(text: &str, span: &Span, replacements: &[&Replacement], delimiter: u8) -> Vec<Edit> {
    let quoted = span.escapes != Escapes::Nothing
        || (span.start > 0 && text.as_bytes()[span.start - 1] == b'"' && text[span.end..].starts_with('"'));
    if quoted {
        let doubled = |replacement: &&Replacement| Edit {
            at: span.locate_range(text, replacement.at.clone()),
            text: replacement.text.replace('"', "\"\""),
        };
        return replacements.iter().map(doubled).collect();
    }
    let parts =
        |text: &str| text.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
    let fitting = |text: &str| match parts(text) && text.contains("://") {
        true => utf8_percent_encode(text, PARTING).to_string(),
        false => text.to_owned(),
    };
    let texts: Vec<String> = replacements.iter().map(|replacement| fitting(&replacement.text)).collect();
    if !texts.iter().any(|text| parts(text)) {
        let place = |replacement: &Replacement| span.locate_range(text, replacement.at.clone());
        return replacements
            .iter()
            .zip(texts)
            .map(|(replacement, text)| Edit { at: place(replacement), text })
            .collect();
    }
    // A path that holds what parts fields: the whole field is put in quotes.
    let mut value = text[span.start..span.end].to_owned();
    for (replacement, text) in replacements.iter().zip(&texts).rev() {
        value.replace_range(replacement.at.clone(), text);
    }
    vec![Edit { at: span.start..span.end, text: format!("\"{}\"", value.replace('"', "\"\"")) }]
}
