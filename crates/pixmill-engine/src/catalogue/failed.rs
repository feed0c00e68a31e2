//! Failed images, a line each, and the same lines corrected on their way back.

use std::io::{self, Cursor, Read};

use super::cells::push_field;
use super::columns::judge;
use super::fields::Fields;
use super::header::PictureColumn;
use super::hints::Hints;
use super::read::{Catalogue, Next, Row};
use super::refusal::OpenError;
use super::results::{SlotError, push_error};
use super::scan::Scan;
use super::understood::Understood;
use super::urls::{Reading, Urls};
use crate::code::Code;
use crate::model::image::Correction;
use crate::model::row::RowError;

/// The columns that say which image a line is about: counted from 1.
pub const NUMBERS: [&str; 2] = ["Row", "Position"];

/// The column that says in which column the image stands.
const COLUMN: &str = "Column";

/// The column that says why it failed.
const ERRORS: &str = "Image Errors";

/// Writes failed images: their numbers, the original columns with the failed address alone, and the reason.
pub struct FailedWriter {
    columns: Vec<String>,
    pictures: Vec<PictureColumn>,
    text: String,
    scan: Scan,
    urls: Urls,
    error: String,
}

impl FailedWriter {
    /// Begins with a header that was kept as [`Header::cells`](super::Header::cells), of a catalogue that was understood so.
    pub fn new(header_cells: &str, understood: &Understood) -> Self {
        let mut scan = Scan::default();
        scan.record(header_cells.as_bytes(), b',', true);
        let fields = Fields { text: header_cells, spans: &scan.fields };
        let columns: Vec<String> = (0..fields.len()).map(|index| fields.value(index).into_owned()).collect();
        let told = understood.columns.iter().map(|column| PictureColumn {
            index: usize::try_from(column.number).unwrap_or(0).saturating_sub(1),
            strict: column.strict,
        });
        let mut pictures: Vec<PictureColumn> = told.collect();
        if pictures.is_empty() {
            pictures = judge(&columns, &[]).map(|judged| judged.pictures).unwrap_or_default();
        }
        let [row, position] = NUMBERS;
        // Where there is but one, it needs no name.
        let column = if pictures.len() > 1 { format!("{COLUMN},") } else { String::new() };
        let text = format!("{row},{position},{column}{header_cells},{ERRORS}\n");
        FailedWriter { columns, pictures, text, scan, urls: Urls::default(), error: String::new() }
    }

    /// Writes a line: row and position from 1, the row's [`cells`](super::Row::cells), the image's address.
    pub fn line(&mut self, row: u64, position: u32, cells: &str, input: &str, error: Option<SlotError<'_>>) {
        self.text.push_str(&format!("{row},{position}"));
        self.scan.record(cells.as_bytes(), b',', true);
        let fields = Fields { text: cells, spans: &self.scan.fields };
        let column = column_of(&mut self.urls, &fields, &self.pictures, position);
        if self.pictures.len() > 1 {
            push_field(&mut self.text, false, self.columns.get(column).map_or("", String::as_str));
        }
        for index in 0..fields.len() {
            match self.pictures.iter().any(|picture| picture.index == index) {
                true if index == column => push_field(&mut self.text, false, input),
                true => push_field(&mut self.text, false, ""),
                false => push_field(&mut self.text, false, &fields.value(index)),
            }
        }
        self.error.clear();
        if let Some(error) = error {
            push_error(&mut self.error, error.code, error.sentence);
        }
        push_field(&mut self.text, false, &self.error);
        self.text.push('\n');
    }

    /// What has been written since this was asked last.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }
}

/// The column in which the image at a position, from 1, stands.
fn column_of(urls: &mut Urls, fields: &Fields<'_>, pictures: &[PictureColumn], position: u32) -> usize {
    urls.clear();
    for picture in pictures {
        let reading = Reading { column: picture.index, strict: picture.strict, base: None };
        urls.read_cell(&fields.value(picture.index), reading);
    }
    let first = pictures.first().map_or(0, |picture| picture.index);
    urls.column((position as usize).saturating_sub(1)).unwrap_or(first)
}

/// Why corrections can't be read.
#[derive(Debug)]
pub enum Misread {
    /// Lines that can't be used, the first `most`; at least one.
    Lines(Vec<RowError>),
    /// The reader failed.
    Io(io::Error),
}

/// Reads corrections: the lines of [`FailedWriter`] with better addresses. All of them can be used, or none. Each comes
/// with its line, from 1.
///
/// # Errors
/// What is wrong with the first `most` lines that can't be used, or with the whole.
pub fn read_corrections(mut reader: impl Read, most: usize) -> Result<Vec<(u64, Correction)>, Misread> {
    let mut text = Vec::new();
    reader.read_to_end(&mut text).map_err(Misread::Io)?;
    // Where each line names its column, it does not matter which columns look like pictures.
    let by_line = Hints { columns: vec![COLUMN.to_owned(), NUMBERS[0].to_owned()], ..Hints::default() };
    let mut catalogue = match Catalogue::open_as(Cursor::new(&text), &by_line) {
        Ok(catalogue) if numbers(&catalogue.header().columns).is_some() => catalogue,
        _ => Catalogue::open(Cursor::new(&text)).map_err(misread)?,
    };
    let columns = catalogue.header().columns.clone();
    let numbers = numbers(&columns).ok_or_else(|| {
        let message = format!(
            "The header lacks '{}' and '{}': send the file of failed images back.",
            NUMBERS[0], NUMBERS[1]
        );
        Misread::Lines(vec![RowError { line: 1, code: Code::CatalogueHeader, message }])
    })?;
    let (mut corrections, mut errors) = (Vec::new(), Vec::new());
    let (mut row, mut scan) = (Row::default(), Scan::default());
    loop {
        let (line, found) = match catalogue.next_row(&mut row).map_err(Misread::Io)? {
            Next::End => break,
            Next::Bad(bad) => (bad.line, Err(bad.reason)),
            Next::Row => (row.line, correction(&row, &columns, numbers, &mut scan)),
        };
        match found {
            Ok(correction) => corrections.push((line, correction)),
            Err(message) if errors.len() < most => {
                errors.push(RowError { line, code: Code::CatalogueRow, message });
            }
            Err(_) => {}
        }
    }
    if errors.is_empty() { Ok(corrections) } else { Err(Misread::Lines(errors)) }
}

fn misread(error: OpenError) -> Misread {
    match error {
        OpenError::Refused(refusal) => {
            Misread::Lines(vec![RowError { line: refusal.line, code: refusal.code, message: refusal.reason }])
        }
        OpenError::Io(error) => Misread::Io(error),
    }
}

/// The column of this name.
fn column(columns: &[String], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.trim().eq_ignore_ascii_case(name))
}

/// The columns that hold row and position.
fn numbers(columns: &[String]) -> Option<[usize; 2]> {
    Some([column(columns, NUMBERS[0])?, column(columns, NUMBERS[1])?])
}

fn correction(
    row: &Row,
    columns: &[String],
    numbers: [usize; 2],
    scan: &mut Scan,
) -> Result<Correction, String> {
    scan.record(row.cells.as_bytes(), b',', true);
    let fields = Fields { text: &row.cells, spans: &scan.fields };
    let number = |at: usize, name: &str| {
        let value = fields.value(numbers[at]);
        let number = value.trim().parse::<u32>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("'{}' is no {name}: allowed are whole numbers from 1.", value.trim()))
    };
    let (line, position) = (number(0, NUMBERS[0])?, number(1, NUMBERS[1])?);
    let mut urls = Urls::default();
    match column(columns, COLUMN) {
        Some(named) => {
            let name = fields.value(named);
            let cells = (0..columns.len()).filter(|index| *index != named && columns[*index] == *name);
            let cell = cells
                .map(|index| fields.value(index))
                .find(|cell| !cell.trim().is_empty())
                .unwrap_or_default();
            urls.read_cell(&cell, Reading { column: 0, strict: false, base: None });
        }
        None => urls = row.urls.clone(),
    }
    match urls.get(0) {
        Some(url) if urls.len() == 1 => {
            Ok(Correction { row: u64::from(line) - 1, position: position - 1, input: url.to_owned() })
        }
        Some(_) => Err("The line holds several addresses: a line is about one image.".to_owned()),
        None => Err("The line holds no address.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, String)> {
        match read_corrections(text.as_bytes(), 9) {
            Err(Misread::Lines(errors)) => {
                errors.into_iter().map(|error| (error.line, error.message)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_comes_back() {
        let mut writer = FailedWriter::new("Name,Image Urls", &Understood::default());
        let error = SlotError { code: Code::FetchStatus, sentence: "404, not found" };
        writer.line(
            3,
            2,
            "\"Mug, blue\",\"http://a/1.jpg, http://a/2.jpg\"",
            "http://a/w_1,h_2/2.jpg",
            Some(error),
        );
        let text = String::from_utf8(writer.take()).expect("text");
        assert_eq!(
            text,
            "Row,Position,Name,Image Urls,Image Errors\n3,2,\"Mug, blue\",\"http://a/w_1,h_2/2.jpg\",fetch.status 404; not found\n"
        );
        let back = read_corrections(text.as_bytes(), 9).expect("what was written can be read");
        let correction = Correction { row: 2, position: 1, input: "http://a/w_1,h_2/2.jpg".into() };
        assert_eq!(back, [(2, correction)]);
        writer.line(4, 1, "Cup,x", "x", None);
        assert_eq!(writer.take(), b"4,1,Cup,x,\n");
    }

    #[test]
    fn of_several_columns_the_one_is_named_in_which_the_image_stands() {
        let column = |number| crate::catalogue::Column { number, ..Default::default() };
        let understood = Understood { columns: vec![column(2), column(3)], ..Understood::default() };
        let mut writer = FailedWriter::new("Name,Image,Gallery", &understood);
        writer.line(1, 3, "Mug,http://a/1.jpg,\"http://a/2.jpg,http://a/3.jpg\"", "http://a/3.jpg", None);
        let text = String::from_utf8(writer.take()).expect("text");
        assert_eq!(text.lines().nth(1), Some("1,3,Gallery,Mug,,http://a/3.jpg,"));
        let back = read_corrections(text.replace("3.jpg", "4.jpg").as_bytes(), 9).expect("it can be read");
        assert_eq!(back, [(2, Correction { row: 0, position: 2, input: "http://a/4.jpg".into() })]);
    }

    #[test]
    fn each_line_that_is_wrong_is_named() {
        let wrong = lines("Row,Position,Image Urls\n0,1,http://a/1\n1,x,http://a/1\n1,1,\n1,2,http://a/1\n");
        assert_eq!(wrong.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        let several = lines("Row,Position,Image Urls\n1,1,\"http://a/1, http://a/2\"\n");
        assert!(several[0].1.contains("several"), "{several:?}");
        assert!(lines("Name,Image Urls\nMug,http://a/1\n")[0].1.contains("'Row'"));
        assert_eq!(lines("elephant\n")[0].0, 1);
    }
}
