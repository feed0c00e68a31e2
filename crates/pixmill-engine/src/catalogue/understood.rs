//! What a catalogue was understood as: told before a run, after it, and to whoever asks.

use std::fmt;

use serde_json::{Value, json};

use super::header::shown;
use super::hints::Hints;

/// What was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Understood {
    /// What kind of file it is, such as `CSV`.
    pub format: String,
    /// What its text is in, such as `UTF-8`.
    pub encoding: String,
    /// What parts its fields, where anything does.
    pub delimiter: Option<char>,
    /// The sheet that is read, of a spreadsheet.
    pub sheet: Option<String>,
    /// The sheets there are in it.
    pub sheets: Vec<String>,
    /// The header's line, from 1, where there is one.
    pub header_line: Option<u64>,
    /// Rows above the header, which are kept out.
    pub rows_above: u64,
    /// The columns of pictures, left to right.
    pub columns: Vec<Column>,
    /// The column of products' names.
    pub name_column: Option<String>,
    /// Columns that look like pictures and are not read, and why.
    pub unread: Vec<(String, String)>,
    /// Rows that can be used, so far.
    pub rows: u64,
    /// Cells, or parts of them, that say that there is no picture, such as `N/A`.
    pub placeholders: u64,
    /// NUL bytes that were dropped.
    pub nul_bytes: u64,
    /// Rows that repeat the header, which are passed over.
    pub repeated_headers: u64,
    /// Rows whose fields don't fit the header.
    pub out_of_step: u64,
}

/// A column of pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name, or its number where it has none.
    pub name: String,
    /// Its place, from 1.
    pub number: u64,
    /// Pictures found in it, so far.
    pub images: u64,
    /// See [`PictureColumn::strict`](super::PictureColumn::strict).
    pub strict: bool,
}

const OUT_OF_STEP: &str = "out of step with the header: its fields are more or fewer";

impl Understood {
    /// Pictures in all columns.
    pub fn images(&self) -> u64 {
        self.columns.iter().map(|column| column.images).sum()
    }

    /// Whether it has rows, and yet no picture.
    pub fn is_without_pictures(&self) -> bool {
        self.rows > 0 && self.images() == 0
    }

    /// As people read it, before anything is counted: how the file is read, and where pictures are looked for.
    pub fn summary(&self) -> Vec<String> {
        let delimiter = match self.delimiter {
            Some('\t') => ", parted by tabs".to_owned(),
            Some(c) if c.is_control() => format!(", parted by U+{:04X}", u32::from(c)),
            Some(c) => format!(", parted by '{c}'"),
            None => String::new(),
        };
        let header = match self.header_line {
            Some(line) => format!(", header in line {line}"),
            // Records of JSON name their values themselves.
            None if self.format.starts_with("JSON") => String::new(),
            None => ", without a header".to_owned(),
        };
        let sheet = match (&self.sheet, self.sheets.len()) {
            (None, _) => String::new(),
            (Some(name), 1) => format!(", sheet '{}'", shown(name)),
            (Some(name), count) => format!(", sheet '{}' of {count}", shown(name)),
        };
        let (format, encoding) = (&self.format, &self.encoding);
        let mut lines = vec![format!("read as {format}{sheet}, {encoding}{delimiter}{header}")];
        let others = self.sheets.iter().filter(|name| Some(*name) != self.sheet.as_ref());
        let others: Vec<String> = others.take(12).map(|name| format!("'{}'", shown(name))).collect();
        if !others.is_empty() {
            lines.push(format!("other sheets are not read: {}; --sheet reads one", others.join(", ")));
        }
        if self.rows_above > 0 {
            lines.push(format!("{} above the header left out", counted(self.rows_above, "row")));
        }
        let names =
            self.columns.iter().map(|column| format!("'{}'", shown(&column.name))).collect::<Vec<_>>();
        lines.push(format!("pictures in {}", names.join(", ")));
        for (name, why) in &self.unread {
            lines.push(format!("'{}' is not read: {why}; --column reads it", shown(name)));
        }
        lines
    }

    /// As people read it, once all is counted: what was found in each column, and what was passed over.
    pub fn counted(&self) -> Vec<String> {
        let of =
            |column: &Column| format!("'{}': {}", shown(&column.name), counted(column.images, "picture"));
        let mut lines: Vec<String> = self.columns.iter().map(of).collect();
        let told = [
            (self.placeholders, "cell", "taken as empty (N/A, null, - and the like)"),
            (self.repeated_headers, "row", "that repeats the header passed over"),
            (self.out_of_step, "row", OUT_OF_STEP),
            (self.nul_bytes, "NUL byte", "dropped"),
        ];
        let told = told.iter().filter(|(count, ..)| *count > 0);
        lines.extend(told.map(|(count, what, why)| format!("{} {why}", counted(*count, what))));
        lines
    }

    /// What is not as it should be, as people read it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_without_pictures() {
            let rows = counted(self.rows, "row");
            warnings
                .push(format!("no picture was found in {rows}: name a column of pictures (option 'column')"));
        }
        if self.out_of_step > 0 {
            warnings.push(format!("{} {OUT_OF_STEP}", counted(self.out_of_step, "row")));
        }
        warnings
    }

    /// As programs read it.
    pub fn to_json(&self) -> Value {
        let columns = self.columns.iter();
        let columns = columns.map(|column| {
            json!({
                "name": column.name,
                "number": column.number,
                "images": column.images,
                "strict": column.strict,
            })
        });
        json!({
            "format": self.format,
            "encoding": self.encoding,
            "delimiter": self.delimiter.map(|c| c.to_string()),
            "sheet": self.sheet,
            "sheets": self.sheets,
            "header_line": self.header_line,
            "rows_above": self.rows_above,
            "columns": columns.collect::<Vec<_>>(),
            "name_column": self.name_column,
            "unread": self.unread.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>(),
            "rows": self.rows,
            "images": self.images(),
            "placeholders": self.placeholders,
            "nul_bytes": self.nul_bytes,
            "repeated_headers": self.repeated_headers,
            "out_of_step": self.out_of_step,
        })
    }

    /// Back from what [`Understood::to_json`] made; what is not there is empty.
    pub fn from_json(value: &Value) -> Understood {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let column = |column: &Value| Column {
            name: text(&column["name"]),
            number: column["number"].as_u64().unwrap_or(0),
            images: column["images"].as_u64().unwrap_or(0),
            strict: column["strict"].as_bool().unwrap_or(false),
        };
        Understood {
            format: text(&value["format"]),
            encoding: text(&value["encoding"]),
            delimiter: value["delimiter"].as_str().and_then(|text| text.chars().next()),
            sheet: value["sheet"].as_str().map(str::to_owned),
            sheets: list("sheets").iter().map(text).collect(),
            header_line: value["header_line"].as_u64(),
            rows_above: number("rows_above"),
            columns: list("columns").iter().map(column).collect(),
            name_column: value["name_column"].as_str().map(str::to_owned),
            unread: list("unread")
                .iter()
                .map(|unread| (text(&unread["name"]), text(&unread["why"])))
                .collect(),
            rows: number("rows"),
            placeholders: number("placeholders"),
            nul_bytes: number("nul_bytes"),
            repeated_headers: number("repeated_headers"),
            out_of_step: number("out_of_step"),
        }
    }
}

/// How a catalogue was read, as records keep it: what was said of it, and what it was understood as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What was said of it.
    pub hints: Hints,
    /// What it was understood as.
    pub understood: Understood,
    /// Whether its bytes are kept, so that it can be given back.
    pub kept: bool,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!({"hints": self.hints.to_json(), "understood": self.understood.to_json(), "kept": self.kept})
            .fmt(f)
    }
}

impl Account {
    /// Out of records; what is not there is empty.
    pub fn parse(text: &str) -> Account {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        Account {
            hints: Hints::from_json(&value["hints"]).unwrap_or_default(),
            understood: Understood::from_json(&value["understood"]),
            kept: value["kept"].as_bool().unwrap_or(false),
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_understood_is_told_and_comes_back() {
        let understood = Understood {
            format: "CSV".into(),
            encoding: "UTF-8".into(),
            delimiter: Some('\t'),
            header_line: Some(3),
            rows_above: 2,
            columns: vec![Column { name: "Image\u{1b}[31m".into(), number: 4, images: 1, strict: true }],
            unread: vec![("url".into(), "other columns say picture".into())],
            rows: 9,
            placeholders: 2,
            ..Understood::default()
        };
        assert_eq!(Understood::from_json(&understood.to_json()), understood);
        let lines = [understood.summary(), understood.counted()].concat();
        assert_eq!(
            lines,
            [
                "read as CSV, UTF-8, parted by tabs, header in line 3",
                "2 rows above the header left out",
                "pictures in 'Image [31m'",
                "'url' is not read: other columns say picture; --column reads it",
                "'Image [31m': 1 picture",
                "2 cells taken as empty (N/A, null, - and the like)",
            ]
        );
        assert!(!understood.is_without_pictures());
        let hints = Hints { header_row: Some(3), ..Hints::default() };
        let account = Account { hints, understood, kept: true };
        assert_eq!(Account::parse(&account.to_string()), account);
        assert_eq!(Account::parse(""), Account::default());
    }
}
