//! Failed images, a line each, and the same lines corrected on their way back.

use std::io::{self, Read};

use super::cells::push_field;
use super::fields::Fields;
use super::header::Header;
use super::read::{Catalogue, Next, OpenError, Row};
use super::results::{SlotError, push_error};
use super::scan::Scan;
use crate::code::Code;
use crate::model::image::Correction;
use crate::model::row::RowError;

/// The columns that say which image a line is about: counted from 1.
pub const NUMBERS: [&str; 2] = ["Row", "Position"];

/// The column that says why it failed.
const ERRORS: &str = "Image Errors";

/// Writes failed images: their numbers, the original columns with the failed address alone, and the reason.
pub struct FailedWriter {
    /// The address column.
    url: Option<usize>,
    text: String,
    scan: Scan,
    error: String,
}

impl FailedWriter {
    /// Begins with a header that was kept as [`Header::cells`].
    pub fn new(header_cells: &str) -> Self {
        let mut scan = Scan::default();
        scan.record(header_cells.as_bytes(), b',', true);
        let header = Header::read(&Fields { text: header_cells, spans: &scan.fields });
        let [row, position] = NUMBERS;
        FailedWriter {
            url: header.map(|(header, _)| header.url),
            text: format!("{row},{position},{header_cells},{ERRORS}\n"),
            scan,
            error: String::new(),
        }
    }

    /// Writes a line: row and position from 1, the row's [`cells`](super::Row::cells), the image's address.
    pub fn line(&mut self, row: u64, position: u32, cells: &str, input: &str, error: Option<SlotError<'_>>) {
        self.text.push_str(&format!("{row},{position}"));
        self.scan.record(cells.as_bytes(), b',', true);
        let fields = Fields { text: cells, spans: &self.scan.fields };
        for column in 0..fields.len() {
            match Some(column) == self.url {
                true => push_field(&mut self.text, false, input),
                false => push_field(&mut self.text, false, &fields.value(column)),
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
pub fn read_corrections(reader: impl Read, most: usize) -> Result<Vec<(u64, Correction)>, Misread> {
    let mut catalogue = Catalogue::open(reader).map_err(|error| match error {
        OpenError::Refused(refusal) => {
            let error = RowError { line: refusal.line, code: refusal.code, message: refusal.reason };
            Misread::Lines(vec![error])
        }
        OpenError::Io(error) => Misread::Io(error),
    })?;
    let numbers = numbers(catalogue.header()).ok_or_else(|| {
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
            Next::Row => (row.line, correction(&row, numbers, &mut scan)),
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

/// The columns that hold row and position.
fn numbers(header: &Header) -> Option<[usize; 2]> {
    let find = |name: &str| header.columns.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
    Some([find(NUMBERS[0])?, find(NUMBERS[1])?])
}

fn correction(row: &Row, numbers: [usize; 2], scan: &mut Scan) -> Result<Correction, String> {
    scan.record(row.cells.as_bytes(), b',', true);
    let fields = Fields { text: &row.cells, spans: &scan.fields };
    let number = |at: usize, name: &str| {
        let value = fields.value(numbers[at]);
        let number = value.trim().parse::<u32>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("'{}' is no {name}: allowed are whole numbers from 1.", value.trim()))
    };
    let (line, position) = (number(0, NUMBERS[0])?, number(1, NUMBERS[1])?);
    match row.urls.get(0) {
        Some(url) if row.urls.len() == 1 => {
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
        let mut writer = FailedWriter::new("Name,Image Urls");
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
    fn each_line_that_is_wrong_is_named() {
        let wrong = lines("Row,Position,Image Urls\n0,1,http://a/1\n1,x,http://a/1\n1,1,\n1,2,http://a/1\n");
        assert_eq!(wrong.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
        let several = lines("Row,Position,Image Urls\n1,1,\"http://a/1, http://a/2\"\n");
        assert!(several[0].1.contains("several"), "{several:?}");
        assert!(lines("Name,Image Urls\nMug,http://a/1\n")[0].1.contains("'Row'"));
        assert_eq!(lines("elephant\n")[0].0, 1);
    }
}
