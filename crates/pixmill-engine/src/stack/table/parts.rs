//! The tables in a table: what is looked up, what is written, when a request is complete, and who is told.

use serde_json::{Value, json};
use serde_json_path::JsonPath;

use super::super::path::parsed;
use super::super::template::{Pictures, Root, Template, Within, is_of_environment};
use super::fields::{Fields, Wrong};

/// Documents that are looked for.
#[derive(Debug, Clone)]
pub(in super::super) struct Lookup {
    pub(in super::super) collection: String,
    pub(in super::super) filter: Template,
    pub(in super::super) sort: Value,
}

/// What is written where something ended.
#[derive(Debug, Clone)]
pub(in super::super) struct Write {
    pub(in super::super) on: On,
    pub(in super::super) collection: String,
    pub(in super::super) act: Act,
}

/// What it is written about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum On {
    /// The job, before its pictures are begun.
    Start,
    /// A picture that is completed.
    Completed,
    /// One that failed.
    Failed,
    /// One that ended.
    Picture,
    /// A product whose pictures have ended.
    Product,
    /// The job, whose pictures have ended.
    Job,
    /// The request, which is complete.
    Request,
}

const ON: [(&str, On); 6] = [
    ("start", On::Start),
    ("completed", On::Completed),
    ("failed", On::Failed),
    ("picture", On::Picture),
    ("product", On::Product),
    ("job", On::Job),
];

/// What is done.
#[derive(Debug, Clone)]
pub(in super::super) enum Act {
    Insert(Template),
    Update {
        /// None for the document that was read from the collection.
        filter: Option<Template>,
        update: Template,
        /// Doing it twice does what doing it once does.
        repeatable: bool,
    },
}

/// The document of a request, and when that is complete.
#[derive(Debug, Clone)]
pub(in super::super) struct RequestTold {
    pub(in super::super) lookup: Lookup,
    /// How many there are in all; none where the job is the whole request.
    pub(in super::super) total: Vec<Term>,
    /// How many have ended.
    pub(in super::super) ended: Vec<Term>,
    /// What completes it.
    pub(in super::super) update: Template,
    /// What it holds then, by which one that is complete is known.
    pub(in super::super) marks: Vec<(String, Value)>,
}

/// A number.
#[derive(Debug, Clone)]
pub(in super::super) enum Term {
    /// The sum of what is found there in the request's document.
    Sum(JsonPath),
    /// How many values that are not null are found there.
    Count(JsonPath),
    /// How many documents there are.
    Documents(Lookup),
    /// How many pictures of it failed.
    Failed,
}

/// A file of results.
#[derive(Debug, Clone)]
pub(in super::super) struct Sheet {
    pub(in super::super) path: Template,
    pub(in super::super) rows: Rows,
    pub(in super::super) pictures: Option<Lookup>,
    pub(in super::super) columns: Vec<(String, Template)>,
}

#[derive(Debug, Clone)]
pub(in super::super) enum Rows {
    Documents(Lookup),
    InRequest(JsonPath),
}

/// A webhook.
#[derive(Clone)]
pub(in super::super) struct Hook {
    pub(in super::super) on: On,
    pub(in super::super) url: Template,
    pub(in super::super) headers: Vec<(String, String)>,
    pub(in super::super) body: Template,
}

/// Operators that do the same when they are done again.
const REPEATABLE: [&str; 7] = ["$set", "$unset", "$addToSet", "$min", "$max", "$pull", "$setOnInsert"];

pub(super) fn lookup(value: &Value, place: Vec<String>, within: Within<'_>) -> Result<Lookup, Wrong> {
    lookup_of(&Fields::of(value, place, &["collection", "filter", "sort"])?, within)
}

pub(super) fn lookup_of(fields: &Fields<'_>, within: Within<'_>) -> Result<Lookup, Wrong> {
    let sort = match fields.get("sort") {
        None => json!({ "_id": 1 }),
        Some(Value::Object(sort)) if !sort.is_empty() && sort.values().all(|way| *way == 1 || *way == -1) => {
            Value::Object(sort.clone())
        }
        Some(_) => {
            return Err(fields.wrong("sort", "fields with 1 or -1 are needed, as { serialNumber = 1 }"));
        }
    };
    Ok(Lookup {
        collection: collection(fields)?,
        filter: fields.document("filter", within)?.ok_or_else(|| fields.missing("filter", "a document"))?,
        sort,
    })
}

/// A collection of the application's.
fn collection(fields: &Fields<'_>) -> Result<String, Wrong> {
    let name = fields.needed("collection")?;
    if name.starts_with("pixmill_") || name.starts_with("system.") || name.contains(['$', '\0']) {
        return Err(fields.wrong("collection", format!("'{name}' is no collection of an application's")));
    }
    Ok(name.to_owned())
}

/// A write; `read` says whether documents of a collection are read, and so known, where something ends.
pub(super) fn write(
    value: &Value,
    place: Vec<String>,
    within: Within<'_>,
    read: impl Fn(&str, On) -> bool,
) -> Result<Write, Wrong> {
    let fields = Fields::of(value, place, &["on", "collection", "insert", "filter", "update"])?;
    let on = fields.word("on", &ON)?.ok_or_else(|| fields.missing("on", "a word"))?;
    let within = about(on, within);
    let collection = collection(&fields)?;
    let act = match (fields.document("insert", within)?, fields.has("update")) {
        (Some(document), false) if !fields.has("filter") => Act::Insert(document),
        (None, true) => {
            let filter = fields.document("filter", within)?;
            if filter.is_none() && !read(&collection, on) {
                let told = "is missing: which document is meant? It may be left out for the collection of \
                            [stack.documents], on a picture or a product, and that of [stack.request]";
                return Err(fields.wrong("filter", told));
            }
            let (update, repeatable) = update(&fields, within)?;
            Act::Update { filter, update, repeatable }
        }
        _ => return Err(fields.missing("insert", "a document, or else update and filter,")),
    };
    Ok(Write { on, collection, act })
}

/// What may be named of what something is told of.
fn about(on: On, within: Within<'_>) -> Within<'_> {
    let pictures = match on {
        On::Start => Pictures::None,
        On::Completed | On::Failed | On::Picture => Pictures::One,
        On::Product | On::Job | On::Request => Pictures::Many,
    };
    Within { pictures, ..within }
}

fn update(fields: &Fields<'_>, within: Within<'_>) -> Result<(Template, bool), Wrong> {
    let operators = match fields.get("update") {
        Some(Value::Object(operators)) if !operators.is_empty() => operators,
        _ => {
            return Err(
                fields.missing("update", "a document of operators, as { \"$set\" = { status = \"done\" } },")
            );
        }
    };
    for (operator, changes) in operators {
        if !operator.starts_with('$') || !matches!(changes, Value::Object(changes) if !changes.is_empty()) {
            let told =
                format!("'{operator}' is no operator with fields, as \"$set\" = {{ status = \"done\" }}");
            return Err(fields.wrong("update", told));
        }
    }
    let repeatable = operators.keys().all(|operator| REPEATABLE.contains(&operator.as_str()));
    let template = fields.template("update", within)?.expect("it is there");
    Ok((template, repeatable))
}

pub(super) fn request(value: &Value, place: Vec<String>, within: Within<'_>) -> Result<RequestTold, Wrong> {
    let fields = Fields::of(value, place, &["collection", "filter", "sort", "total", "ended", "update"])?;
    let before = Within { pictures: Pictures::None, request: false, ..within };
    let lookup = lookup_of(&fields, before)?;
    let (total, ended) = (terms(&fields, "total", within)?, terms(&fields, "ended", within)?);
    if total.is_empty() != ended.is_empty() {
        let lacking = if total.is_empty() { "total" } else { "ended" };
        return Err(fields.missing(lacking, "what the other is compared with: a path or a list of them"));
    }
    let about = Within { pictures: at_completion(total.is_empty()), request: true, ..within };
    let (update, repeatable) = update(&fields, about)?;
    let marks = marks(&fields, &update);
    if !repeatable || marks.is_empty() {
        let told = "it must set a field to a value of its own, by which one that is complete is known, and count nothing";
        return Err(fields.wrong("update", told));
    }
    Ok(RequestTold { lookup, total, ended, update, marks })
}

/// What an update sets to the same value whatever the job, and whoever works it off.
fn marks(fields: &Fields<'_>, update: &Template) -> Vec<(String, Value)> {
    let told = fields.get("update").map(|update| &update["$set"]);
    let set = update.fields().filter(|(operator, _)| operator == "$set").flat_map(|(_, set)| set.fields());
    let same = |(key, field): (String, &Template)| match field {
        Template::Said(value) if !told.is_some_and(|told| is_of_environment(&told[&key])) => {
            Some((key, value.clone()))
        }
        _ => None,
    };
    set.filter_map(same).collect()
}

fn terms(fields: &Fields<'_>, key: &str, within: Within<'_>) -> Result<Vec<Term>, Wrong> {
    let told = match fields.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    };
    told.into_iter().map(|told| term(fields, key, told, within)).collect()
}

fn term(fields: &Fields<'_>, key: &str, told: &Value, within: Within<'_>) -> Result<Term, Wrong> {
    if told.is_object() {
        let within = Within { pictures: Pictures::None, request: true, ..within };
        return lookup(told, fields.place(key), within).map(Term::Documents);
    }
    let in_request = |text: &str| {
        let rest = text.strip_prefix("$request").filter(|rest| rest.starts_with(['.', '[']))?;
        parsed(&format!("${rest}")).ok()
    };
    let text = told.as_str().unwrap_or_default();
    let counted = text.strip_prefix("count(").and_then(|rest| rest.strip_suffix(')'));
    let term = match counted {
        Some(inner) => in_request(inner).map(Term::Count),
        None if text == "$failed" => Some(Term::Failed),
        None => in_request(text).map(Term::Sum),
    };
    term.ok_or_else(|| {
        let told = format!(
            "{told} is no number: allowed are \"$request.a\", \"count($request.a[*])\", \"$failed\" and \
             {{ collection = …, filter = … }}"
        );
        fields.wrong(key, told)
    })
}

pub(super) fn sheet(value: &Value, place: Vec<String>, within: Within<'_>) -> Result<Sheet, Wrong> {
    let fields = Fields::of(value, place, &["path", "rows", "pictures", "columns"])?;
    let within = Within { pictures: Pictures::None, ..within };
    let path = fields.needed_template("path", within)?;
    let rows = match fields.get("rows") {
        Some(told @ Value::String(_)) => {
            let read = fields.read("rows", told, within)?;
            let Template::Path(Root::Request, path) = read else {
                return Err(fields.wrong(
                    "rows",
                    "a path in the request's document ($request.a[*]) or documents are needed",
                ));
            };
            Rows::InRequest(path)
        }
        Some(documents) => Rows::Documents(lookup(documents, fields.place("rows"), within)?),
        None => return Err(fields.missing("rows", "{ collection = …, filter = … } or a path,")),
    };
    let within = Within { row: true, ..within };
    let pictures = fields.get("pictures").map(|told| lookup(told, fields.place("pictures"), within));
    let columns = fields.get("columns").and_then(Value::as_array);
    let columns = columns.filter(|columns| !columns.is_empty());
    let columns = columns.ok_or_else(|| fields.missing("columns", "a list of [\"Name\", \"$row.name\"]"))?;
    let column = |column: &Value| match column.as_array().map(Vec::as_slice) {
        Some([Value::String(name), told @ Value::String(_)]) => {
            Ok((name.clone(), fields.read("columns", told, within)?))
        }
        _ => Err(fields.wrong("columns", format!("{column} is no [\"Name\", \"$row.name\"]"))),
    };
    Ok(Sheet {
        path,
        rows,
        pictures: pictures.transpose()?,
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
    })
}

/// What is known of pictures where a request is complete: those of the job that is all of it.
fn at_completion(whole: bool) -> Pictures {
    if whole { Pictures::Many } else { Pictures::None }
}

/// A webhook; `whole` says whether one job is a whole request.
pub(super) fn hook(
    value: &Value,
    place: Vec<String>,
    within: Within<'_>,
    whole: bool,
) -> Result<Hook, Wrong> {
    let fields = Fields::of(value, place, &["on", "url", "headers", "body"])?;
    let words: Vec<_> = ON.into_iter().skip(1).chain([("request", On::Request)]).collect();
    let on = fields.word("on", &words)?.ok_or_else(|| fields.missing("on", "a word"))?;
    if on == On::Request && !within.request {
        return Err(fields.wrong("on", "there is no [stack.request] that could be complete"));
    }
    let within = match on {
        On::Request => Within { pictures: at_completion(whole), ..within },
        on => about(on, within),
    };
    let url = fields.needed_template("url", within)?;
    let headers = match fields.get("headers") {
        None => Vec::new(),
        Some(Value::Object(headers)) => {
            let header = |(name, told): (&String, &Value)| match fields.read("headers", told, within)? {
                Template::Said(Value::String(value)) if is_header(name, &value) => {
                    Ok((name.to_ascii_lowercase(), value))
                }
                _ => Err(fields.wrong("headers", format!("{name}: a text or $env.NAME is needed"))),
            };
            headers.iter().map(header).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(fields.wrong("headers", "a table of texts is needed")),
    };
    let body = fields.template("body", within)?.ok_or_else(|| fields.missing("body", "a value"))?;
    Ok(Hook { on, url, headers, body })
}

fn is_header(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(token) && !value.contains(|letter: char| letter.is_control())
}
