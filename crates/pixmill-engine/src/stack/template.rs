//! What a job returns, as a table writes it: a value in which texts that begin with `$` or `@` stand for something.

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::table::{End, Item, path};

/// Words that stand for something of a picture.
const WORDS: [(&str, Word); 6] = [
    ("$url", Word::Url),
    ("$output", Word::Output),
    ("$error", Word::Error),
    ("$position", Word::Position),
    ("$bytes", Word::Bytes),
    ("$bytes_before", Word::BytesBefore),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Url,
    Output,
    Error,
    Position,
    Bytes,
    BytesBefore,
}

/// A value to be.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Itself.
    Said(Value),
    /// Something of a picture.
    Word(Word),
    /// What is found in the job.
    InJob(JsonPath),
    /// What is found in what the job says of a picture.
    InItem(JsonPath),
    /// Fields.
    Fields(Vec<(String, Template)>),
    /// One for each picture.
    Each(Box<Template>),
}

impl Template {
    /// Reads what a table says.
    pub(super) fn read(told: &Value) -> Result<Template, String> {
        Self::within(told, false)
    }

    fn within(told: &Value, in_list: bool) -> Result<Template, String> {
        match told {
            Value::String(text) => text_or_word(text),
            Value::Array(_) if in_list => Err("a list can't stand in a list".to_owned()),
            Value::Array(list) => match list.as_slice() {
                [one] => Ok(Template::Each(Box::new(Self::within(one, true)?))),
                _ => Err("a list says what stands for each picture, so it has one element".to_owned()),
            },
            Value::Object(fields) => {
                let read =
                    |(name, value): (&String, &Value)| Ok((name.clone(), Self::within(value, in_list)?));
                Ok(Template::Fields(fields.iter().map(read).collect::<Result<_, String>>()?))
            }
            value => Ok(Template::Said(value.clone())),
        }
    }

    /// Whether it says what one picture returns: no list, and something of a picture or of what is said of it.
    pub(super) fn is_of_one(&self) -> bool {
        match self {
            Template::Word(_) | Template::InItem(_) => true,
            Template::Fields(fields) => fields.iter().any(|(_, field)| field.is_of_one()),
            Template::Said(_) | Template::InJob(_) | Template::Each(_) => false,
        }
    }

    /// What it stands for, where the pictures of a job ended so.
    pub(super) fn value(&self, job: &Value, items: &[Item<'_>], ends: &[End]) -> Value {
        self.of(job, items, ends, 0)
    }

    /// The same, for the picture at a position.
    fn of(&self, job: &Value, items: &[Item<'_>], ends: &[End], position: usize) -> Value {
        let (item, end) = (items.get(position), ends.get(position));
        match self {
            Template::Said(value) => value.clone(),
            Template::Word(word) => word.of(item, end, position),
            Template::InJob(path) => found(path, Some(job)),
            Template::InItem(path) => found(path, item.map(|item| item.said)),
            Template::Fields(fields) => {
                let of =
                    |(name, field): &(String, Template)| (name.clone(), field.of(job, items, ends, position));
                Value::Object(fields.iter().map(of).collect::<Map<_, _>>())
            }
            Template::Each(template) => {
                let each = (0..items.len()).map(|position| template.of(job, items, ends, position));
                Value::Array(each.collect())
            }
        }
    }
}

impl Word {
    fn of(self, item: Option<&Item<'_>>, end: Option<&End>, position: usize) -> Value {
        let output = end.and_then(|end| end.output.as_ref());
        match self {
            Word::Url => item.map(|item| item.url.trim()).into(),
            Word::Output => output.map(|output| output.location.as_str()).into(),
            Word::Error => {
                let failure = end.and_then(|end| end.failure.as_ref());
                failure.map(|failure| format!("{}: {}", failure.code, failure.message)).into()
            }
            Word::Position => position.into(),
            Word::Bytes => output.map(|output| output.bytes_after).into(),
            Word::BytesBefore => output.map(|output| output.bytes_before).into(),
        }
    }
}

fn found(path: &JsonPath, within: Option<&Value>) -> Value {
    within.and_then(|value| path.query(value).first()).cloned().unwrap_or_default()
}

fn text_or_word(text: &str) -> Result<Template, String> {
    if let Some(said) = text.strip_prefix("$$") {
        return Ok(Template::Said(format!("${said}").into()));
    }
    if let Some((_, word)) = WORDS.iter().find(|(name, _)| *name == text) {
        return Ok(Template::Word(*word));
    }
    if let Some(rest) = text.strip_prefix('@') {
        return path(&format!("${rest}")).map(Template::InItem);
    }
    match text.strip_prefix('$') {
        None => Ok(Template::Said(text.into())),
        Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => path(text).map(Template::InJob),
        Some(_) => {
            let words = WORDS.map(|(name, _)| name).join(", ");
            Err(format!(
                "'{text}' stands for nothing: allowed are {words}, paths in the job ($.a), in an item (@.a), and $$ for \
                 a dollar"
            ))
        }
    }
}
