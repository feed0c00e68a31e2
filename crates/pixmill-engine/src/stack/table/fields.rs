//! Reads the keys of a table, and says where a mistake is.

use std::fmt;

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::super::path::parsed;
use super::super::template::{Mistake, Template, Within};

/// What is wrong with what a table says, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The keys that lead there; places in lists from 0.
    pub path: Vec<String>,
    /// What is wrong, and what is allowed.
    pub told: String,
    /// The keys that are allowed, where it is one that nobody knows.
    pub allowed: Vec<&'static str>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.told)
    }
}

/// The keys of a table, or of one in it.
pub(super) struct Fields<'a> {
    fields: &'a Map<String, Value>,
    path: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Those of a value, which may be these.
    pub(super) fn of(value: &'a Value, path: Vec<String>, allowed: &[&'static str]) -> Result<Self, Wrong> {
        let Value::Object(fields) = value else {
            return Err(Wrong { path, told: "a table is needed".to_owned(), allowed: Vec::new() });
        };
        if let Some(unknown) = fields.keys().find(|key| !allowed.contains(&key.as_str())) {
            let told = format!("is not a key here: allowed are {}", allowed.join(", "));
            let path = [path, vec![unknown.clone()]].concat();
            return Err(Wrong { path, told, allowed: allowed.to_vec() });
        }
        Ok(Fields { fields, path })
    }

    pub(super) fn wrong(&self, key: &str, told: impl Into<String>) -> Wrong {
        Wrong { path: self.place(key), told: told.into(), allowed: Vec::new() }
    }

    pub(super) fn place(&self, key: &str) -> Vec<String> {
        [self.path.clone(), vec![key.to_owned()]].concat()
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a text is needed")),
        }
    }

    pub(super) fn needed(&self, key: &str) -> Result<&'a str, Wrong> {
        self.text(key)?.ok_or_else(|| self.missing(key, "a text"))
    }

    pub(super) fn missing(&self, key: &str, what: &str) -> Wrong {
        self.wrong(key, format!("is missing: {what} is needed"))
    }

    pub(super) fn path(&self, key: &str) -> Result<Option<JsonPath>, Wrong> {
        let text = self.text(key)?;
        text.map(|text| parsed(text).map_err(|told| self.wrong(key, told))).transpose()
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Wrong> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let names = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        known.map(Some).ok_or_else(|| self.wrong(key, format!("'{text}' is none of {}", names())))
    }

    pub(super) fn template(&self, key: &str, within: Within<'_>) -> Result<Option<Template>, Wrong> {
        self.get(key).map(|told| self.read(key, told, within)).transpose()
    }

    /// One that is a text.
    pub(super) fn needed_template(&self, key: &str, within: Within<'_>) -> Result<Template, Wrong> {
        self.needed(key)?;
        self.read(key, &self.fields[key], within)
    }

    pub(super) fn read(&self, key: &str, told: &Value, within: Within<'_>) -> Result<Template, Wrong> {
        Template::read(told, within).map_err(|Mistake { path, told }| Wrong {
            path: [self.place(key), path].concat(),
            told,
            allowed: Vec::new(),
        })
    }

    /// A document with fields.
    pub(super) fn document(&self, key: &str, within: Within<'_>) -> Result<Option<Template>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(fields)) if !fields.is_empty() => self.template(key, within),
            Some(_) => Err(self.wrong(key, "a document with fields is needed, as { field = \"$.a\" }")),
        }
    }

    /// The tables of a list, or the one that is no list, each with its place.
    pub(super) fn tables(&self, key: &str) -> Vec<(&'a Value, Vec<String>)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let place = |at: usize| [self.place(key), vec![at.to_string()]].concat();
                list.iter().enumerate().map(|(at, value)| (value, place(at))).collect()
            }
            Some(value) => vec![(value, self.place(key))],
        }
    }
}
