//! A record of JSON laid flat: its columns are the paths that lead to its values, in which lists have no numbers.
//!
//! `{"cover": {"url": "a"}, "images": [{"src": "b"}, {"src": "c"}]}` has the columns `cover.url` and `images.src`, of which the
//! second holds both, as a list of JSON.

use std::collections::HashMap;
use std::ops::Range;

use super::super::naming::{Meaning, meaning};
use super::scan::{Piece, Pieces};

/// Columns that are made.
const MOST_COLUMNS: usize = 2_000;

/// Names of members that are as numbers in a list: at least so many hexadecimal signs.
const LEAST_ID: usize = 16;

/// The columns.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    by_name: HashMap<String, usize>,
}

/// What a record holds in one column: strings and others, in their order.
type Values = Vec<(Range<usize>, bool)>;

/// A record's values by column. Meant to be filled again and again.
#[derive(Debug, Default)]
pub(super) struct Flat {
    values: Vec<Values>,
    /// Addresses were found where there is no column.
    pub(super) unread: bool,
}

impl Columns {
    /// Adds the columns of a record.
    pub(super) fn learn(&mut self, record: &[u8]) {
        let _ = walk(record, |path, _, _| {
            if !self.by_name.contains_key(path) && self.names.len() < MOST_COLUMNS {
                self.by_name.insert(path.to_owned(), self.names.len());
                self.names.push(path.to_owned());
            }
        });
    }

    /// Lays a record flat.
    ///
    /// # Errors
    /// For what is no object of JSON.
    pub(super) fn lay(&self, record: &[u8], flat: &mut Flat) -> Result<(), ()> {
        flat.values.resize_with(self.names.len(), Vec::new);
        flat.values.iter_mut().for_each(Vec::clear);
        flat.unread = false;
        if !record.starts_with(b"{") {
            return Err(());
        }
        walk(record, |path, value, is_string| match self.by_name.get(path) {
            Some(column) => flat.values[*column].push((value, is_string)),
            None => {
                let holds = is_string && record[value].starts_with(b"http");
                flat.unread |= holds && matches!(meaning(path), Meaning::Picture | Meaning::Weak);
            }
        })
    }
}

impl Flat {
    /// The cell of a column as text.
    pub(super) fn cell(&self, record: &[u8], column: usize, cell: &mut String) {
        cell.clear();
        match self.values.get(column).map_or(&[][..], Vec::as_slice) {
            [] => {}
            [(value, true)] => cell.push_str(&string(&record[value.clone()])),
            [(value, false)] => cell.push_str(&text(&record[value.clone()])),
            several => {
                for (index, (value, is_string)) in several.iter().enumerate() {
                    cell.push_str(if index == 0 { "[" } else { "," });
                    let quote = if *is_string { "\"" } else { "" };
                    cell.push_str(quote);
                    cell.push_str(&text(&record[value.clone()]));
                    cell.push_str(quote);
                }
                cell.push(']');
            }
        }
    }

    /// Where strings are, and the column of each.
    pub(super) fn strings(&self) -> Vec<(usize, Range<usize>)> {
        let columns = self.values.iter().enumerate();
        let strings = columns.flat_map(|(column, values)| {
            values.iter().filter(|(_, is_string)| *is_string).map(move |(at, _)| (column, at.clone()))
        });
        strings.collect()
    }
}

pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A string as it is meant.
pub(super) fn string(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    if !bytes.contains(&b'\\') {
        return text(bytes);
    }
    let quoted = [b"\"", bytes, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(meant) => meant.into(),
        Err(_) => text(bytes).replace("\\/", "/").into(),
    }
}

/// Hands over each value of an object or list, null and empty lists left out, with its path.
fn walk(record: &[u8], mut found: impl FnMut(&str, Range<usize>, bool)) -> Result<(), ()> {
    let mut pieces = Pieces::new(record);
    let mut path = String::new();
    // Of each open one, how long the path is before it, and whether it is a list.
    let mut open: Vec<(usize, bool)> = Vec::new();
    while let Some(piece) = pieces.next()? {
        match piece {
            Piece::Open { list } => open.push((path.len(), list)),
            Piece::Close => {
                open.pop();
            }
            Piece::Key(name) => {
                path.truncate(open.last().map_or(0, |(length, _)| *length));
                let name = string(&record[name]);
                if !is_number(&name) || path.is_empty() {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(&name);
                }
                continue;
            }
            Piece::String(at) => found(&path, at, true),
            Piece::Bare(at) if record[at.clone()] == *b"null" => {}
            Piece::Bare(at) => found(&path, at, false),
        }
        // After a value, a list's path is the list's.
        if let Some((length, true)) = open.last() {
            path.truncate(*length);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(()) }
}

/// Whether a member's name is as a number in a list, as PHP writes lists, or an id.
fn is_number(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let id = name.len() >= LEAST_ID
        && digits > 3
        && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    !name.is_empty() && (digits == name.len() || id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(record: &str) -> Vec<(String, String)> {
        let (mut columns, mut flat, mut cell) = (Columns::default(), Flat::default(), String::new());
        columns.learn(record.as_bytes());
        columns.lay(record.as_bytes(), &mut flat).expect("an object");
        let cells = columns.names.iter().enumerate().map(|(column, name)| {
            flat.cell(record.as_bytes(), column, &mut cell);
            (name.clone(), cell.clone())
        });
        cells.collect()
    }

    #[test]
    fn paths_are_columns_and_lists_stay_in_one() {
        let record = r#"{"name":"Cap \"red\"","n":1.50,"x":null,"cover":{"media":{"url":"a\/b"}},
            "images":[{"src":"http:\/\/a\/1","alt":"A"},{"src":"b","alt":null}],"tags":[],"urls":["c"],
            "by":{"0":{"u":"d"},"12":{"u":"e"}},"on":true}"#;
        let want = [
            ("name", "Cap \"red\""),
            ("n", "1.50"),
            ("cover.media.url", "a/b"),
            ("images.src", r#"["http:\/\/a\/1","b"]"#),
            ("images.alt", "A"),
            ("urls", "c"),
            ("by.u", r#"["d","e"]"#),
            ("on", "true"),
        ];
        let got = flat(record);
        let got: Vec<(&str, &str)> = got.iter().map(|(name, cell)| (name.as_str(), cell.as_str())).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn what_has_no_column_is_told_where_it_may_be_a_picture() {
        let (mut columns, mut flat) = (Columns::default(), Flat::default());
        columns.learn(br#"{"a":1}"#);
        for (record, unread) in [
            (&br#"{"a":2}"#[..], false),
            (br#"{"a":2,"image":"http://a/1"}"#, true),
            (br#"{"a":2,"page":"http://a/1"}"#, false),
        ] {
            columns.lay(record, &mut flat).expect("an object");
            assert_eq!(flat.unread, unread);
        }
        for broken in [&b"[1]"[..], b"{\"a\":1", b"{\"a\":1]", b"3"] {
            assert_eq!(columns.lay(broken, &mut flat), Err(()));
        }
    }
}
