//! Rows of an OpenDocument spreadsheet (.ods), read as they stand in its table.

use std::io;

use super::super::package::Package;
use super::cell;
use super::xml::{Token, Xml, attribute};
use super::{MOST_COLUMNS, Named, Record};

const CONTENT: &str = "content.xml";

/// Whether a package is a spreadsheet.
pub(super) fn is_spreadsheet(package: &Package) -> io::Result<bool> {
    if !package.has(CONTENT) {
        return Ok(false);
    }
    let mut xml = Xml::new(package.part(CONTENT)?);
    loop {
        match xml.next()? {
            Token::Start(element) if element.local_name().as_ref() == b"spreadsheet" => return Ok(true),
            Token::Start(element)
                if matches!(element.local_name().as_ref(), b"text" | b"presentation" | b"drawing")
                    && element.name().as_ref().starts_with(b"office:") =>
            {
                return Ok(false);
            }
            Token::Finished => return Ok(false),
            _ => {}
        }
    }
}

/// The tables of a spreadsheet; the part of each is its number.
pub(super) fn sheets(package: &Package) -> io::Result<Vec<Named>> {
    let mut sheets = Vec::new();
    let mut xml = Xml::new(package.part(CONTENT)?);
    loop {
        match xml.next()? {
            Token::Start(table) if table.local_name().as_ref() == b"table" => {
                let name = attribute(&table, "name").unwrap_or_default();
                sheets.push(Named { name, part: sheets.len().to_string() });
            }
            Token::Finished => return Ok(sheets),
            _ => {}
        }
    }
}

/// A table that is being read.
pub(super) struct Ods {
    xml: Xml,
    row: u64,
    /// How many times more the row that was read last is to be handed out, and its number.
    again: u64,
    ended: bool,
}

impl Ods {
    pub(super) fn open(package: &Package, number: &str) -> io::Result<Self> {
        let mut left: usize = number.parse().unwrap_or(0);
        let mut xml = Xml::new(package.part(CONTENT)?);
        loop {
            match xml.next()? {
                Token::Start(table) if table.local_name().as_ref() == b"table" => match left {
                    0 => break,
                    _ => left -= 1,
                },
                Token::Finished => break,
                _ => {}
            }
        }
        Ok(Ods { xml, row: 0, again: 0, ended: false })
    }

    /// Fills in the next row that holds something; its number from 1, or none at the end.
    pub(super) fn next(&mut self, record: &mut Record) -> io::Result<Option<u64>> {
        if self.again > 0 {
            self.again -= 1;
            self.row += 1;
            return Ok(Some(self.row));
        }
        while !self.ended {
            record.clear();
            match self.xml.next()? {
                Token::Start(row) if row.local_name().as_ref() == b"table-row" => {
                    let times = repeated(attribute(&row, "number-rows-repeated"));
                    self.cells(record)?;
                    if record.is_blank() {
                        self.row += times;
                        continue;
                    }
                    self.row += 1;
                    self.again = times - 1;
                    return Ok(Some(self.row));
                }
                Token::End(table) if table.local_name().as_ref() == b"table" => self.ended = true,
                Token::Finished => self.ended = true,
                _ => {}
            }
        }
        Ok(None)
    }

    fn cells(&mut self, record: &mut Record) -> io::Result<()> {
        let (mut column, mut times) = (0u64, 1);
        let (mut shown, mut formula, mut value, mut link) =
            (String::new(), String::new(), String::new(), None);
        let (mut paragraphs, mut within, mut note) = (0, false, false);
        loop {
            match self.xml.next()? {
                Token::Start(element) => match element.local_name().as_ref() {
                    b"table-cell" | b"covered-table-cell" => {
                        shown.clear();
                        formula.clear();
                        (paragraphs, link) = (0, None);
                        times = repeated(attribute(&element, "number-columns-repeated"));
                        formula.push_str(&attribute(&element, "formula").unwrap_or_default());
                        value = attribute(&element, "value").unwrap_or_default();
                    }
                    b"annotation" => note = true,
                    b"p" if !note => {
                        within = true;
                        paragraphs += 1;
                        if paragraphs > 1 {
                            shown.push('\n');
                        }
                    }
                    b"a" if !note => link = attribute(&element, "href").or(link),
                    b"s" if within => {
                        let spaces =
                            attribute(&element, "c").and_then(|count| count.parse().ok()).unwrap_or(1);
                        shown.extend(std::iter::repeat_n(' ', usize::min(spaces, 1000)));
                    }
                    b"tab" if within => shown.push('\t'),
                    b"line-break" if within => shown.push('\n'),
                    _ => {}
                },
                Token::Text(text) if within && !note => shown.push_str(&text),
                Token::End(element) => match element.local_name().as_ref() {
                    b"p" => within = false,
                    b"annotation" => note = false,
                    b"table-cell" | b"covered-table-cell" => {
                        // What a number is shown as depends on the reader's country.
                        let shown = if value.is_empty() { &shown } else { &value };
                        let text = cell::text(shown, &formula, link.as_deref());
                        if !text.is_empty() {
                            for at in column..(column + times).min(u64::from(MOST_COLUMNS)) {
                                record.put(at as usize, &text);
                            }
                        }
                        column += times;
                    }
                    b"table-row" => return Ok(()),
                    _ => {}
                },
                Token::Finished => return Ok(()),
                _ => {}
            }
        }
    }
}

fn repeated(attribute: Option<String>) -> u64 {
    attribute.and_then(|count| count.parse().ok()).unwrap_or(1).clamp(1, 1 << 24)
}
