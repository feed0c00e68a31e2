//! Values as a table writes them: texts that begin with `$` or `@`, and parts of texts in braces, stand for something.

mod reading;

use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

pub(super) use self::reading::{Mistake, Pictures, Within, is_of_environment};
use self::reading::{OF_PICTURE, ROOTS};
use super::scope::Scope;
use crate::model::time::Timestamp;

/// What stands for something of a picture, or of what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Url,
    Output,
    Error,
    Position,
    Bytes,
    BytesBefore,
    Now,
    Id,
    Number,
    Total,
    Ended,
    Failed,
    Completed,
}

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Job,
    Item,
    Product,
    Request,
    Row,
    Picture,
}

/// A value to be.
#[derive(Debug, Clone)]
pub(super) enum Template {
    /// Itself.
    Said(Value),
    /// Something of what is told, or another text where it is not there.
    Word(Word, Option<String>),
    /// What is found there.
    Path(Root, JsonPath),
    /// An ObjectId of a text.
    Oid(Box<Template>),
    /// A text with parts that stand for something.
    Text(Vec<Piece>),
    /// Fields.
    Fields(Vec<(Vec<Piece>, Template)>),
    /// One for each picture that is told of.
    Each(Box<Template>),
    /// A list.
    List(Vec<Template>),
}

/// A part of a text.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Said(String),
    Value(Template),
}

/// What has no value: which template, and why.
pub(super) type Lacks = String;

impl Template {
    /// Whether it says what one picture returns: something of a picture or of what is said of it, in no list.
    pub(super) fn is_of_picture(&self) -> bool {
        match self {
            Template::Word(word, _) => OF_PICTURE.iter().any(|(_, of_picture)| of_picture == word),
            Template::Path(root, _) => *root == Root::Item,
            Template::Oid(inner) => inner.is_of_picture(),
            Template::Text(pieces) => Piece::any_of_picture(pieces),
            Template::Fields(fields) => {
                fields.iter().any(|(key, field)| Piece::any_of_picture(key) || field.is_of_picture())
            }
            Template::List(list) => list.iter().any(Template::is_of_picture),
            Template::Said(_) | Template::Each(_) => false,
        }
    }

    /// Its fields that have one name whatever is told.
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, &Template)> {
        let fields = if let Template::Fields(fields) = self { fields.as_slice() } else { &[] };
        fields.iter().filter_map(|(key, field)| Some((Piece::said(key)?, field)))
    }

    /// What it stands for; null for what is not there.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Value {
        self.of(scope, false).unwrap_or_default()
    }

    /// What it stands for where documents are looked for: all of it is there, and nothing in it is more than a value, so
    /// that no job can say what it does not name.
    ///
    /// # Errors
    /// What is not there.
    pub(super) fn filter(&self, scope: &Scope<'_>) -> Result<Value, Lacks> {
        self.of(scope, true)
    }

    /// The same where documents are written: what is not there is null, but every key is one.
    ///
    /// # Errors
    /// Which key is none.
    pub(super) fn written(&self, scope: &Scope<'_>) -> Result<Value, Lacks> {
        self.of(scope, false)
    }

    fn of(&self, scope: &Scope<'_>, strict: bool) -> Result<Value, Lacks> {
        match self {
            Template::Said(value) => Ok(value.clone()),
            Template::Word(word, other) => {
                let value = word.of(scope);
                let value =
                    if value.is_null() { other.clone().map(Value::from).unwrap_or_default() } else { value };
                match strict && value.is_null() {
                    true => Err("what is looked for is not known yet".to_owned()),
                    false => Ok(value),
                }
            }
            Template::Path(root, path) => {
                let found = root.of(scope).and_then(|value| path.query(value).first()).cloned();
                let found = found.unwrap_or_default();
                match strict && !is_one_value(&found) {
                    true => Err(format!("no text, number or id is at {}", root.told(path))),
                    false => Ok(found),
                }
            }
            Template::Oid(inner) => {
                let value = inner.of(scope, strict)?;
                match &value {
                    Value::String(text) if is_id(text) => Ok(json!({ "$oid": text })),
                    Value::Object(fields) if fields.contains_key("$oid") => Ok(value),
                    Value::Null if !strict => Ok(value),
                    _ => Err(format!("{} is no ObjectId", text_of(&value))),
                }
            }
            Template::Text(pieces) => Ok(Piece::all(pieces, scope, strict)?.into()),
            Template::Fields(fields) => {
                let of = |(key, field): &(Vec<Piece>, Template)| {
                    Ok((Piece::key(key, scope)?, field.of(scope, strict)?))
                };
                Ok(Value::Object(fields.iter().map(of).collect::<Result<Map<_, _>, Lacks>>()?))
            }
            Template::Each(template) => {
                let each = |at| template.of(&Scope { picture: Some(at), ..*scope }, strict);
                Ok(Value::Array(scope.told().map(each).collect::<Result<_, _>>()?))
            }
            Template::List(list) => {
                Ok(Value::Array(list.iter().map(|one| one.of(scope, strict)).collect::<Result<_, _>>()?))
            }
        }
    }

    /// The parts of a text, each with whether the table says it itself.
    ///
    /// # Errors
    /// What is not there.
    pub(super) fn parts(&self, scope: &Scope<'_>) -> Result<Vec<(bool, String)>, Lacks> {
        let Template::Text(pieces) = self else {
            return Ok(vec![(matches!(self, Template::Said(_)), text_of(&self.filter(scope)?))]);
        };
        let part = |piece: &Piece| match piece {
            Piece::Said(text) => Ok((true, text.clone())),
            Piece::Value(template) => Ok((false, text_of(&template.filter(scope)?))),
        };
        pieces.iter().map(part).collect()
    }

    /// All that it stands for, as texts: several where a path finds several.
    pub(super) fn texts(&self, scope: &Scope<'_>) -> Vec<String> {
        match self {
            Template::Path(Root::Picture, path) => {
                let pictures = scope.row.map(|(_, _, pictures)| pictures).unwrap_or_default();
                pictures.iter().flat_map(|picture| path.query(picture).all()).map(text_of).collect()
            }
            Template::Path(root, path) => {
                let found = root.of(scope).map(|value| path.query(value).all()).unwrap_or_default();
                let each = |value: &Value| match value {
                    Value::Array(list) => list.iter().map(text_of).collect(),
                    value => vec![text_of(value)],
                };
                found.into_iter().flat_map(each).collect()
            }
            other => match other.value(scope) {
                Value::Array(list) => list.iter().map(text_of).collect(),
                value => vec![text_of(&value)],
            },
        }
    }
}

impl Root {
    fn of<'a>(self, scope: &Scope<'a>) -> Option<&'a Value> {
        match self {
            Root::Job => Some(scope.job),
            Root::Item => scope.picture_told().map(|picture| &picture.said),
            Root::Product => scope.product_told(),
            Root::Request => scope.request,
            Root::Row => scope.row.map(|(row, _, _)| row),
            Root::Picture => scope.row.and_then(|(_, _, pictures)| pictures.first()),
        }
    }

    /// The path as a table writes it.
    fn told(self, path: &JsonPath) -> String {
        let path = path.to_string();
        let rest = path.strip_prefix('$').unwrap_or(&path);
        let name = ROOTS.into_iter().find(|(_, root)| *root == self).map(|(name, _)| name);
        let name = name.unwrap_or(if self == Root::Item { "@" } else { "$" });
        format!("{name}{rest}")
    }
}

impl Word {
    fn of(self, scope: &Scope<'_>) -> Value {
        let (picture, end) = (scope.picture_told(), scope.end());
        let output = end.and_then(|end| end.output.as_ref());
        match self {
            Word::Url => picture.map(|picture| picture.url.trim()).into(),
            Word::Output => output.map(|output| output.location.as_str()).into(),
            Word::Error => {
                let failure = end.and_then(|end| end.failure.as_ref());
                failure.map(|failure| format!("{}: {}", failure.code, failure.message)).into()
            }
            Word::Position => picture.map(|picture| picture.position).into(),
            Word::Bytes => output.map(|output| output.bytes_after).into(),
            Word::BytesBefore => output.map(|output| output.bytes_before).into(),
            Word::Now => json!({ "$date": scope.now.0 }),
            Word::Id => scope.id(),
            Word::Number => scope.row.map(|(_, number, _)| number).into(),
            Word::Total => scope.counted().total.into(),
            Word::Ended => scope.counted().ended.into(),
            Word::Failed => scope.counted().failed.into(),
            Word::Completed => {
                let counts = scope.counted();
                counts.ended.saturating_sub(counts.failed).into()
            }
        }
    }
}

impl Piece {
    fn any_of_picture(pieces: &[Piece]) -> bool {
        pieces.iter().any(|piece| matches!(piece, Piece::Value(value) if value.is_of_picture()))
    }

    /// The text, where nothing in it stands for anything.
    fn said(pieces: &[Piece]) -> Option<String> {
        let said = |piece: &Piece| match piece {
            Piece::Said(text) => Some(text.clone()),
            Piece::Value(_) => None,
        };
        pieces.iter().map(said).collect()
    }

    fn all(pieces: &[Piece], scope: &Scope<'_>, strict: bool) -> Result<String, Lacks> {
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Said(text) => whole.push_str(text),
                Piece::Value(template) => whole.push_str(&text_of(&template.of(scope, strict)?)),
            }
        }
        Ok(whole)
    }

    /// A key: what stands in it for something may not lead elsewhere.
    fn key(pieces: &[Piece], scope: &Scope<'_>) -> Result<String, Lacks> {
        for piece in pieces {
            let Piece::Value(template) = piece else { continue };
            let part = text_of(&template.of(scope, true)?);
            if part.is_empty() || part.contains(['.', '$', '\0']) {
                return Err(format!("'{part}' can't be part of a field's name"));
            }
        }
        Piece::all(pieces, scope, true)
    }
}

/// Whether it is a text, a number, a boolean, an id or a date.
fn is_one_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) => false,
        Value::Object(fields) => {
            fields.len() == 1 && fields.keys().all(|key| matches!(key.as_str(), "$oid" | "$date"))
        }
        _ => true,
    }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A value as a text: ids and dates as programs show them, nothing for null.
pub(super) fn text_of(value: &Value) -> String {
    match plain(value.clone()) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A value as JSON that other programs read: ids are texts, and dates too.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        Value::Object(fields) if fields.len() == 1 => {
            let (key, value) = fields.into_iter().next().expect("there is one");
            match (key.as_str(), &value) {
                ("$oid" | "$numberDecimal" | "$uuid", Value::String(_)) => value,
                ("$date", Value::Number(at)) => Timestamp(at.as_i64().unwrap_or_default()).to_string().into(),
                _ => Value::Object(Map::from_iter([(key, plain(value))])),
            }
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, plain(value))).collect())
        }
        value => value,
    }
}
