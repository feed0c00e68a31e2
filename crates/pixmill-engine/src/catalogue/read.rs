//! Rows out of a catalogue.

use std::io::{self, Read};
use std::ops::Range;

use super::cells::{is_suspect, push_field};
use super::dialect;
use super::encoding::Source;
use super::fields::{Fields, Spare};
use super::header::Header;
use super::records::{Found, MAX_RECORD_BYTES, Records, Rest};
use super::spill;
use super::urls::Urls;
use crate::code::Code;
use crate::fault::Fault;

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
    /// See [`Row::cells`]; padded or cut to the header. NUL bytes, which CSV readers refuse, become U+FFFD.
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

/// Why a whole catalogue can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Refusal {
    /// `catalogue.encoding` or `catalogue.header`.
    pub code: Code,
    /// The line of the file that is to blame, from 1.
    pub line: u64,
    /// What is wrong and what to do. Holds no address.
    pub reason: String,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Fault::permanent(refusal.code, refusal.reason)
    }
}

/// Why a catalogue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be used.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Streams rows out of a catalogue, in memory bounded by [`MAX_RECORD_BYTES`].
pub struct Catalogue<R> {
    records: Records<R>,
    delimiter: u8,
    header: Header,
    /// [`Header::named`], once.
    named: usize,
    counts: Counts,
    kept: u64,
    spare: Spare,
    cell: String,
}

impl<R: Read> Catalogue<R> {
    /// Sniffs encoding and delimiter and reads the header.
    ///
    /// # Errors
    /// `catalogue.encoding` for what is not text, `catalogue.header` for what has no header with a column of image
    /// addresses; the reader's errors.
    pub fn open(reader: R) -> Result<Self, OpenError> {
        let source = Source::open(reader)?.map_err(|what| Refusal {
            code: Code::CatalogueEncoding,
            line: 1,
            reason: format!("The catalogue can't be read as text, it is {what}: export it as CSV."),
        })?;
        let mut records = Records::new(source);
        let (delimiter, header) = dialect::detect(&mut records)??;
        let named = header.named();
        let (counts, spare) = (Counts::default(), Spare::default());
        Ok(Catalogue { records, delimiter, header, named, counts, kept: 0, spare, cell: String::new() })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
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
            match self.records.next(self.delimiter)? {
                Found::Record { line, content, fused } => {
                    if let Some(next) = self.take_record(line, content, fused, row) {
                        return Ok(next);
                    }
                }
                Found::TooLong { line, content, rest } => return self.pass_over(line, content, rest),
                Found::Unclosed { line } => return Ok(self.bad(line, UNCLOSED, None)),
                Found::End => return Ok(Next::End),
            }
        }
    }

    /// None for a blank line.
    fn take_record(&mut self, line: u64, content: Range<usize>, fused: bool, row: &mut Row) -> Option<Next> {
        let fields = self.records.fields(content, self.delimiter, &mut self.spare);
        if fields.is_blank(self.delimiter) {
            return None;
        }
        if fused {
            return Some(self.bad(line, FUSED, None));
        }
        let fault = match fill(row, &fields, &self.header, self.named, self.delimiter, &mut self.cell) {
            Ok(()) => {
                row.line = line;
                row.number = self.kept;
                self.kept += 1;
                self.counts.usable += 1;
                return Some(Next::Row);
            }
            Err(fault) => fault,
        };
        let cells = kept_cells(&fields, &self.header);
        let reason = match fault {
            Misfit::Nul => NUL.to_owned(),
            Misfit::Short => format!(
                "The row has {} and the header {}: its '{}' is missing.",
                counted(fields.len()),
                self.header.columns.len(),
                self.header.columns[self.header.url].trim()
            ),
            Misfit::OutOfStep => format!(
                "The row has {} and the header {}: put quotes around a field that holds a delimiter.",
                counted(fields.len()),
                self.header.columns.len()
            ),
        };
        Some(self.bad(line, reason, Some(cells)))
    }

    fn pass_over(&mut self, line: u64, content: Range<usize>, rest: Rest) -> io::Result<Next> {
        let fields = self.records.fields(content, self.delimiter, &mut self.spare);
        let cells = kept_cells(&fields, &self.header);
        let closed = self.records.skip(rest, self.delimiter)?;
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

const NUL: &str = "The row holds a NUL byte: remove it.";
const TOO_LONG: &str = "The row is longer than 1 MiB: shorten it.";
const UNCLOSED: &str = "A quote opened in this row is never closed: nothing after it could be read.";
const FUSED: &str = "A quote opened in this row is not closed before a later row: add or remove it.";

const _: () = assert!(MAX_RECORD_BYTES == 1 << 20, "TOO_LONG names the limit");

enum Misfit {
    Nul,
    Short,
    OutOfStep,
}

fn counted(fields: usize) -> String {
    if fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") }
}

/// Fills all of a row but its number and line.
fn fill(
    row: &mut Row,
    fields: &Fields<'_>,
    header: &Header,
    named: usize,
    delimiter: u8,
    cell: &mut String,
) -> Result<(), Misfit> {
    let suspect = fields.text.bytes().fold(false, |found, byte| found | is_suspect(byte));
    if suspect && memchr::memchr(0, fields.text.as_bytes()).is_some() {
        return Err(Misfit::Nul);
    }
    if fields.len() <= header.url {
        return Err(Misfit::Short);
    }
    let placing = spill::place(fields, header, named).ok_or(Misfit::OutOfStep)?;
    let field_of = |column: usize| if column > header.url { column + placing.shift } else { column };
    row.name.clear();
    if let Some(name) = header.name {
        row.name.push_str(fields.value(field_of(name)).trim());
    }
    row.cells.clear();
    if placing.spilled.is_empty() {
        row.urls.read_cell(&fields.value(header.url));
    } else {
        spill::fold(fields, header.url, placing.spilled.clone(), delimiter, cell);
        row.urls.read_cell(cell);
    }
    let verbatim = !suspect && delimiter == b',' && fields.len() == header.columns.len();
    if verbatim && placing.spilled.is_empty() {
        row.cells.push_str(fields.text);
        return Ok(());
    }
    for column in 0..header.columns.len() {
        let folded = column == header.url && !placing.spilled.is_empty();
        let value = if folded { cell.as_str().into() } else { fields.value(field_of(column)) };
        push_field(&mut row.cells, column == 0, &value);
    }
    Ok(())
}

/// An unusable row's fields, padded or cut to the header.
fn kept_cells(fields: &Fields<'_>, header: &Header) -> String {
    let mut cells = String::new();
    for column in 0..header.columns.len() {
        push_field(&mut cells, column == 0, &fields.value(column).replace('\0', "\u{fffd}"));
    }
    cells
}
