//! Opens a catalogue, whatever it came as.

use std::io::Read;

use super::encoding::{Source, by_label};
use super::hints::Hints;
use super::json::Json;
use super::kind::{Form, encoding};
use super::layout::{self, Layout};
use super::notes::Notes;
use super::read::Catalogue;
use super::records::Records;
use super::refusal::{OpenError, Refusal};
use super::sample::Sample;
use super::sheet::Book;
use super::unpack::{Opened, Unpacked, unpack};
use crate::code::Code;

/// Sheets that are looked at for pictures.
const SHEETS: usize = 20;

impl<R: Read> Catalogue<R> {
    /// Finds out what kind of file it is, its encoding, its delimiter and its header.
    ///
    /// # Errors
    /// `catalogue.encoding` for what is not text, `catalogue.header` for what has no header with a column of pictures; the
    /// reader's errors.
    pub fn open(reader: R) -> Result<Self, OpenError> {
        Self::open_as(reader, &Hints::default())
    }

    /// Opens a catalogue of which something is said.
    ///
    /// # Errors
    /// Those of [`Catalogue::open`].
    pub fn open_as(reader: R, hints: &Hints) -> Result<Self, OpenError> {
        open(reader, hints, false)
    }

    /// Opens a catalogue to be written again.
    pub(super) fn open_traced(reader: R, hints: &Hints) -> Result<Self, OpenError> {
        open(reader, hints, true)
    }
}

/// Finds out what kind of file it is, its encoding, its delimiter and its header.
///
/// # Errors
/// Those of [`Catalogue::open`].
fn open<R: Read>(reader: R, hints: &Hints, traced: bool) -> Result<Catalogue<R>, OpenError> {
    let (opened, gzip) = unpack(reader)?;
    match opened {
        Opened::Text(unpacked) => {
            let told = hints.encoding.as_deref().and_then(by_label);
            let source = match traced {
                true => Source::open_traced(unpacked, told)?,
                false => Source::open(unpacked, told)?,
            };
            let (records, layout) = laid_out(source, None, hints)?;
            let form = Form { name: "CSV", gzip, ..Form::default() };
            begun(records, layout, form, hints)
        }
        Opened::Json(unpacked) => json(unpacked, gzip, hints, traced),
        Opened::Book(book) => sheet(&book, gzip, hints, traced),
    }
}

fn laid_out<R: Read>(
    source: Source<R>,
    notes: Option<&Notes>,
    hints: &Hints,
) -> Result<(Records<R>, Layout), OpenError> {
    let mut records = Records::new(source);
    let (bytes, ended) = records.sample()?;
    let layout = layout::find(Sample { bytes, ended, notes }, hints)?;
    Ok((records, layout))
}

fn begun<R: Read>(
    mut records: Records<Unpacked<R>>,
    layout: Layout,
    mut form: Form,
    hints: &Hints,
) -> Result<Catalogue<R>, OpenError> {
    records.read_as(layout.dialect);
    for _ in 0..layout.skip {
        records.next()?;
        form.take_note();
    }
    Ok(Catalogue::new(records, layout, form, hints.base_url.clone()))
}

/// How text is read that was made of something else.
fn made(hints: &Hints) -> Hints {
    Hints { delimiter: Some(b','), ..hints.clone() }
}

fn json<R: Read>(
    unpacked: Unpacked<R>,
    gzip: bool,
    hints: &Hints,
    traced: bool,
) -> Result<Catalogue<R>, OpenError> {
    let told = hints.encoding.as_deref().and_then(by_label);
    let Some(json) = Json::open(Source::open(unpacked, told)?, traced)? else {
        let reason = "The catalogue is JSON without any record: it holds no list of objects.".to_owned();
        return Err(refused(reason).into());
    };
    let notes = json.notes();
    let form = Form {
        name: if json.is_of_lines() { "JSON Lines" } else { "JSON" },
        gzip,
        encoding: Some(encoding(json.source())),
        again: traced.then(|| (json.source().encoding, json.source().marked)),
        raw: traced.then(Box::default),
        notes: Some(notes.clone()),
        ..Form::default()
    };
    let of_objects = json.is_of_objects();
    let header_row = if of_objects { Some(1) } else { hints.header_row };
    let hints = Hints { header_row, ..made(hints) };
    let source = Source::open(Unpacked::Json(Box::new(json)), Some(encoding_rs::UTF_8))?;
    // The first record of objects is made of their names, and in no line.
    let (records, mut layout) = laid_out(source, (!of_objects).then_some(&notes), &hints)?;
    layout.header_line = layout.header_line.filter(|_| !of_objects);
    begun(records, layout, form, &hints)
}

/// The sheet that is asked for, else the first that has pictures.
fn sheet<R: Read>(book: &Book, gzip: bool, hints: &Hints, traced: bool) -> Result<Catalogue<R>, OpenError> {
    let sheets = book.names();
    let list = || {
        sheets
            .iter()
            .take(12)
            .map(|name| format!("'{}'", super::header::shown(name)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let wanted: Vec<usize> = match &hints.sheet {
        None => (0..sheets.len().min(SHEETS)).collect(),
        Some(name) => match book.find(name) {
            Some(index) => vec![index],
            None => {
                let name = super::header::shown(name);
                return Err(refused(format!(
                    "There is no sheet '{name}' among {}: give --sheet another name or a number from 1.",
                    list()
                ))
                .into());
            }
        },
    };
    let mut first = None;
    for index in wanted {
        match one_sheet(book, index, gzip, hints, traced) {
            Err(OpenError::Refused(refusal)) => {
                first.get_or_insert(refusal);
            }
            other => return other,
        }
    }
    let mut refusal =
        first.unwrap_or_else(|| refused("The catalogue is a spreadsheet without a sheet.".to_owned()));
    if sheets.len() > 1 && hints.sheet.is_none() {
        refusal.reason = format!("{} None of its sheets {} has pictures.", refusal.reason, list());
    }
    Err(refusal.into())
}

fn one_sheet<R: Read>(
    book: &Book,
    index: usize,
    gzip: bool,
    hints: &Hints,
    traced: bool,
) -> Result<Catalogue<R>, OpenError> {
    let unreadable = |error: std::io::Error| {
        let reason =
            format!("The catalogue is a spreadsheet that can't be read ({error}): save the sheet as CSV.");
        Refusal { code: Code::CatalogueEncoding, line: 1, reason }
    };
    let sheet = book.sheet(index).map_err(unreadable)?;
    let sheets = book.names();
    let notes = sheet.notes();
    let form = Form {
        name: book.name(),
        gzip,
        sheet: sheets.get(index).cloned(),
        sheets,
        encoding: Some("UTF-8".to_owned()),
        notes: Some(notes.clone()),
        ..Form::default()
    };
    let unpacked = Unpacked::Sheet(Box::new(sheet));
    let utf_8 = Some(encoding_rs::UTF_8);
    let source = if traced { Source::open_traced(unpacked, utf_8) } else { Source::open(unpacked, utf_8) };
    let hints = made(hints);
    let (records, layout) =
        match source.map_err(OpenError::Io).and_then(|source| laid_out(source, Some(&notes), &hints)) {
            Err(OpenError::Io(error)) => return Err(unreadable(error).into()),
            other => other?,
        };
    begun(records, layout, form, &hints)
}

fn refused(reason: String) -> Refusal {
    Refusal { code: Code::CatalogueHeader, line: 1, reason }
}
