//! Reads templates, and says what is wrong with one and what is allowed where it stands.

use serde_json::Value;

use super::super::path::parsed;
use super::{Piece, Root, Template, Word};

/// Words that stand for something of a picture.
pub(super) const OF_PICTURE: [(&str, Word); 6] = [
    ("$url", Word::Url),
    ("$output", Word::Output),
    ("$error", Word::Error),
    ("$position", Word::Position),
    ("$bytes", Word::Bytes),
    ("$bytes_before", Word::BytesBefore),
];

/// And of whatever is told.
const OF_ALL: [(&str, Word); 6] = [
    ("$now", Word::Now),
    ("$id", Word::Id),
    ("$total", Word::Total),
    ("$ended", Word::Ended),
    ("$failed", Word::Failed),
    ("$completed", Word::Completed),
];

/// What rows of a file have besides.
const OF_ROW: (&str, Word) = ("$number", Word::Number);

/// What paths may begin with besides `$` and `@`.
pub(super) const ROOTS: [(&str, Root); 4] = [
    ("$product", Root::Product),
    ("$request", Root::Request),
    ("$row", Root::Row),
    ("$picture", Root::Picture),
];

/// Begins what the environment says.
const ENVIRONMENT: &str = "$env.";

/// What pictures a template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Pictures {
    /// None: there are no ends yet.
    None,
    /// Many: what is of a picture stands in a list, which has one for each.
    Many,
    /// Many, or one where there is no list.
    Any,
    /// One.
    One,
    /// One of those that a list has.
    Listed,
}

/// Where a template stands, and what it may name there.
#[derive(Clone, Copy)]
pub(in super::super) struct Within<'a> {
    pub(in super::super) pictures: Pictures,
    pub(in super::super) request: bool,
    pub(in super::super) row: bool,
    /// What variables of the environment say.
    pub(in super::super) environment: &'a dyn Fn(&str) -> Option<String>,
}

/// What is wrong, and in which field below the one that is read.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Mistake {
    pub(in super::super) path: Vec<String>,
    pub(in super::super) told: String,
}

impl From<String> for Mistake {
    fn from(told: String) -> Self {
        Mistake { path: Vec::new(), told }
    }
}

impl Template {
    /// Reads what a table says.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub(in super::super) fn read(told: &Value, within: Within<'_>) -> Result<Template, Mistake> {
        match told {
            Value::String(text) => Ok(text_or_word(text, within)?),
            Value::Array(list) => list_of(list, within),
            Value::Object(fields) => {
                let read = |(name, value): (&String, &Value)| {
                    let key = pieces(name, Within { pictures: of_keys(within.pictures), ..within })?;
                    let field = Self::read(value, within).map_err(|mut mistake| {
                        mistake.path.insert(0, name.clone());
                        mistake
                    })?;
                    Ok((key, field))
                };
                Ok(Template::Fields(fields.iter().map(read).collect::<Result<_, Mistake>>()?))
            }
            value => Ok(Template::Said(value.clone())),
        }
    }
}

/// Whether a value is what the environment says: the same for every job, but not for every worker.
pub(in super::super) fn is_of_environment(told: &Value) -> bool {
    told.as_str().is_some_and(|text| text.starts_with(ENVIRONMENT))
}

/// Keys stand for one picture, or for none.
fn of_keys(pictures: Pictures) -> Pictures {
    if pictures == Pictures::Many { Pictures::None } else { pictures }
}

fn list_of(list: &[Value], within: Within<'_>) -> Result<Template, Mistake> {
    if within.pictures == Pictures::Listed {
        return Err("a list can't stand in a list".to_owned().into());
    }
    let inner = match within.pictures {
        Pictures::Many | Pictures::Any => Within { pictures: Pictures::Listed, ..within },
        _ => within,
    };
    let mut read = list.iter().map(|one| Template::read(one, inner)).collect::<Result<Vec<_>, _>>()?;
    let each = inner.pictures == Pictures::Listed && read.iter().any(Template::is_of_picture);
    match (each, read.len()) {
        (true, 1) => Ok(Template::Each(Box::new(read.remove(0)))),
        (true, _) => Err("a list says what stands for each picture, so it has one element".to_owned().into()),
        (false, _) => Ok(Template::List(read)),
    }
}

fn text_or_word(text: &str, within: Within<'_>) -> Result<Template, String> {
    if let Some(said) = text.strip_prefix("$$") {
        return Ok(Template::Said(format!("${said}").into()));
    }
    if let Some(inner) = text.strip_prefix("oid(").and_then(|rest| rest.strip_suffix(')')) {
        return Ok(Template::Oid(Box::new(text_or_word(inner, within)?)));
    }
    if let Some(name) = text.strip_prefix(ENVIRONMENT) {
        let (name, other) =
            name.split_once('|').map_or((name, None), |(name, other)| (name, Some(other.to_owned())));
        let value = (within.environment)(name).or(other);
        return value
            .map(|value| Template::Said(value.into()))
            .ok_or_else(|| format!("the environment has no {name}"));
    }
    if let Some(rest) = text.strip_prefix('@') {
        of_a_picture(text, within)?;
        return parsed(&format!("${rest}")).map(|path| Template::Path(Root::Item, path));
    }
    let (word, other) = match text.split_once('|') {
        Some((word, other)) if text.starts_with('$') && !word.contains(['.', '[']) => {
            (word, Some(other.to_owned()))
        }
        _ => (text, None),
    };
    if let Some((_, word)) = OF_PICTURE.iter().find(|(name, _)| *name == word) {
        of_a_picture(text, within)?;
        return Ok(Template::Word(*word, other));
    }
    if let Some((_, word)) = OF_ALL.iter().find(|(name, _)| *name == word) {
        return Ok(Template::Word(*word, other));
    }
    if within.row && word == OF_ROW.0 {
        return Ok(Template::Word(OF_ROW.1, other));
    }
    if let Some((root, rest)) = rooted(text) {
        if let (Root::Request, false, _) | (Root::Row | Root::Picture, _, false) =
            (root, within.request, within.row)
        {
            return Err(format!("'{text}' is not known here: {}", allowed(within)));
        }
        return parsed(&format!("${rest}")).map(|path| Template::Path(root, path));
    }
    match text.strip_prefix('$') {
        Some(rest) if rest.is_empty() || rest.starts_with(['.', '[']) => {
            parsed(text).map(|path| Template::Path(Root::Job, path))
        }
        Some(_) => Err(format!("'{text}' stands for nothing: {}", allowed(within))),
        None => {
            let pieces = pieces(text, within)?;
            Ok(match Piece::said(&pieces) {
                Some(said) => Template::Said(said.into()),
                None => Template::Text(pieces),
            })
        }
    }
}

fn rooted(text: &str) -> Option<(Root, &str)> {
    ROOTS.into_iter().find_map(|(name, root)| {
        let rest = text.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((root, rest))
    })
}

fn of_a_picture(text: &str, within: Within<'_>) -> Result<(), String> {
    match within.pictures {
        Pictures::None => {
            Err(format!("'{text}' is of a picture, and none has ended here: {}", allowed(within)))
        }
        Pictures::Many => Err(format!(
            "'{text}' is of one picture, and here there may be many: a list [\"{text}\"] has one for each"
        )),
        Pictures::Any | Pictures::One | Pictures::Listed => Ok(()),
    }
}

/// What may stand for something.
fn allowed(within: Within<'_>) -> String {
    let of_picture = OF_PICTURE.iter().filter(|_| within.pictures != Pictures::None);
    let row = Some(&OF_ROW).filter(|_| within.row);
    let words = of_picture.chain(&OF_ALL).chain(row).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut roots = vec!["in the job ($.a)"];
    if within.pictures != Pictures::None {
        roots.push("in an item (@.a)");
    }
    roots.push("in a product ($product.a)");
    if within.request {
        roots.push("in the request's document ($request.a)");
    }
    if within.row {
        roots.push("in a row ($row.a) and in documents of its pictures ($picture.a)");
    }
    format!(
        "allowed are {words}, paths {}, oid(…) and $env.NAME; $$ begins a text with a dollar",
        roots.join(", ")
    )
}

/// A text, with what stands in braces for something: `{$.a}`, `{@.a}`, `{$position}`.
fn pieces(text: &str, within: Within<'_>) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("{$").into_iter().chain(rest.find("{@")).min() {
        let end = rest[at..].find('}').ok_or_else(|| format!("'{text}' has a brace that is not closed"))?;
        if at > 0 {
            pieces.push(Piece::Said(rest[..at].to_owned()));
        }
        pieces.push(Piece::Value(text_or_word(&rest[at + 1..at + end], within)?));
        rest = &rest[at + end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Said(rest.to_owned()));
    }
    Ok(pieces)
}
