//! `pixmill.toml` of the working folder, or the file that `--config` names.
//!
//! The working folder may be somebody else's: a catalogue comes in an archive, and a `pixmill.toml` beside it. What is
//! found there may say how pictures are to be made, and nothing that opens something: for that the file must be named.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::nearest;
use super::setting::{Place, Setting};

/// What tables of jobs of applications are called in it.
pub(super) const STACK: &str = "stack";

/// What the file is called unless it is named.
const NAME: &str = "pixmill.toml";

/// The section that holds recipe options, which may also stand at the top.
const RECIPE: &str = "recipe";

/// The section of headers by name, for all origins or, in sections below it, for one; and the setting that it is.
const HEADERS: &str = "headers";
const HEADER: &str = "header";

/// What a file that was only found may say, beside recipes: how catalogues are read, and how fast. All else could send
/// something elsewhere, read or write in other places, or let somebody in.
const HARMLESS: &[&str] = &[
    "attempts",
    "base_url",
    "column",
    "concurrency",
    "connections",
    "delimiter",
    "encoding",
    "header",
    "header_row",
    "json",
    "lenient",
    "max_bytes",
    "max_pixels",
    "max_seconds",
    "memory",
    "name_column",
    "offline",
    "per_origin",
    "probe",
    "quiet",
    "retry_failed",
    "sheet",
    "timeout",
    "user_agent",
    "watch",
];

/// A file of settings.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// As messages call it.
    pub(super) name: String,
    /// What it holds.
    pub(super) text: String,
    /// It was named, not just found.
    pub(super) named: bool,
}

impl File {
    /// The one in the working folder; none when there is none.
    ///
    /// # Errors
    /// A sentence on why it can't be read.
    pub(super) fn found() -> Result<Option<Self>, String> {
        match std::fs::read_to_string(NAME) {
            Ok(text) => Ok(Some(File { name: NAME.to_owned(), text, named: false })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{NAME} can't be read: {error}")),
        }
    }

    /// One that was named.
    ///
    /// # Errors
    /// A sentence on why it can't be read.
    pub(super) fn named(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {error}"))?;
        Ok(File { name: path.to_owned(), text, named: true })
    }

    /// One that was found, with this text.
    #[cfg(test)]
    pub(super) fn with(text: &str) -> Self {
        File { name: NAME.to_owned(), text: text.to_owned(), named: false }
    }

    /// What it holds.
    ///
    /// # Errors
    /// A sentence on what is not TOML.
    pub(super) fn table(&self) -> Result<Spanned<DeTable<'_>>, String> {
        DeTable::parse(&self.text)
            .map_err(|error| format!("{} can't be parsed: {}", self.name, error.to_string().trim_end()))
    }

    /// Where in it something stands.
    pub(super) fn place(&self, span: Range<usize>, key: &str) -> Place {
        let line = 1 + self.text[..span.start].matches('\n').count();
        Place::File { name: self.name.clone(), key: key.to_owned(), line }
    }

    /// Looks whether the file may say this.
    ///
    /// # Errors
    /// A sentence that says what to do where it may not.
    pub(super) fn may_say(&self, name: &str, place: &Place, recipe: &BTreeSet<String>) -> Result<(), String> {
        if self.named || HARMLESS.contains(&name) || recipe.contains(name) {
            return Ok(());
        }
        Err(format!(
            "{place} opens something, and the file was only found in the working folder: say --config {} if you trust \
             it, or remove the line",
            self.name
        ))
    }
}

/// The names that a file may hold.
pub(super) struct Known<'a> {
    /// At the top.
    pub(super) all: &'a BTreeSet<String>,
    /// In the section `recipe`.
    pub(super) recipe: &'a BTreeSet<String>,
}

/// Settings by name.
///
/// # Errors
/// A sentence on what is not TOML, a key that nobody knows, or a value of a kind that no option takes.
pub(super) fn settings(file: &File, known: &Known<'_>) -> Result<BTreeMap<String, Setting>, String> {
    let table = file.table()?;
    let mut reading = Reading { file, settings: BTreeMap::new() };
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if key.get_ref() == RECIPE => {
                for (key, value) in section {
                    reading.take(key.get_ref(), key.span(), value, known.recipe, "[recipe] ")?;
                }
            }
            // Tables of jobs are read by themselves.
            _ if key.get_ref() == STACK => {}
            DeValue::Table(section) if key.get_ref() == HEADERS => {
                let values = headers(section, "").map_err(|name| reading.is_no_header(&name, key.span()))?;
                reading.set(HEADER, values, file.place(key.span(), "[headers]"))?;
            }
            _ => reading.take(key.get_ref(), key.span(), value, known.all, "")?,
        }
    }
    Ok(reading.settings)
}

struct Reading<'a> {
    file: &'a File,
    settings: BTreeMap<String, Setting>,
}

impl Reading<'_> {
    fn take(
        &mut self,
        key: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        known: &BTreeSet<String>,
        section: &str,
    ) -> Result<(), String> {
        let place = self.file.place(span, &format!("{section}{key}"));
        if !known.contains(key) {
            let meant = nearest(key, known.iter().map(String::as_str));
            let meant = meant.map(|name| format!(": did you mean {name}?")).unwrap_or_default();
            return Err(format!("{place} is not a setting{meant}"));
        }
        let values = values(value.get_ref()).ok_or_else(|| {
            format!(
                "{place} is a {}: text, numbers, true, false and lists are allowed",
                value.get_ref().type_str()
            )
        })?;
        self.set(key, values, place)
    }

    fn set(&mut self, key: &str, values: Vec<String>, place: Place) -> Result<(), String> {
        match self.settings.insert(key.to_owned(), Setting { values, place: place.clone() }) {
            Some(other) => Err(format!("{place} is also set by {}: remove one", other.place)),
            None => Ok(()),
        }
    }

    fn is_no_header(&self, name: &str, span: Range<usize>) -> String {
        format!(
            "{name} of {}: text is allowed, or a section of an origin's headers",
            self.file.place(span, "[headers]")
        )
    }
}

/// Headers as `--header` has them, or the name of one whose value is none.
fn headers(section: &DeTable<'_>, host: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (name, value) in section {
        let name: &str = name.get_ref();
        match value.get_ref() {
            DeValue::Table(below) if host.is_empty() => lines.extend(headers(below, &format!("{name}:"))?),
            value => lines.push(format!("{host}{name}: {}", single(value).ok_or(name)?)),
        }
    }
    Ok(lines)
}

fn values(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(list) => list.iter().map(|value| single(value.get_ref())).collect(),
        _ => Some(vec![single(value)?]),
    }
}

fn single(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}
