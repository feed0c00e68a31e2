//! Rows out of a catalogue.

use std::io::{self, Read};
use std::ops::Range;

use super::cells::{is_suspect, push_field};
use super::fields::{Fields, Spare};
use super::header::Header;
use super::kind::{self, Form};
use super::layout::{Layout, NO_DELIMITER};
use super::notes::Note;
use super::records::{Found, MAX_RECORD_BYTES, Records, Rest};
use super::spill;
use super::understood::{Column, Understood};
use super::unpack::Unpacked;
use super::urls::{Reading, Urls};
use crate::code::Code;

/// A usable row. Meant to be filled again and again.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place among the rows of the results, from 0. Rows that can't be used have one too, where they are kept.
    pub number: u64,
    /// The line of the file at which it starts, from 1.
    pub line: u64,
    /// The product's name without white space around it; empty without a name column.
    pub name: String,
    /// The original columns as one CSV record without line end: as many fields as the header, spilled addresses
    /// folded into the address cell.
    pub cells: String,
    /// The image addresses in their order.
    pub urls: Urls,
}

/// A row that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line of the file at which it starts, from 1.
    pub line: u64,
    /// Always `catalogue.row` so far.
    pub code: Code,
    /// What is wrong with it and what to do, without a comma.
    pub reason: String,
    /// What the results keep of it; None for what can't be split into rows at all.
    pub kept: Option<Kept>,
}

/// The place of an unusable row in the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// See [`Row::number`].
    pub number: u64,
    /// See [`Row::cells`]; padded or cut to the header.
    pub cells: String,
}

/// What [`Catalogue::next_row`] came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A row, which was filled in.
    Row,
    /// A row that can't be used; what was to be filled holds nothing of worth.
    Bad(BadRow),
    /// The end of the catalogue.
    End,
}

/// Rows so far. A catalogue with unusable rows and no usable one is to be refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Rows that can be used, those without an image among them.
    pub usable: u64,
    /// Rows that can't.
    pub unusable: u64,
}

/// Streams rows out of a catalogue, in memory bounded by [`MAX_RECORD_BYTES`].
pub struct Catalogue<R> {
    records: Records<Unpacked<R>>,
    layout: Layout,
    form: Form,
    base: Option<url::Url>,
    /// [`Header::named`], once.
    named: usize,
    counts: Counts,
    /// Pictures by column of pictures.
    images: Vec<u64>,
    placeholders: u64,
    repeated_headers: u64,
    out_of_step: u64,
    kept: u64,
    spare: Spare,
    cell: String,
}

impl<R: Read> Catalogue<R> {
    /// Of records whose layout is found, and which are before the first row.
    pub(super) fn new(
        records: Records<Unpacked<R>>,
        layout: Layout,
        form: Form,
        base: Option<url::Url>,
    ) -> Self {
        Catalogue {
            records,
            form,
            base,
            named: layout.header.named(),
            counts: Counts::default(),
            images: vec![0; layout.header.pictures.len()],
            placeholders: 0,
            repeated_headers: 0,
            out_of_step: 0,
            kept: 0,
            spare: Spare::default(),
            cell: String::new(),
            layout,
        }
    }

    /// What it is understood as, with what was counted so far.
    pub fn understood(&self) -> Understood {
        let (source, header) = (self.records.source(), &self.layout.header);
        let columns = header.pictures.iter().zip(&self.images).map(|(picture, images)| Column {
            name: header.title(picture.index),
            number: picture.index as u64 + 1,
            images: *images,
            strict: picture.strict,
        });
        let (encoding, nul_bytes) = match &self.form.encoding {
            Some(encoding) => (encoding.clone(), 0),
            None => (kind::encoding(source), source.nul_bytes),
        };
        Understood {
            format: self.format(),
            encoding,
            delimiter: Some(char::from(self.layout.dialect.delimiter))
                .filter(|_| header.columns.len() > 1 && self.form.is_text()),
            sheet: self.form.sheet.clone(),
            sheets: self.form.sheets.clone(),
            header_line: self.layout.header_line,
            rows_above: self.layout.above,
            columns: columns.collect(),
            name_column: header.name.map(|name| header.title(name)),
            unread: self.layout.alike.clone(),
            rows: self.counts.usable,
            placeholders: self.placeholders,
            nul_bytes,
            repeated_headers: self.repeated_headers,
            out_of_step: self.out_of_step,
        }
    }

    pub(super) fn records(&self) -> &Records<Unpacked<R>> {
        &self.records
    }

    pub(super) fn records_mut(&mut self) -> &mut Records<Unpacked<R>> {
        &mut self.records
    }

    /// Hands on the bytes of all that was read so far.
    pub(super) fn hand_on(&mut self, out: &mut Vec<u8>) {
        let place = self.records.next_at();
        self.records.trace_mut().take_until(place, out);
    }

    /// The cell into which the last row's spilled fields were folded, if this is its column and there is one.
    pub(super) fn folded(&self, column: usize) -> Option<&str> {
        (column == self.layout.header.last() && !self.cell.is_empty()).then_some(self.cell.as_str())
    }

    pub(super) fn delimiter(&self) -> u8 {
        self.layout.dialect.delimiter
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    pub(super) fn form_mut(&mut self) -> &mut Form {
        &mut self.form
    }

    fn format(&self) -> String {
        let kind = match (self.form.is_text(), self.layout.dialect.delimiter) {
            (true, NO_DELIMITER) => "a list of addresses",
            (true, b'\t') => "TSV",
            _ => self.form.name,
        };
        if self.form.gzip { format!("{kind} in gzip") } else { kind.to_owned() }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.layout.header
    }

    /// The rows so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Fills `row` with the next row. Blank lines, and lines of only delimiters, are passed over.
    ///
    /// # Errors
    /// The reader's.
    pub fn next_row(&mut self, row: &mut Row) -> io::Result<Next> {
        loop {
            let found = self.records.next()?;
            let note = match found {
                Found::End => Note::default(),
                _ => self.form.take_note(),
            };
            if let Some(fault) = note.fault {
                return Ok(self.bad(note.line, fault, None));
            }
            self.out_of_step += u64::from(note.unread);
            let line = |line: u64| if note.line > 0 { note.line } else { line };
            match found {
                Found::Record { line: at, content, fused } => {
                    let line = line(at);
                    if let Some(next) = self.take_record(line, content, fused, row) {
                        return Ok(next);
                    }
                }
                Found::TooLong { line: at, content, rest } => {
                    return self.pass_over(line(at), content, rest);
                }
                Found::Unclosed { line } => return Ok(self.bad(line, UNCLOSED, None)),
                Found::End => return Ok(Next::End),
            }
        }
    }

    /// None for a blank line, and for the header where it is repeated.
    fn take_record(&mut self, line: u64, content: Range<usize>, fused: bool, row: &mut Row) -> Option<Next> {
        let (header, delimiter) = (&self.layout.header, self.layout.dialect.delimiter);
        let fields = self.records.fields(content, &mut self.spare);
        if fields.is_blank(delimiter) {
            return None;
        }
        if self.layout.header_line.is_some() && repeats(&fields, header) {
            self.repeated_headers += 1;
            return None;
        }
        if fused {
            return Some(self.bad(line, FUSED, None));
        }
        let base = self.base.as_ref();
        let fault = match fill(row, &fields, header, self.named, delimiter, base, &mut self.cell) {
            Ok(()) => {
                row.line = line;
                row.number = self.kept;
                self.kept += 1;
                self.counts.usable += 1;
                self.count(row);
                return Some(Next::Row);
            }
            Err(fault) => fault,
        };
        self.out_of_step += 1;
        let cells = kept_cells(&fields, header);
        let (count, columns) = (counted(fields.len()), header.columns.len());
        let reason = match fault {
            Misfit::Short => {
                format!(
                    "The row has {count} and the header {columns}: its '{}' is missing.",
                    header.title(header.first())
                )
            }
            Misfit::OutOfStep => format!(
                "The row has {count} and the header {columns}: put quotes around a field that holds a delimiter and double the quotes in it."
            ),
        };
        Some(self.bad(line, reason, Some(cells)))
    }

    fn count(&mut self, row: &Row) {
        self.placeholders += u64::from(row.urls.placeholders());
        if let [images] = self.images.as_mut_slice() {
            *images += row.urls.len() as u64;
            return;
        }
        let pictures = &self.layout.header.pictures;
        let mut at = 0;
        for position in 0..row.urls.len() {
            let column = row.urls.column(position);
            while pictures.get(at).is_some_and(|picture| Some(picture.index) != column) {
                at += 1;
            }
            if let Some(images) = self.images.get_mut(at) {
                *images += 1;
            }
        }
    }

    fn pass_over(&mut self, line: u64, content: Range<usize>, rest: Rest) -> io::Result<Next> {
        let fields = self.records.fields(content, &mut self.spare);
        let cells = kept_cells(&fields, &self.layout.header);
        let closed = self.records.skip(rest)?;
        Ok(match closed {
            true => self.bad(line, TOO_LONG, Some(cells)),
            false => self.bad(line, UNCLOSED, None),
        })
    }

    fn bad(&mut self, line: u64, reason: impl Into<String>, cells: Option<String>) -> Next {
        self.counts.unusable += 1;
        let kept = cells.map(|cells| Kept { number: self.kept, cells });
        self.kept += u64::from(kept.is_some());
        Next::Bad(BadRow { line, code: Code::CatalogueRow, reason: reason.into(), kept })
    }

    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.records.buffer_bytes()
    }
}

const TOO_LONG: &str = "The row is longer than 1 MiB: shorten it.";
const UNCLOSED: &str = "A quote opened in this row is never closed: nothing after it could be read.";
const FUSED: &str = "A quote opened in this row is not closed before a later row: add or remove it.";

const _: () = assert!(MAX_RECORD_BYTES == 1 << 20, "TOO_LONG names the limit");

enum Misfit {
    Short,
    OutOfStep,
}

fn counted(fields: usize) -> String {
    if fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") }
}

/// Whether a record is the header once more.
fn repeats(fields: &Fields<'_>, header: &Header) -> bool {
    let same = |column: usize| fields.value(column).trim() == header.columns[column].trim();
    fields.len() == header.columns.len() && same(header.first()) && (0..header.columns.len()).all(same)
}

/// Fills all of a row but its number and line.
fn fill(
    row: &mut Row,
    fields: &Fields<'_>,
    header: &Header,
    named: usize,
    delimiter: u8,
    base: Option<&url::Url>,
    cell: &mut String,
) -> Result<(), Misfit> {
    cell.clear();
    let suspect = fields.text.bytes().fold(false, |found, byte| found | is_suspect(byte));
    if fields.len() <= header.first() {
        return Err(Misfit::Short);
    }
    let placing = spill::place(fields, header, named).ok_or(Misfit::OutOfStep)?;
    let last = header.last();
    let field_of = |column: usize| if column > last { column + placing.shift } else { column };
    row.name.clear();
    if let Some(name) = header.name {
        row.name.push_str(shown_by(fields.value(field_of(name)).trim()));
    }
    row.cells.clear();
    row.urls.clear();
    for picture in &header.pictures {
        let reading = Reading { column: picture.index, strict: picture.strict, base };
        if picture.index == last && !placing.spilled.is_empty() {
            spill::fold(fields, last, placing.spilled.clone(), delimiter, cell);
            row.urls.read_cell(cell, reading);
        } else {
            row.urls.read_cell(&fields.value(picture.index), reading);
        }
    }
    let verbatim = !suspect && delimiter == b',' && fields.len() == header.columns.len();
    if verbatim && placing.spilled.is_empty() {
        row.cells.push_str(fields.text);
        return Ok(());
    }
    for column in 0..header.columns.len() {
        let folded = column == last && !placing.spilled.is_empty();
        let value = if folded { cell.as_str().into() } else { fields.value(field_of(column)) };
        push_field(&mut row.cells, column == 0, &value);
    }
    Ok(())
}

/// What a cell shows: of `=HYPERLINK("address","Cap")` the last text.
fn shown_by(cell: &str) -> &str {
    let is_link = cell.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("=HYPERLINK("));
    let texts: Vec<&str> = if is_link { cell.split('"').collect() } else { Vec::new() };
    match texts.as_slice() {
        [_, _, .., shown, _] if texts.len() >= 5 => shown,
        _ => cell,
    }
}

/// An unusable row's fields, padded or cut to the header.
fn kept_cells(fields: &Fields<'_>, header: &Header) -> String {
    let mut cells = String::new();
    for column in 0..header.columns.len() {
        push_field(&mut cells, column == 0, &fields.value(column));
    }
    cells
}
