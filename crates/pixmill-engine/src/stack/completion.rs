//! Completes an application's request once all of it has ended: one write that only one can make, after its file of
//! results is there.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Stack;
use super::path::first_field;
use super::scope::{Counts, Scope};
use super::table::{On, RequestTold, Rows, Sheet, Term};
use super::telling::Event;
use super::writing::{ENDS, is_comparable, mark, refused};
use crate::catalogue::record;
use crate::code::Code;
use crate::fault::Fault;
use crate::port::documents::Query;

/// How often a request is read anew that somebody changed meanwhile.
const READINGS: usize = 8;

/// Most rows of a file of results, and pictures of one.
const MOST_ROWS: usize = 100_000;

/// How long after a completion is looked whether it was told.
const TOLD_WITHIN: i64 = 24 * 3_600_000;

impl Stack {
    /// Completes the request that a job is of, where all of it has ended, and says whether it is complete.
    ///
    /// # Errors
    /// Those of the application's database, and of its file of results.
    pub(super) async fn complete(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        let Some(told) = &self.table.request else { return Ok(true) };
        for _ in 0..READINGS {
            let Ok(Some(request)) = self.request_of(scope.job).await? else { return Ok(true) };
            if told.is_complete(&request) {
                self.tell_again(scope, &request).await?;
                return Ok(true);
            }
            let Some(counts) = self.all_ended(told, &request, scope).await? else { return Ok(false) };
            let scope = Scope { request: Some(&request), counts: Some(counts), ..*scope };
            self.write_results(&scope).await?;
            let event = mark(scope.seed, &format!("{} {}", request["_id"], scope.now.0));
            let mut update = told.update.written(&scope).map_err(refused)?;
            update["$set"]["pixmill.event"] = event.as_str().into();
            update["$set"]["pixmill.at"] = json!({ "$date": scope.now.0 });
            if self.documents()?.update(&told.lookup.collection, told.as_read(&request), update).await? {
                tracing::info!(queue = self.table.queue, request = %request["_id"], total = counts.total, "request completed");
                let complete = self.request_of(scope.job).await?.ok().flatten();
                let scope = Scope { request: complete.as_ref().or(Some(&request)), ..scope };
                self.tell_of(&[On::Request], &scope, Event::Named(event)).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has a completion of ours be told whose teller may have died before it was noted.
    async fn tell_again(&self, scope: &Scope<'_>, request: &Value) -> Result<(), Fault> {
        let (event, at) = (request["pixmill"]["event"].as_str(), request["pixmill"]["at"]["$date"].as_i64());
        let (Some(event), Some(at)) = (event, at) else { return Ok(()) };
        if scope.now.0 - at > TOLD_WITHIN {
            return Ok(());
        }
        let scope = Scope { request: Some(request), ..*scope };
        self.tell_of(&[On::Request], &scope, Event::Named(event.to_owned())).await
    }

    /// How many there are, where all have ended.
    async fn all_ended(
        &self,
        told: &RequestTold,
        request: &Value,
        scope: &Scope<'_>,
    ) -> Result<Option<Counts>, Fault> {
        if told.total.is_empty() {
            return Ok(Some(scope.counted()));
        }
        let (mut total, mut ended, mut failed) = (0, 0, 0);
        for term in &told.total {
            total += self.number(term, request, scope).await?;
        }
        if total == 0 {
            return Ok(None);
        }
        for term in &told.ended {
            let number = self.number(term, request, scope).await?;
            ended += number;
            failed += if matches!(term, Term::Failed) { number } else { 0 };
        }
        Ok((ended >= total).then_some(Counts { total, ended, failed }))
    }

    async fn number(&self, term: &Term, request: &Value, scope: &Scope<'_>) -> Result<u64, Fault> {
        let number = |value: &Value| value.as_u64().or(value.as_f64().map(|number| number.max(0.0) as u64));
        match term {
            Term::Sum(path) => Ok(path.query(request).all().into_iter().filter_map(number).sum()),
            Term::Count(path) => {
                Ok(path.query(request).all().into_iter().filter(|one| !one.is_null()).count() as u64)
            }
            Term::Documents(lookup) => {
                let query = lookup.query(&Scope { request: Some(request), ..*scope }).map_err(refused)?;
                self.documents()?.count(&query.collection, query.filter).await
            }
            Term::Failed => {
                let failed = json!({ "queue": self.queue(), "request": request["_id"], "failed": true });
                self.documents()?.count(ENDS, failed).await
            }
        }
    }

    /// Writes the file of results, where there is to be one, beside, and renames it.
    ///
    /// # Errors
    /// Those of the application's database, and of the disk.
    pub(super) async fn write_results(&self, scope: &Scope<'_>) -> Result<(), Fault> {
        let Some(sheet) = &self.table.sheet else { return Ok(()) };
        let path = path_of(sheet, scope)?;
        let rows = match &sheet.rows {
            Rows::Documents(lookup) => {
                self.documents()?.find(lookup.query(scope).map_err(refused)?, MOST_ROWS).await?
            }
            Rows::InRequest(path) => {
                let request = scope.request.cloned().unwrap_or_default();
                path.query(&request).all().into_iter().cloned().collect()
            }
        };
        let mut text = record(sheet.columns.iter().map(|(name, _)| name.as_str()));
        for (number, row) in rows.iter().enumerate() {
            let of_row = |pictures| Scope { row: Some((row, number + 1, pictures)), ..*scope };
            let pictures = match &sheet.pictures {
                Some(lookup) => {
                    let query = lookup.query(&of_row(&[])).map_err(refused)?;
                    self.documents()?.find(query, MOST_ROWS).await?
                }
                None => Vec::new(),
            };
            let scope = of_row(&pictures);
            let cells: Vec<_> =
                sheet.columns.iter().map(|(_, column)| column.texts(&scope).join(", ")).collect();
            text.push('\n');
            text.push_str(&record(cells.iter().map(String::as_str)));
        }
        text.push('\n');
        let written = tokio::task::spawn_blocking(move || write_whole(&path, text.as_bytes()));
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(Fault::transient(Code::StoreUnavailable, format!("a file of results: {error}")))
            }
            Err(error) => Err(Fault::transient(Code::StoreUnavailable, error.to_string())),
        }
    }
}

impl RequestTold {
    /// Whether it holds what completes it.
    pub(super) fn is_complete(&self, request: &Value) -> bool {
        self.marks.iter().all(|(key, value)| at(request, key) == Some(value))
    }

    /// The document, as long as what was read of it is so.
    fn as_read(&self, request: &Value) -> Value {
        let mut filter = Map::from_iter([("_id".to_owned(), request["_id"].clone())]);
        let read = self.total.iter().chain(&self.ended).filter_map(Term::field);
        for field in read.chain(self.marks.iter().map(|(key, _)| key.clone())) {
            let value = at(request, &field).cloned().unwrap_or_default();
            if field != "_id" && is_comparable(&value) {
                filter.insert(field, value);
            }
        }
        Value::Object(filter)
    }
}

impl Term {
    /// The field that it is read from.
    fn field(&self) -> Option<String> {
        let (Term::Sum(path) | Term::Count(path)) = self else { return None };
        first_field(path)
    }
}

/// What stands at a field, whose name may have points.
fn at<'a>(document: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(document, |within, part| within.get(part))
}

/// Where a file of results goes. What stands for something in it leads to no other folder.
fn path_of(sheet: &Sheet, scope: &Scope<'_>) -> Result<PathBuf, Fault> {
    let path = sheet.path.parts(scope).map_err(refused)?;
    let strange = path.iter().find(|(said, part)| {
        !said
            && (part.is_empty()
                || part.contains(['/', '\\', '\0'])
                || part.as_str() == ".."
                || part.as_str() == ".")
    });
    match strange {
        Some((_, part)) => Err(refused(format!("'{part}' can't be part of a file's name"))),
        None => Ok(path.into_iter().map(|(_, part)| part).collect::<String>().into()),
    }
}

fn write_whole(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;

    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

impl super::table::Lookup {
    /// What is looked for, for a job.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn query(&self, scope: &Scope<'_>) -> Result<Query, String> {
        Ok(Query {
            collection: self.collection.clone(),
            filter: self.filter.filter(scope)?,
            sort: self.sort.clone(),
        })
    }
}
