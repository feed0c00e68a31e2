//! A catalogue of JSON again: byte for byte as it came, with other addresses in the places of those that were read.

use std::io::{self, Read, Write};
use std::ops::Range;

use encoding_rs::{Encoding, UTF_8};

use super::cut::Form;
use super::notes::Raw;
use super::read::{Catalogue, Next, Row};
use super::trace::encoded;
use super::written::{PIECE, written};

/// Writes the whole. See [`Rewriter::rewrite`](super::Rewriter::rewrite).
pub(super) fn rewrite<R: Read, E: From<io::Error>>(
    mut catalogue: Catalogue<R>,
    mut out: impl Write,
    mut outputs: impl FnMut(u64) -> Result<Vec<Option<String>>, E>,
) -> Result<(), E> {
    let (mut row, mut piece) = (Row::default(), Vec::with_capacity(2 * PIECE));
    let (encoding, marked) = catalogue.form().again.unwrap_or((UTF_8, false));
    if marked {
        piece.extend_from_slice("\u{feff}".as_bytes());
    }
    loop {
        match catalogue.next_row(&mut row)? {
            Next::Row if row.urls.is_empty() => {}
            Next::Row => {
                let outputs = outputs(row.number)?;
                replace(&mut catalogue, &row, &outputs);
            }
            Next::Bad(_) => {}
            Next::End => break,
        }
        if piece.len() >= PIECE {
            out.write_all(&in_encoding(&piece, encoding))?;
            piece.clear();
        }
        catalogue.form_mut().hand_on_before(&mut piece);
    }
    // What follows the records is told as one more.
    catalogue.form_mut().take_note();
    catalogue.form_mut().hand_on(&mut piece);
    out.write_all(&in_encoding(&piece, encoding))?;
    Ok(out.flush()?)
}

fn in_encoding(text: &[u8], encoding: &'static Encoding) -> Vec<u8> {
    let own = (encoding != UTF_8).then(|| encoded(&String::from_utf8_lossy(text), encoding)).flatten();
    own.unwrap_or_else(|| text.to_vec())
}

/// An address as its cell has it, and what stands in its place.
struct Place {
    column: usize,
    text: String,
    form: Form,
    output: Option<String>,
}

fn replace<R: Read>(catalogue: &mut Catalogue<R>, row: &Row, outputs: &[Option<String>]) {
    let Some(fields) = catalogue.records().last_fields() else { return };
    let place = |position: usize| {
        let place = row.urls.place(position)?;
        let text = fields.value(place.column).get(place.at.clone())?.to_owned();
        Some(Place { column: place.column, text, form: place.form, output: outputs.get(position)?.clone() })
    };
    let places: Vec<Place> = (0..row.urls.len()).filter_map(place).collect();
    if let Some(raw) = catalogue.form_mut().raw_mut() {
        edit(raw, &places);
    }
}

/// Puts outputs into a record's text. Places are in the order of columns, as strings are.
fn edit(raw: &mut Raw, places: &[Place]) {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let (mut string, mut from) = (0, 0);
    for place in places {
        let ways = ways(&place.text);
        let mut look = (string, from);
        while let Some((column, at)) = raw.strings.get(look.0) {
            let within = raw.text.get(at.start + look.1..at.end).filter(|_| *column == place.column);
            let found = within.and_then(|text| {
                let each =
                    ways.iter().filter_map(|way| Some((memchr::memmem::find(text, way.as_bytes())?, way)));
                each.min_by_key(|(offset, _)| *offset)
            });
            if let Some((offset, way)) = found {
                let start = at.start + look.1 + offset;
                let end = start + way.len();
                if let Some(output) = &place.output {
                    // What stands as it is read is of a list that this reader made of several strings.
                    let as_is = *way == place.text && place.form == Form::Json;
                    let form = if as_is { Form::Plain } else { place.form };
                    let slashes = way.contains("\\/") && !way.contains("\\\\/");
                    edits.push((start..end, escaped(&written(output, form), slashes)));
                }
                (string, from) = (look.0, end - at.start);
                break;
            }
            look = (look.0 + 1, 0);
        }
    }
    edits.sort_by_key(|(at, _)| at.start);
    for (at, text) in edits.into_iter().rev() {
        raw.text.splice(at, text.into_bytes());
    }
}

/// How a string of JSON may write a text.
fn ways(text: &str) -> Vec<String> {
    let mut ways = vec![text.to_owned(), escaped(text, false), escaped(text, true)];
    ways.dedup();
    ways
}

fn escaped(text: &str, slashes: bool) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if slashes { inner.replace('/', "\\/") } else { inner.to_owned() }
}
