//! What a table says of the jobs of one queue: where addresses are, what is written where they end, and what jobs return.

mod fields;
mod parts;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json_path::JsonPath;

use self::fields::Fields;
pub use self::fields::Wrong;
pub(super) use self::parts::{Act, Hook, Lookup, On, RequestTold, Rows, Sheet, Term, Write};
use super::path::first_field;
use super::scope::{Picture, Scope};
use super::template::{Pictures, Template, Within, plain};
use crate::model::time::Timestamp;
use crate::port::documents::Query;
use crate::port::errands::Done;

/// The most addresses that a job may have.
const MOST_PICTURES: usize = 100_000;

/// What keys of a queue begin with unless a table says otherwise.
const PREFIX: &str = "bull";

const KEYS: [&str; 17] = [
    "csv",
    "dialect",
    "documents",
    "fails",
    "file",
    "folder",
    "items",
    "jobs",
    "missing",
    "prefix",
    "products",
    "queue",
    "request",
    "returns",
    "url",
    "webhook",
    "write",
];

/// When a job fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Any,
    All,
    Never,
}

/// What becomes of a job that names what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is left alone.
    Wait,
    /// It fails.
    Fail,
}

/// Where pictures are.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// In the job.
    Job,
    /// In products that the job lists.
    Products(JsonPath),
    /// In documents.
    Documents(Lookup),
    /// In rows of a file.
    File { path: Template, folder: PathBuf },
}

/// Where one job's are.
pub(super) enum Sought<'a> {
    /// In the job: its products and their pictures.
    Here(Vec<Value>, Vec<Picture>),
    Documents(Query),
    /// The path that the job says, and the folder that it may not leave.
    File(Value, &'a Path),
}

/// A table that was found right.
#[derive(Clone)]
pub struct Table {
    /// The queue's name.
    pub queue: String,
    /// What its keys begin with.
    pub prefix: String,
    /// What jobs are called that are taken, `*` for any name.
    pub jobs: Vec<String>,
    pub(super) source: Source,
    pub(super) missing: Missing,
    pub(super) request: Option<RequestTold>,
    pub(super) writes: Vec<Write>,
    pub(super) sheet: Option<Sheet>,
    pub(super) hooks: Vec<Hook>,
    items: Option<JsonPath>,
    url: Option<JsonPath>,
    returns: Template,
    fails: Fails,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table of {}:{}", self.prefix, self.queue)
    }
}

impl Table {
    /// Reads what was written; variables of the environment may be named in it.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn read(told: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Result<Table, Wrong> {
        let fields = Fields::of(told, Vec::new(), &KEYS)?;
        match fields.text("dialect")? {
            None | Some("bullmq") => {}
            Some("bull") => {
                let told = "'bull' is not served: queues of Bull (3, 4) have keys of another shape, and their jobs are left \
                            alone. Allowed is bullmq";
                return Err(fields.wrong("dialect", told));
            }
            Some(other) => {
                return Err(fields.wrong("dialect", format!("'{other}' is not served, allowed is bullmq")));
            }
        }
        let request_told = fields.has("request");
        let within = Within { pictures: Pictures::None, request: request_told, row: false, environment };
        let source = source(&fields, Within { request: false, ..within })?;
        let request = fields.get("request").map(|told| parts::request(told, fields.place("request"), within));
        let request = request.transpose()?;
        let whole = request.as_ref().is_some_and(|request| request.total.is_empty());
        let of_request = request.as_ref().map(|request| request.lookup.collection.clone());
        let of_source = match &source {
            Source::Documents(lookup) => Some(lookup.collection.clone()),
            _ => None,
        };
        let read = |collection: &str, on: On| {
            let of_product = !matches!(on, On::Start | On::Job);
            of_request.as_deref() == Some(collection)
                || (of_product && of_source.as_deref() == Some(collection))
        };
        let writes = fields.tables("write").into_iter();
        let hooks = fields.tables("webhook").into_iter();
        let returns = match fields.template("returns", Within { pictures: Pictures::Any, ..within })? {
            Some(returns) => returns,
            None if fields.has("write") || request_told => Template::Said(Value::Null),
            None => return Err(fields.missing("returns", "a value")),
        };
        let fails =
            fields.word("fails", &[("any", Fails::Any), ("all", Fails::All), ("never", Fails::Never)])?;
        let missing = fields.word("missing", &[("wait", Missing::Wait), ("fail", Missing::Fail)])?;
        let of_file = matches!(source, Source::File { .. });
        let (items, url) = (fields.path("items")?, fields.path("url")?);
        if let (true, Some(key)) = (of_file, ["items", "url"].into_iter().find(|key| fields.has(key))) {
            return Err(fields.wrong(key, "the file's own columns say where addresses are: remove it"));
        }
        if !of_file && url.is_none() {
            return Err(fields.missing("url", "a text"));
        }
        Ok(Table {
            queue: fields.needed("queue")?.to_owned(),
            prefix: fields.text("prefix")?.unwrap_or(PREFIX).to_owned(),
            jobs: names(&fields)?,
            writes: writes
                .map(|(told, at)| parts::write(told, at, within, read))
                .collect::<Result<_, _>>()?,
            hooks: hooks.map(|(told, at)| parts::hook(told, at, within, whole)).collect::<Result<_, _>>()?,
            sheet: fields
                .get("csv")
                .map(|told| parts::sheet(told, fields.place("csv"), within))
                .transpose()?,
            fails: fails.unwrap_or(if returns.is_of_picture() { Fails::Any } else { Fails::Never }),
            missing: missing.unwrap_or(Missing::Wait),
            source,
            request,
            items,
            url,
            returns,
        })
    }

    /// Whether it names documents in MongoDB.
    pub fn needs_documents(&self) -> bool {
        let looks = matches!(self.source, Source::Documents(_)) || self.request.is_some();
        looks || !self.writes.is_empty() || self.sheet.is_some() || !self.hooks.is_empty()
    }

    /// Whether a job's data says all that the table asks for.
    ///
    /// # Errors
    /// What it lacks.
    pub fn fits(&self, data: &Value) -> Result<(), String> {
        let scope = Scope::of(data, Timestamp::default());
        self.sought(&scope)?;
        if let Some(request) = &self.request {
            request.lookup.filter.filter(&scope)?;
        }
        Ok(())
    }

    /// Where a job's pictures are.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn sought(&self, scope: &Scope<'_>) -> Result<Sought<'_>, String> {
        Ok(match &self.source {
            Source::Job | Source::Products(_) => {
                let products = self.products(scope.job)?;
                let pictures = self.pictures(&products)?;
                Sought::Here(products, pictures)
            }
            Source::Documents(lookup) => Sought::Documents(lookup.query(scope)?),
            Source::File { path, folder } => Sought::File(path.filter(scope)?, folder),
        })
    }

    /// The products that a job holds: the job itself where none are told.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn products(&self, data: &Value) -> Result<Vec<Value>, String> {
        let Source::Products(path) = &self.source else { return Ok(vec![data.clone()]) };
        let found = path.query(data).all();
        if found.is_empty() && !is_empty_list(path, data) {
            return Err(format!("nothing is at {path} in its data"));
        }
        Ok(found.into_iter().cloned().collect())
    }

    /// The pictures that products name, in order.
    ///
    /// # Errors
    /// What they lack.
    pub(super) fn pictures(&self, products: &[Value]) -> Result<Vec<Picture>, String> {
        let mut pictures = Vec::new();
        for (product, data) in products.iter().enumerate() {
            let said = match &self.items {
                None => vec![data],
                Some(path) => path.query(data).all(),
            };
            if let (true, Some(path)) = (said.is_empty(), &self.items)
                && !is_empty_list(path, data)
            {
                return Err(format!("nothing is at {path} in its data"));
            }
            let Some(url) = &self.url else { continue };
            let address =
                |said: &Value| url.query(said).first().and_then(Value::as_str).unwrap_or_default().to_owned();
            if !said.is_empty() && said.iter().all(|said| url.query(said).is_empty()) {
                return Err(format!("no address is at {url} in its data"));
            }
            pictures.extend(said.into_iter().enumerate().map(|(position, said)| Picture {
                product,
                position,
                said: said.clone(),
                url: address(said),
            }));
            if pictures.len() > MOST_PICTURES {
                return Err(format!("it names more than {MOST_PICTURES} pictures"));
            }
        }
        if self.returns.is_of_picture() && pictures.len() != 1 {
            return Err(format!("it names {} pictures, and the table says what one returns", pictures.len()));
        }
        Ok(pictures)
    }

    /// The field of a document in which its addresses are.
    pub(super) fn field(&self) -> Option<String> {
        first_field(self.items.as_ref().or(self.url.as_ref())?)
    }

    /// Whether it counts pictures that failed, of a whole request.
    pub(super) fn counts_failures(&self) -> bool {
        self.request.as_ref().is_some_and(|told| told.ended.iter().any(|term| matches!(term, Term::Failed)))
    }

    /// How a job ends whose pictures ended so.
    pub(super) fn done(&self, scope: &Scope<'_>) -> Done {
        let failed: Vec<_> = scope.ends.iter().filter_map(|end| end.failure.as_ref()).collect();
        let fails = match self.fails {
            Fails::Any => !failed.is_empty(),
            Fails::All => !failed.is_empty() && failed.len() == scope.ends.len(),
            Fails::Never => false,
        };
        if let (true, Some(first)) = (fails, failed.first()) {
            let first = format!("{}: {}", first.code, first.message);
            return Done::Failed(match scope.ends.len() {
                1 => first,
                all => format!("{} of {all} pictures failed, the first: {first}", failed.len()),
            });
        }
        let one = Some(0).filter(|_| scope.pictures.len() == 1);
        Done::Completed(plain(self.returns.value(&Scope { picture: one, ..*scope })))
    }
}

fn source(fields: &Fields<'_>, within: Within<'_>) -> Result<Source, Wrong> {
    let told: Vec<_> = ["products", "documents", "file"].into_iter().filter(|key| fields.has(key)).collect();
    if let [_, second, ..] = told.as_slice() {
        return Err(
            fields.wrong(second, "pictures are in one of products, documents and file: remove the others")
        );
    }
    if fields.has("folder") && !fields.has("file") {
        return Err(fields.wrong("folder", "it belongs to file, which is missing"));
    }
    Ok(match told.first() {
        None => Source::Job,
        Some(&"products") => Source::Products(fields.path("products")?.expect("it is there")),
        Some(&"documents") => {
            let documents = fields.get("documents").expect("it is there");
            Source::Documents(parts::lookup(documents, fields.place("documents"), within)?)
        }
        Some(_) => {
            let path = fields.needed_template("file", within)?;
            let folder = fields.text("folder")?;
            let folder =
                folder.ok_or_else(|| fields.missing("folder", "the folder that files may not leave"))?;
            Source::File { path, folder: folder.into() }
        }
    })
}

fn names(fields: &Fields<'_>) -> Result<Vec<String>, Wrong> {
    let Some(told) = fields.get("jobs") else { return Ok(vec!["*".to_owned()]) };
    let names = told.as_array().filter(|names| !names.is_empty());
    let text = |name: &Value| name.as_str().map(str::to_owned);
    let names: Option<Vec<_>> = names.and_then(|names| names.iter().map(text).collect());
    names.ok_or_else(|| fields.wrong("jobs", "a list of names is needed"))
}

/// Whether nothing is at a path because the list there has nothing in it, rather than because it is not there.
fn is_empty_list(path: &JsonPath, data: &Value) -> bool {
    let text = path.to_string();
    let Some(list) = text.strip_suffix("[*]") else { return false };
    let list = JsonPath::parse(list).ok().and_then(|list| list.query(data).first());
    list.is_some_and(|list| list.as_array().is_some_and(Vec::is_empty))
}
