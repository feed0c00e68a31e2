//! What a job is about: its request's document, and its products with their pictures, wherever they are.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Stack;
use super::scope::{Picture, Scope};
use super::table::{Sought, Table};
use crate::catalogue::{Catalogue, Hints, Next, OpenError, Row, fields};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::time::Timestamp;
use crate::port::documents::{Documents, Query};

/// The most products that a job may have.
const MOST_PRODUCTS: usize = 100_000;

/// What was found.
pub(super) struct Gathered {
    pub(super) products: Vec<Value>,
    pub(super) pictures: Vec<Picture>,
    pub(super) request: Option<Value>,
}

/// What came of looking.
pub(super) enum Look {
    Found(Gathered),
    /// Not all is there; what is missing.
    Missing(String),
}

/// Where a table's jobs are looked up.
pub(super) struct Ground<'a> {
    pub(super) table: &'a Table,
    pub(super) documents: Option<&'a Arc<dyn Documents>>,
    pub(super) now: Timestamp,
}

impl Stack {
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground { table: &self.table, documents: self.documents.as_ref(), now: self.clock.wall() }
    }

    /// The document of the request that a job is of.
    ///
    /// # Errors
    /// Those of the application's database.
    pub(super) async fn request_of(&self, job: &Value) -> Result<Result<Option<Value>, String>, Fault> {
        self.ground().request_of(job).await
    }
}

impl Ground<'_> {
    /// Looks for what a job is about.
    ///
    /// # Errors
    /// Those of the application's database.
    pub(super) async fn gather(&self, job: &Value) -> Result<Look, Fault> {
        let sought = match self.table.sought(&Scope::of(job, self.now)) {
            Ok(sought) => sought,
            Err(lacks) => return Ok(Look::Missing(lacks)),
        };
        let request = match self.request_of(job).await? {
            Ok(request) => request,
            Err(missing) => return Ok(Look::Missing(missing)),
        };
        let found = match sought {
            Sought::Here(products, pictures) => Ok((products, pictures)),
            Sought::Documents(query) => self.products_in(query).await?,
            Sought::File(path, folder) => self.products_of(path, folder.to_owned()).await,
        };
        Ok(match found {
            Ok((products, pictures)) => Look::Found(Gathered { products, pictures, request }),
            Err(missing) => Look::Missing(missing),
        })
    }

    /// The document of the request that a job is of, where the table tells of one.
    async fn request_of(&self, job: &Value) -> Result<Result<Option<Value>, String>, Fault> {
        let Some(told) = &self.table.request else { return Ok(Ok(None)) };
        let query = match told.lookup.query(&Scope::of(job, self.now)) {
            Ok(query) => query,
            Err(lacks) => return Ok(Err(lacks)),
        };
        let missing = missing(&query);
        let found = named(self.documents)?.find(query, 1).await?.into_iter().next();
        Ok(found.map(Some).ok_or(missing))
    }

    async fn products_in(&self, query: Query) -> Result<Result<(Vec<Value>, Vec<Picture>), String>, Fault> {
        let missing = missing(&query);
        let products = named(self.documents)?.find(query, MOST_PRODUCTS).await?;
        if products.is_empty() {
            return Ok(Err(missing));
        }
        Ok(self.table.pictures(&products).map(|pictures| (products, pictures)))
    }

    async fn products_of(&self, path: Value, folder: PathBuf) -> Result<(Vec<Value>, Vec<Picture>), String> {
        let Value::String(path) = path else { return Err("its file's path is no text".to_owned()) };
        let read = tokio::task::spawn_blocking(move || rows(&path, &folder));
        read.await.unwrap_or_else(|error| Err(format!("its file can't be read: {error}")))
    }
}

/// The application's documents.
///
/// # Errors
/// `config.invalid` where none are named.
pub(super) fn named(documents: Option<&Arc<dyn Documents>>) -> Result<&Arc<dyn Documents>, Fault> {
    let lacking =
        || Fault::permanent(Code::ConfigInvalid, "a table names documents, and no MongoDB is named");
    documents.ok_or_else(lacking)
}

fn missing(query: &Query) -> String {
    format!("no document in {} is like {}", query.collection, query.filter)
}

/// The rows of a file of pictures, as products, and their pictures.
fn rows(path: &str, folder: &Path) -> Result<(Vec<Value>, Vec<Picture>), String> {
    let read = |error: std::io::Error| format!("its file {path} can't be read: {error}");
    let folder = folder.canonicalize().map_err(|error| format!("folder {}: {error}", folder.display()))?;
    let file = folder.join(path).canonicalize().map_err(read)?;
    if !file.starts_with(&folder) {
        return Err(format!("its file {path} is not in folder {}", folder.display()));
    }
    let reader = BufReader::new(File::open(file).map_err(read)?);
    let mut catalogue = Catalogue::open_as(reader, &Hints::default()).map_err(|error| match error {
        OpenError::Io(error) => read(error),
        OpenError::Refused(refusal) => format!("its file {path}: {refusal}"),
    })?;
    let columns = catalogue.header().columns.clone();
    let (mut products, mut pictures, mut row) = (Vec::new(), Vec::new(), Row::default());
    loop {
        match catalogue.next_row(&mut row).map_err(read)? {
            Next::End => break,
            Next::Bad(_) => continue,
            Next::Row => {}
        }
        let cells = columns.iter().cloned().zip(fields(&row.cells).into_iter().map(Value::from));
        let product = products.len();
        products.push(Value::Object(cells.collect::<Map<_, _>>()));
        pictures.extend(row.urls.iter().enumerate().map(|(position, url)| Picture {
            product,
            position,
            said: Value::from(url),
            url: url.to_owned(),
        }));
        if pictures.len() > MOST_PRODUCTS || products.len() > MOST_PRODUCTS {
            return Err(format!("its file {path} has more than {MOST_PRODUCTS} rows or pictures"));
        }
    }
    match products.is_empty() {
        true => Err(format!("its file {path} has no row that can be used")),
        false => Ok((products, pictures)),
    }
}
