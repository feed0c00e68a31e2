//! Where a catalogue's header is, and how its fields are parted: the reading under which most makes sense.

use super::columns::{Contents, Judged, Surety, contents, judge};
use super::cut::{begins_address, holds_address};
use super::header::{Header, PictureColumn, shown};
use super::hints::Hints;
use super::looks::{has_picture_ending, is_placeholder};
use super::naming::{Meaning, meaning, name_rank, plain};
use super::refusal::Refusal;
use super::sample::{Dialect, Sample, Sampled};
use super::urls::{Reading, Urls};
use crate::code::Code;

/// Delimiters that are tried; among equals the first wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Those that are tried where these part nothing.
const RARE_DELIMITERS: [u8; 4] = [b'^', b'~', 0x1f, 0x01];

/// Among how many records the header is looked for.
const HEADERS: usize = 20;

/// Parts no fields: a line is one. NUL bytes are dropped before.
pub(super) const NO_DELIMITER: u8 = 0;

/// What the column of a list of addresses is called.
const LIST: &str = "Image Url";

/// How a catalogue is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) dialect: Dialect,
    pub(super) header: Header,
    /// Records before the first row, blank ones and the header among them.
    pub(super) skip: usize,
    /// The header's line, from 1; none where there is none.
    pub(super) header_line: Option<u64>,
    /// Records above the header that hold something.
    pub(super) above: u64,
    /// Columns that look like pictures and are not read, and why.
    pub(super) alike: Vec<(String, String)>,
}

/// Finds the layout in the first bytes of a catalogue.
///
/// # Errors
/// A refusal, when there is no column of pictures.
pub(super) fn find(sample: Sample<'_>, hints: &Hints) -> Result<Layout, Refusal> {
    let asks_for_list = hints.columns.is_empty() && hints.header_row.is_none_or(|row| row == 0);
    if asks_for_list && let Some(list) = list(sample) {
        return Ok(list);
    }
    let announced = announced(sample.bytes);
    let delimiters: &[u8] = match (&hints.delimiter, &announced) {
        (Some(delimiter), _) | (None, Some(delimiter)) => std::slice::from_ref(delimiter),
        (None, None) => &DELIMITERS,
    };
    let seen = |delimiters: &[u8]| best(sample, delimiters, hints);
    let mut found = seen(delimiters);
    if delimiters.len() > 1 && found.as_ref().is_none_or(|found| found.layout.header.columns.len() == 1) {
        let rare = seen(&RARE_DELIMITERS).filter(|rare| rare.layout.header.columns.len() > 1);
        found = rare.or(found);
    }
    match found {
        Some(found) => Ok(found.layout),
        None => Err(refusal(sample, delimiters, hints)),
    }
}

/// `sep=;`, by which Excel is told.
fn announced(sample: &[u8]) -> Option<u8> {
    let line =
        sample.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty())?;
    announcement(std::str::from_utf8(line).ok()?)
}

fn announcement(line: &str) -> Option<u8> {
    let rest = line.trim_matches(['"', ' ']).strip_prefix("sep=")?;
    match rest.trim_end_matches([',', '"']).as_bytes() {
        [] => rest.starts_with(',').then_some(b','),
        [delimiter] => DELIMITERS.contains(delimiter).then_some(*delimiter),
        _ => rest
            .bytes()
            .next()
            .filter(|first| DELIMITERS.contains(first) && rest.bytes().all(|byte| byte == *first)),
    }
}

struct Found {
    layout: Layout,
    /// How much sense it makes.
    worth: (bool, Surety, bool, usize, usize),
}

fn best(sample: Sample<'_>, delimiters: &[u8], hints: &Hints) -> Option<Found> {
    let escapes = backslashes(sample.bytes);
    let mut best: Option<Found> = None;
    for delimiter in delimiters {
        for backslash in escapes {
            let dialect = Dialect { delimiter: *delimiter, backslash: *backslash };
            let Some(found) = under(sample, dialect, hints) else { continue };
            if best.as_ref().is_none_or(|best| found.worth > best.worth) {
                best = Some(found);
            }
        }
    }
    best
}

/// Whether quotes behind backslashes are tried, and before those that are doubled: only where something follows one that can't
/// follow the end of a field.
fn backslashes(sample: &[u8]) -> &'static [bool] {
    let ends_field = |byte: &u8| {
        DELIMITERS.contains(byte)
            || RARE_DELIMITERS.contains(byte)
            || matches!(byte, b'\n' | b'\r' | b'"' | b' ')
    };
    let escapes = |at: usize| sample.get(at + 2).is_some_and(|after| !ends_field(after));
    if memchr::memmem::find_iter(sample, b"\\\"").any(escapes) { &[true, false] } else { &[false] }
}

/// The best header under one dialect.
fn under(sample: Sample<'_>, dialect: Dialect, hints: &Hints) -> Option<Found> {
    let (records, open) = sample.records(dialect);
    if open && dialect.backslash {
        return None;
    }
    let records = match records.first() {
        Some(first) if first.fields.first().is_some_and(|field| announcement(field).is_some()) => {
            &records[1..]
        }
        _ => &records[..],
    };
    if hints.header_row == Some(0) {
        return headless(records, dialect, hints);
    }
    let mut best: Option<(usize, Judged)> = None;
    for at in candidates(records, hints) {
        let names = &records[at].fields;
        let known = hints.columns.is_empty() && hints.header_row.is_none();
        if known && names.iter().any(|name| holds_address(name)) {
            continue;
        }
        let rows = rows_after(records, at);
        let contents = contents(names.len(), &rows);
        let Some(judged) = judged(names, &contents, hints) else { continue };
        let nameless = judged.pictures.iter().all(|picture| names[picture.index].trim().is_empty());
        if nameless && hints.columns.is_empty() && hints.header_row.is_none() {
            continue;
        }
        // What only sounds like a name, without a picture below it, is a row of the header above it.
        let has_pictures = judged.pictures.iter().any(|picture| contents[picture.index].has_pictures());
        let is_row = |above: usize| !has_pictures && is_as_full(&records[above], names.len());
        if best.as_ref().is_none_or(|(above, best)| judged.surety > best.surety && !is_row(*above)) {
            best = Some((at, judged));
        }
    }
    let (at, judged) = best?;
    let (at, judged) =
        if hints.header_row.is_none() { lowest(records, at, judged, hints) } else { (at, judged) };
    let names = records[at].fields.clone();
    Some(weighed(records, Some(at), names, judged, dialect, hints))
}

/// Which records may be the header.
fn candidates(records: &[Sampled], hints: &Hints) -> Vec<usize> {
    let Some(row) = hints.header_row else { return (0..records.len().min(HEADERS)).collect() };
    let by_line = records.iter().position(|record| record.line == row);
    by_line.or_else(|| records.iter().position(|record| record.index as u64 + 1 == row)).into_iter().collect()
}

fn rows_after(records: &[Sampled], at: usize) -> Vec<Vec<String>> {
    let header = &records[at].fields;
    records[at + 1..]
        .iter()
        .filter(|record| record.fields != *header)
        .map(|record| record.fields.clone())
        .collect()
}

/// The columns of pictures under these names: those that were asked for, or those that are found.
fn judged(names: &[String], contents: &[Contents], hints: &Hints) -> Option<Judged> {
    if hints.columns.is_empty() {
        return judge(names, contents);
    }
    let mut pictures: Vec<usize> = Vec::new();
    for column in &hints.columns {
        pictures.extend(named(names, column)?);
    }
    pictures.sort_unstable();
    pictures.dedup();
    let pictures = pictures.into_iter().map(|index| PictureColumn { index, strict: false }).collect();
    Some(Judged { pictures, surety: Surety::Both, alike: Vec::new() })
}

/// The columns of this name, or of this number from 1.
fn named(names: &[String], column: &str) -> Option<Vec<usize>> {
    let those = |same: &dyn Fn(&str) -> bool| {
        let found: Vec<usize> = (0..names.len()).filter(|index| same(&names[*index])).collect();
        (!found.is_empty()).then_some(found)
    };
    let number = || column.parse::<usize>().ok().filter(|number| (1..=names.len()).contains(number));
    those(&|name| name.trim() == column)
        .or_else(|| those(&|name| name.trim().to_lowercase() == column.to_lowercase()))
        .or_else(|| number().map(|number| vec![number - 1]))
        .or_else(|| those(&|name| !plain(column).is_empty() && plain(name) == plain(column)))
}

/// Of headers below each other (what people read, what programs read) the lowest.
fn lowest(records: &[Sampled], mut at: usize, mut judged: Judged, hints: &Hints) -> (usize, Judged) {
    // What has no row below it is a row.
    while at + 2 < records.len() && at + 1 < HEADERS && is_header_too(&records[at + 1], &judged) {
        let names = &records[at + 1].fields;
        let next = self::judged(names, &contents(names.len(), &rows_after(records, at + 1)), hints);
        let Some(next) = next.filter(|next| next.surety >= judged.surety) else { break };
        (at, judged) = (at + 1, next);
    }
    (at, judged)
}

/// Whether the cells of the columns of pictures are themselves names of such columns.
fn is_header_too(record: &Sampled, judged: &Judged) -> bool {
    let names = || {
        judged.pictures.iter().map(|picture| record.fields.get(picture.index).map_or("", |cell| cell.trim()))
    };
    let says = |name: &str| {
        matches!(meaning(name), Meaning::Picture | Meaning::Weak)
            && !is_placeholder(name)
            && !has_picture_ending(name)
            && !holds_address(name)
    };
    let told = names().filter(|name| says(name)).count();
    told * 2 > judged.pictures.len()
        && is_as_full(record, record.fields.len())
        && !record.fields.iter().any(|field| begins_address(field))
}

/// Whether most of so many columns hold something, unlike a title's above a table.
fn is_as_full(record: &Sampled, columns: usize) -> bool {
    let filled = record.fields.iter().filter(|field| !field.trim().is_empty()).count();
    record.fields.len() == columns && filled * 2 > columns
}

/// A table without a header: its columns are numbered.
fn headless(records: &[Sampled], dialect: Dialect, hints: &Hints) -> Option<Found> {
    let width = records.iter().map(|record| record.fields.len()).max()?;
    let rows: Vec<Vec<String>> = records.iter().map(|record| record.fields.clone()).collect();
    let contents = contents(width, &rows);
    let names: Vec<String> = (1..=width).map(|number| format!("Column {number}")).collect();
    let judged = judged(&names, &contents, hints).or_else(|| {
        let addresses: Vec<usize> = (0..width).filter(|index| contents[*index].addresses() > 0).collect();
        let pictures: Vec<_> =
            addresses.into_iter().map(|index| PictureColumn { index, strict: false }).collect();
        (!pictures.is_empty()).then_some(Judged { pictures, surety: Surety::Cells, alike: Vec::new() })
    })?;
    Some(weighed(records, None, names, judged, dialect, hints))
}

fn weighed(
    records: &[Sampled],
    at: Option<usize>,
    names: Vec<String>,
    judged: Judged,
    dialect: Dialect,
    hints: &Hints,
) -> Found {
    let (columns, first) = (names.len(), judged.pictures.first().map_or(0, |picture| picture.index));
    let name = match &hints.name_column {
        Some(column) => named(&names, column).and_then(|found| found.first().copied()),
        None => (0..columns)
            .filter_map(|index| Some((name_rank(&names[index])?, index)))
            .min()
            .map(|found| found.1),
    };
    let header = Header::new(names, judged.pictures, name);
    let alike = judged.alike.iter().map(|(index, why)| (header.title(*index), (*why).to_owned())).collect();
    let rows = &records[at.map_or(0, |at| at + 1)..];
    let reaching = rows.iter().filter(|row| row.fields.len() > first).count();
    let exact = rows.iter().filter(|row| row.fields.len() == columns).count();
    let tenths = if rows.is_empty() { 10 } else { exact * 10 / rows.len() };
    let worth = (columns > 1, judged.surety, reaching * 2 >= rows.len(), tenths, columns);
    let layout = Layout {
        dialect,
        skip: at.map_or(0, |at| records[at].index + 1),
        header_line: at.map(|at| records[at].line),
        above: at.unwrap_or(0) as u64,
        header,
        alike,
    };
    Found { layout, worth }
}

/// A list of nothing but addresses, a line each or several, without a header.
fn list(sample: Sample<'_>) -> Option<Layout> {
    let dialect = Dialect { delimiter: NO_DELIMITER, backslash: false };
    let (records, _) = sample.records(dialect);
    let mut urls = Urls::default();
    let all = records.iter().all(|record| {
        record.fields.first().is_some_and(|line| {
            urls.clear();
            is_address_alone(line.trim(), &mut urls)
        })
    });
    (!records.is_empty() && all).then(|| Layout {
        dialect,
        header: Header::new(vec![LIST.to_owned()], vec![PictureColumn { index: 0, strict: false }], None),
        skip: 0,
        header_line: None,
        above: 0,
        alike: Vec::new(),
    })
}

/// Whether a line is addresses, or one picture's path, and nothing else.
fn is_address_alone(line: &str, urls: &mut Urls) -> bool {
    if !begins_address(line) {
        return has_picture_ending(line) && !line.contains([',', ';', '\t', '|', '"']);
    }
    urls.read_cell(line, Reading { column: 0, strict: true, base: None });
    let mut at = 0;
    for position in 0..urls.len() {
        let Some(place) = urls.place(position) else { continue };
        if line.get(at..place.at.start).is_none_or(|between| between.contains(char::is_alphanumeric)) {
            return false;
        }
        at = place.at.end;
    }
    line.get(at..).is_some_and(|rest| !rest.contains(char::is_alphanumeric))
}

/// Says which columns there are, but never an address: it may be signed.
fn refusal(sample: Sample<'_>, delimiters: &[u8], hints: &Hints) -> Refusal {
    let tables = delimiters
        .iter()
        .map(|delimiter| sample.records(Dialect { delimiter: *delimiter, backslash: false }));
    let mut tables: Vec<_> = tables.collect();
    tables.sort_by_key(|(records, _)| {
        std::cmp::Reverse(records.first().map_or(0, |record| record.fields.len()))
    });
    let Some((records, open)) = tables.into_iter().next() else {
        return refused(1, "The catalogue is empty.".to_owned());
    };
    let Some(first) = records.first() else {
        return refused(
            1,
            match open {
                true => "A quote opened in the first row is never closed.".to_owned(),
                false if !sample.ended => "The first row is too long for a header.".to_owned(),
                false => "The catalogue is empty.".to_owned(),
            },
        );
    };
    let names: Vec<String> = first
        .fields
        .iter()
        .filter(|name| !name.trim().is_empty() && !name.contains("://"))
        .map(|name| shown(name))
        .collect();
    let among = names.iter().take(12).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" ");
    if let Some(row) =
        hints.header_row.filter(|row| *row > 0 && !records.iter().any(|record| record.line == *row))
    {
        return refused(row, format!("There is no row {row} for a header: give another --header-row."));
    }
    if let Some(column) = hints.columns.iter().find(|column| named(&first.fields, column).is_none()) {
        return refused(
            first.line,
            format!(
                "There is no column '{}' among {among}: give --column another name or a number from 1.",
                shown(column)
            ),
        );
    }
    if first.fields.iter().any(|name| begins_address(name)) {
        let advice =
            "Put a row such as 'Product Name' and 'Input Image Urls' above it or give --header-row 0.";
        return refused(
            first.line,
            format!("The first row holds an image address: the header is missing. {advice}"),
        );
    }
    let contents = contents(first.fields.len(), &rows_after(&records, 0));
    let holding = (0..first.fields.len()).filter(|index| contents[*index].addresses() > 0);
    let holding: Vec<String> =
        holding.map(|index| shown(&first.fields[index])).filter(|name| !name.is_empty()).take(6).collect();
    let advice = match holding.first() {
        Some(column) => format!(
            "Addresses stand in {}: --column \"{column}\" reads them as pictures.",
            holding.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" ")
        ),
        None => "Name it 'Input Image Urls' or give --column NAME.".to_owned(),
    };
    refused(first.line, format!("No column of pictures among {among}. {advice}"))
}

fn refused(line: u64, reason: String) -> Refusal {
    Refusal { code: Code::CatalogueHeader, line, reason }
}
