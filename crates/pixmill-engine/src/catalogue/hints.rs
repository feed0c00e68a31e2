//! What whoever hands a catalogue in says of it, over what its contents say.

use serde_json::{Value, json};
use url::Url;

use crate::code::Code;
use crate::fault::Fault;

/// What is said of a catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// The columns of pictures, by name or number from 1; none leaves them to be found.
    pub columns: Vec<String>,
    /// The column of products' names, by name or number from 1.
    pub name_column: Option<String>,
    /// The line of the header, from 1; 0 for none.
    pub header_row: Option<u64>,
    /// What paths in cells are put behind.
    pub base_url: Option<Url>,
    /// The encoding's label (WHATWG).
    pub encoding: Option<String>,
    /// What parts fields.
    pub delimiter: Option<u8>,
    /// The sheet of a spreadsheet, by name or number from 1; none for the first that has pictures.
    pub sheet: Option<String>,
}

/// The names of hints, as options have them.
pub const HINTS: [&str; 7] =
    ["column", "name_column", "header_row", "base_url", "encoding", "delimiter", "sheet"];

impl Hints {
    /// Takes one over, by its name in [`HINTS`].
    ///
    /// # Errors
    /// What is allowed, in a sentence.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = value.trim();
        match name {
            "column" => self.columns.push(text.to_owned()),
            "name_column" => self.name_column = Some(text.to_owned()),
            "header_row" => {
                self.header_row =
                    Some(text.parse().map_err(|_| "allowed are whole numbers from 0".to_owned())?)
            }
            "base_url" => self.base_url = Some(base_url(text)?),
            "encoding" => self.encoding = Some(encoding(text)?),
            "delimiter" => self.delimiter = Some(delimiter(value)?),
            "sheet" => self.sheet = Some(text.to_owned()),
            _ => return Err(format!("allowed are {}", HINTS.join(", "))),
        }
        Ok(())
    }

    /// As options are given, by their names.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let columns = self.columns.iter().map(|column| ("column", column.clone()));
        let others = [
            ("name_column", self.name_column.clone()),
            ("header_row", self.header_row.map(|row| row.to_string())),
            ("base_url", self.base_url.as_ref().map(Url::to_string)),
            ("encoding", self.encoding.clone()),
            ("delimiter", self.delimiter.map(delimiter_name)),
            ("sheet", self.sheet.clone()),
        ];
        columns.chain(others.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
    }

    /// As records keep them; null for none.
    pub fn to_json(&self) -> Value {
        if *self == Hints::default() {
            return Value::Null;
        }
        json!({
            "column": self.columns,
            "name_column": self.name_column,
            "header_row": self.header_row,
            "base_url": self.base_url.as_ref().map(Url::as_str),
            "encoding": self.encoding,
            "delimiter": self.delimiter.map(|byte| char::from(byte).to_string()),
            "sheet": self.sheet,
        })
    }

    /// Out of records.
    ///
    /// # Errors
    /// `body.malformed` for what [`Hints::to_json`] did not make.
    pub fn from_json(value: &Value) -> Result<Hints, Fault> {
        let mut hints = Hints::default();
        for name in HINTS {
            let values = match &value[name] {
                Value::Null => continue,
                Value::Array(values) => values.iter().map(text).collect(),
                other => vec![text(other)],
            };
            for value in values {
                let wrong = |allowed| Fault::permanent(Code::BodyMalformed, format!("'{name}': {allowed}"));
                hints.set(name, &value).map_err(wrong)?;
            }
        }
        Ok(hints)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An address that paths can be put behind.
///
/// # Errors
/// What is allowed.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.filter(|url| url.query().is_none())
        .ok_or_else(|| "allowed are addresses such as https://shop.example/media/".to_owned())
}

/// An encoding's label.
///
/// # Errors
/// What is allowed.
pub fn encoding(text: &str) -> Result<String, String> {
    let known = super::encoding::by_label(text);
    known.map(|known| known.name().to_owned()).ok_or_else(|| {
        "allowed are names such as utf-8, utf-16le, windows-1252, iso-8859-2, macintosh, shift_jis, gb18030".to_owned()
    })
}

fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        b' ' => "space".to_owned(),
        other => char::from(other).to_string(),
    }
}

/// What parts fields: one sign, or its name.
///
/// # Errors
/// What is allowed.
pub fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => return Ok(b'\t'),
        "comma" => return Ok(b','),
        "semicolon" => return Ok(b';'),
        "pipe" => return Ok(b'|'),
        "space" => return Ok(b' '),
        _ => {}
    }
    let sign = match text.as_bytes() {
        [sign] => Some(*sign),
        _ => None,
    };
    sign.filter(|sign| {
        sign.is_ascii() && !matches!(sign, b'"' | b'\n' | b'\r' | 0) && !sign.is_ascii_alphanumeric()
    })
    .ok_or_else(|| "allowed are one sign of ASCII that is no letter, digit or quote, and 'tab'".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_come_back_out_of_records() {
        let mut hints = Hints::default();
        for (name, value) in [
            ("column", "Bild"),
            ("column", "3"),
            ("name_column", "Name"),
            ("header_row", "0"),
            ("base_url", "https://shop.example/m/"),
            ("encoding", "latin1"),
            ("delimiter", "tab"),
            ("sheet", "Products"),
        ] {
            hints.set(name, value).unwrap();
        }
        assert_eq!(hints.encoding.as_deref(), Some("windows-1252"));
        assert_eq!(Hints::from_json(&hints.to_json()).unwrap(), hints);
        let mut given = Hints::default();
        hints.to_pairs().iter().for_each(|(name, value)| given.set(name, value).unwrap());
        assert_eq!(given, hints);
        assert_eq!(Hints::from_json(&Hints::default().to_json()).unwrap(), Hints::default());
    }

    #[test]
    fn wrong_hints_say_what_is_allowed() {
        for (name, value) in [
            ("header_row", "x"),
            ("base_url", "shop"),
            ("base_url", "https://h/?a"),
            ("encoding", "klingon"),
            ("delimiter", "a"),
            ("delimiter", "ab"),
            ("x", "y"),
        ] {
            assert!(Hints::default().set(name, value).unwrap_err().starts_with("allowed are"), "{name}");
        }
    }
}
