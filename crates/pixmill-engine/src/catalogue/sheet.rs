//! Spreadsheets: the rows of one of their sheets, as text of comma-separated fields, which is read as any other.

mod cell;
mod ods;
mod xlsx;
mod xml;

use std::cell::OnceCell;
use std::io::{self, Read};
use std::sync::Arc;

use super::cells::push_field;
use super::notes::{Note, Notes};
use super::package::Package;
use super::records::MAX_RECORD_BYTES;

/// Columns that are read, which are as many as sheets have.
const MOST_COLUMNS: u32 = 16_384;

/// Text that rows may become, for each byte of the file, and in any case.
const TEXT_TIMES: u64 = 200;
const TEXT_IN_ANY_CASE: u64 = 64 << 20;

/// A sheet's name, and the part in which it is.
struct Named {
    name: String,
    part: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xlsx,
    Ods,
}

/// A spreadsheet file.
pub(super) struct Book {
    package: Package,
    kind: Kind,
    sheets: Vec<Named>,
    bytes: u64,
    /// Texts that cells share, once a sheet was opened.
    shared: OnceCell<Arc<xlsx::Shared>>,
}

impl Book {
    /// Opens what came as a ZIP file.
    ///
    /// # Errors
    /// What it is and what to do, where it is no spreadsheet that can be read.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let size = bytes.len() as u64;
        let package = Package::open(bytes)
            .map_err(|why| format!("a ZIP file, as spreadsheets are, that {why}: save it again or as CSV"))?;
        let broken = |error: io::Error| format!("a spreadsheet that can't be read ({error}): save it as CSV");
        let (kind, sheets) = match () {
            () if xlsx::is_workbook(&package) => (Kind::Xlsx, xlsx::sheets(&package).map_err(broken)?),
            () if ods::is_spreadsheet(&package).map_err(broken)? => {
                (Kind::Ods, ods::sheets(&package).map_err(broken)?)
            }
            () => return Err(other(&package)),
        };
        if sheets.is_empty() {
            return Err("a spreadsheet without a sheet of cells: save the sheet as CSV".to_owned());
        }
        Ok(Book { package, kind, sheets, bytes: size, shared: OnceCell::new() })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Xlsx => "XLSX",
            Kind::Ods => "ODS",
        }
    }

    /// Its sheets' names.
    pub(super) fn names(&self) -> Vec<String> {
        self.sheets.iter().map(|sheet| sheet.name.clone()).collect()
    }

    /// The sheet of this name, or of this number from 1.
    pub(super) fn find(&self, wanted: &str) -> Option<usize> {
        let by = |same: &dyn Fn(&str) -> bool| self.sheets.iter().position(|sheet| same(&sheet.name));
        let number =
            || wanted.parse::<usize>().ok().filter(|number| (1..=self.sheets.len()).contains(number));
        by(&|name| name == wanted)
            .or_else(|| by(&|name| name.trim().to_lowercase() == wanted.trim().to_lowercase()))
            .or_else(|| number().map(|number| number - 1))
    }

    /// Opens a sheet.
    ///
    /// # Errors
    /// When it can't be unpacked or read.
    pub(super) fn sheet(&self, index: usize) -> io::Result<Sheet> {
        let part = self.sheets.get(index).map_or("", |sheet| sheet.part.as_str());
        let rows = match self.kind {
            Kind::Xlsx => Rows::Xlsx(Box::new(xlsx::Xlsx::open(&self.package, part, &self.shared)?)),
            Kind::Ods => Rows::Ods(Box::new(ods::Ods::open(&self.package, part)?)),
        };
        Ok(Sheet {
            rows,
            record: Record::default(),
            width: 0,
            text: String::new(),
            handed: 0,
            left: TEXT_IN_ANY_CASE.max(self.bytes.saturating_mul(TEXT_TIMES)),
            notes: Notes::default(),
        })
    }
}

/// What a ZIP file is that is no spreadsheet.
fn other(package: &Package) -> String {
    let has = |name: &str| package.has(name);
    let mut names: Vec<&str> = package.names().filter(|name| !name.ends_with('/')).collect();
    names.sort_unstable();
    match () {
        () if has("xl/workbook.bin") => {
            "an Excel binary workbook (.xlsb): save it as .xlsx or CSV".to_owned()
        }
        () if has("word/document.xml") => "a Word document: save its table as CSV".to_owned(),
        () if names.iter().any(|name| name.ends_with(".iwa")) => {
            "a Numbers or Pages file: export it as .xlsx or CSV".to_owned()
        }
        () if names.is_empty() => "an empty ZIP file: export it as CSV".to_owned(),
        () => "a ZIP file: unpack it and hand in what is in it".to_owned(),
    }
}

enum Rows {
    Xlsx(Box<xlsx::Xlsx>),
    Ods(Box<ods::Ods>),
}

/// A row's fields. Meant to be filled again and again.
#[derive(Default)]
struct Record {
    fields: Vec<String>,
    used: usize,
    bytes: usize,
}

impl Record {
    fn clear(&mut self) {
        (self.used, self.bytes) = (0, 0);
    }

    /// Puts a text into a column, from 0. What makes the row longer than rows may be is left out: it is refused anyway.
    fn put(&mut self, column: usize, text: &str) {
        if self.bytes > MAX_RECORD_BYTES {
            return;
        }
        while self.used <= column {
            match self.fields.get_mut(self.used) {
                Some(field) => field.clear(),
                None => self.fields.push(String::new()),
            }
            self.used += 1;
        }
        self.bytes += text.len() + 1;
        self.fields[column].push_str(text);
    }

    fn is_blank(&self) -> bool {
        self.fields[..self.used].iter().all(String::is_empty)
    }
}

/// A sheet as comma-separated text.
pub(super) struct Sheet {
    rows: Rows,
    record: Record,
    /// Rows are as wide as the widest before them.
    width: usize,
    text: String,
    handed: usize,
    left: u64,
    notes: Notes,
}

impl Sheet {
    /// What is known of its rows.
    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Writes the next row that holds something.
    fn advance(&mut self) -> io::Result<()> {
        self.handed = 0;
        self.text.clear();
        let line = match &mut self.rows {
            Rows::Xlsx(rows) => rows.next(&mut self.record)?,
            Rows::Ods(rows) => rows.next(&mut self.record)?,
        };
        let Some(line) = line else { return Ok(()) };
        self.width = self.width.max(self.record.used);
        let fields = &self.record.fields[..self.record.used];
        let padded = fields.iter().map(String::as_str).chain(std::iter::repeat(""));
        for (index, field) in padded.take(self.width).enumerate() {
            push_field(&mut self.text, index == 0, field);
        }
        self.text.push('\n');
        self.notes.push(Note { line, ..Note::default() });
        self.left = self.left.checked_sub(self.text.len() as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "its rows hold more than any spreadsheet's do")
        })?;
        Ok(())
    }
}

impl Read for Sheet {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.handed == self.text.len() {
            self.advance()?;
        }
        let mut rest = &self.text.as_bytes()[self.handed..];
        let read = rest.read(room)?;
        self.handed += read;
        Ok(read)
    }
}
