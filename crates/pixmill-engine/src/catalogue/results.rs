//! Results: the original columns, then what became of the images.

use std::io::{self, Write};

use super::cells::push_field;
use super::header::Header;
use crate::code::Code;

/// The columns that results add, in their order, and last.
pub const ADDED_COLUMNS: [&str; 5] =
    ["Output Image Urls", "Image Status", "Image Errors", "Bytes Before", "Bytes After"];

/// The column before them that tells what outputs lack, where one of the catalogue's lacks anything.
const NOTES_COLUMN: &str = "Image Notes";

/// What became of one image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slot<'a> {
    /// Where the output is; empty without one.
    pub output: &'a str,
    /// The image's state.
    pub status: &'a str,
    /// Why there is no output.
    pub error: Option<SlotError<'a>>,
    /// What the output lacks.
    pub note: Option<&'a str>,
    /// The source's size in bytes.
    pub bytes_before: Option<u64>,
    /// The output's size in bytes.
    pub bytes_after: Option<u64>,
}

/// Why an image failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotError<'a> {
    /// From the one list.
    pub code: Code,
    /// What was wrong.
    pub sentence: &'a str,
}

/// Writes results: comma-separated, UTF-8 without a byte order mark, a newline after each row. Writes in small
/// pieces, so hand in something buffered.
#[derive(Debug)]
pub struct ResultsWriter<W> {
    out: W,
    /// Where results have that column.
    notes: Option<String>,
    columns: [String; ADDED_COLUMNS.len()],
    record: String,
}

impl<W: Write> ResultsWriter<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        Self::with_columns(out, &header.cells, false)
    }

    /// Begins with a header that was kept as [`Header::cells`], with a column for notes or without.
    ///
    /// # Errors
    /// The writer's.
    pub fn with_columns(out: W, header_cells: &str, notes: bool) -> io::Result<Self> {
        let mut writer = ResultsWriter::going_on(out, notes);
        writer.notes = notes.then(|| NOTES_COLUMN.to_owned());
        writer.columns = ADDED_COLUMNS.map(str::to_owned);
        writer.write(header_cells)?;
        Ok(writer)
    }

    /// Goes on after rows that another writer wrote, which had a column for notes or none.
    pub fn going_on(out: W, notes: bool) -> Self {
        ResultsWriter {
            out,
            notes: notes.then(String::new),
            columns: Default::default(),
            record: String::new(),
        }
    }

    /// Writes a row: its [`cells`](super::Row::cells), and an entry a slot in each added column.
    ///
    /// # Errors
    /// The writer's.
    pub fn row<'a>(&mut self, cells: &str, slots: impl IntoIterator<Item = Slot<'a>>) -> io::Result<()> {
        self.clear();
        for (position, slot) in slots.into_iter().enumerate() {
            if position > 0 {
                self.columns.iter_mut().chain(&mut self.notes).for_each(|column| column.push_str(", "));
            }
            let [outputs, statuses, errors, before, after] = &mut self.columns;
            if let (Some(notes), Some(note)) = (&mut self.notes, slot.note) {
                push_entry(notes, note);
            }
            push_output(outputs, slot.output);
            push_entry(statuses, slot.status);
            if let Some(error) = slot.error {
                push_error(errors, error.code, error.sentence);
            }
            push_number(before, slot.bytes_before);
            push_number(after, slot.bytes_after);
        }
        self.write(cells)
    }

    /// Writes a row that could not be used: its [`cells`](super::Kept::cells) and why.
    ///
    /// # Errors
    /// The writer's.
    pub fn bad_row(&mut self, cells: &str, code: Code, reason: &str) -> io::Result<()> {
        self.clear();
        push_error(&mut self.columns[2], code, reason);
        self.write(cells)
    }

    /// Hands back what was written to, flushed.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn clear(&mut self) {
        self.columns.iter_mut().chain(&mut self.notes).for_each(String::clear);
    }

    fn write(&mut self, cells: &str) -> io::Result<()> {
        self.record.clear();
        self.record.push_str(cells);
        for column in self.notes.iter().chain(&self.columns) {
            push_field(&mut self.record, false, column);
        }
        self.record.push('\n');
        self.out.write_all(self.record.as_bytes())
    }
}

fn push_number(column: &mut String, number: Option<u64>) {
    if let Some(number) = number {
        column.push_str(&number.to_string());
    }
}

pub(super) fn push_error(column: &mut String, code: Code, sentence: &str) {
    column.push_str(code.as_str());
    column.push(' ');
    push_entry(column, sentence.trim());
}

/// Entries are joined by commas, so they hold none themselves, nor a line end.
fn push_entry(column: &mut String, entry: &str) {
    column.extend(entry.chars().map(|c| match c {
        ',' => ';',
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        c => c,
    }));
}

/// A comma in an address can be written otherwise; in a path it can't, and is left to who names outputs.
fn push_output(column: &mut String, output: &str) {
    if output.contains(',') && output.contains("://") {
        column.push_str(&output.replace(',', "%2C"));
    } else {
        column.push_str(output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut ResultsWriter<Vec<u8>>) -> io::Result<()>) -> String {
        let mut writer =
            ResultsWriter::with_columns(Vec::new(), "name,urls", false).expect("memory does not fail");
        write(&mut writer).expect("memory does not fail");
        String::from_utf8(writer.finish().expect("memory does not fail")).expect("UTF-8")
    }

    const HEAD: &str = "name,urls,Output Image Urls,Image Status,Image Errors,Bytes Before,Bytes After\n";

    fn done(output: &str) -> Slot<'_> {
        Slot {
            output,
            status: "completed",
            error: None,
            note: None,
            bytes_before: Some(1000),
            bytes_after: Some(400),
        }
    }

    #[test]
    fn every_slot_has_an_entry_in_every_column() {
        let error = SlotError { code: Code::FetchStatus, sentence: "The server answered 404, not found.\n" };
        let gone = Slot { status: "failed", error: Some(error), ..Slot::default() };
        let text = written(|writer| {
            writer.row("Mug,\"a,b,c\"", [done("o/1.jpg"), gone, done("o/3.jpg")])?;
            writer.row("Cup,d", [gone])?;
            writer.row("Jug,", [])
        });
        let rows = "Mug,\"a,b,c\",\"o/1.jpg, , o/3.jpg\",\"completed, failed, completed\",\
                    \", fetch.status The server answered 404; not found., \",\"1000, , 1000\",\"400, , 400\"\n\
                    Cup,d,,failed,fetch.status The server answered 404; not found.,,\n\
                    Jug,,,,,,\n";
        assert_eq!(text, format!("{HEAD}{rows}"));
    }

    #[test]
    fn notes_have_a_column_of_their_own_before_the_others() {
        let header = ResultsWriter::with_columns(Vec::new(), "name,urls", true).unwrap().finish().unwrap();
        let mut writer = ResultsWriter::going_on(header, true);
        let still = Slot { note: Some("only the first of 6 frames is kept"), ..done("o/2.jpg") };
        writer.row("Mug,a b", [done("o/1.jpg"), still]).unwrap();
        writer.bad_row("Cup,", Code::CatalogueRow, "Its urls are missing.").unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some(
                "name,urls,Image Notes,Output Image Urls,Image Status,Image Errors,Bytes Before,Bytes After"
            )
        );
        assert_eq!(
            lines.next(),
            Some(
                "Mug,a b,\", only the first of 6 frames is kept\",\"o/1.jpg, o/2.jpg\",\"completed, completed\",\
                 \", \",\"1000, 1000\",\"400, 400\""
            )
        );
        assert_eq!(lines.next(), Some("Cup,,,,,catalogue.row Its urls are missing.,,"));
    }

    #[test]
    fn an_unusable_row_has_only_an_error() {
        let text =
            written(|writer| writer.bad_row("Mug,", Code::CatalogueRow, "Its urls, alas,\nare missing."));
        assert_eq!(text, format!("{HEAD}Mug,,,,catalogue.row Its urls; alas; are missing.,,\n"));
    }

    #[test]
    fn entries_hold_no_comma() {
        let text = written(|writer| writer.row("Mug,a", [done("https://res.example.com/w_1,h_2/a.jpg")]));
        assert_eq!(
            text,
            format!("{HEAD}Mug,a,https://res.example.com/w_1%2Ch_2/a.jpg,completed,,1000,400\n")
        );
    }
}
