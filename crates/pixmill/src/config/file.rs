//! `pixmill.toml` of the working folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::nearest;
use super::setting::{Place, Setting};

/// What the file is called.
pub(crate) const NAME: &str = "pixmill.toml";

/// The section that holds recipe options, which may also stand at the top.
const RECIPE: &str = "recipe";

/// The file's text; none when there is no file.
///
/// # Errors
/// A sentence on why it can't be read.
pub(crate) fn text() -> Result<Option<String>, String> {
    match std::fs::read_to_string(NAME) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{NAME} can't be read: {error}")),
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
pub(super) fn settings(text: &str, known: &Known<'_>) -> Result<BTreeMap<String, Setting>, String> {
    let table = DeTable::parse(text)
        .map_err(|error| format!("{NAME} can't be parsed: {}", error.to_string().trim_end()))?;
    let mut reading = Reading { text, settings: BTreeMap::new() };
    for (key, value) in table.get_ref() {
        match value.get_ref() {
            DeValue::Table(section) if key.get_ref() == RECIPE => {
                for (key, value) in section {
                    reading.take(key.get_ref(), key.span(), value, known.recipe, "[recipe] ")?;
                }
            }
            _ => reading.take(key.get_ref(), key.span(), value, known.all, "")?,
        }
    }
    Ok(reading.settings)
}

struct Reading<'a> {
    text: &'a str,
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
        let line = 1 + self.text[..span.start].matches('\n').count();
        let place = Place::File { key: format!("{section}{key}"), line };
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
        match self.settings.insert(key.to_owned(), Setting { values, place: place.clone() }) {
            Some(other) => Err(format!("{place} is also set by {}: remove one", other.place)),
            None => Ok(()),
        }
    }
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
