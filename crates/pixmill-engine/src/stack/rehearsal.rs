//! What would be done for a job, without doing it.

use std::sync::Arc;

use serde_json::Value;

use super::gather::{Ground, Look};
use super::scope::{End, Scope};
use super::table::{Act, On, Table};
use crate::fault::Fault;
use crate::model::image::Output;
use crate::model::time::Timestamp;
use crate::port::documents::Documents;

/// Pictures and products that are told of.
const TOLD: usize = 5;

/// What would be fetched and written for a job whose pictures all end well, a line each.
///
/// # Errors
/// Those of the application's database.
pub async fn rehearse(
    table: &Table,
    documents: Option<&Arc<dyn Documents>>,
    job: &Value,
    now: Timestamp,
) -> Result<Vec<String>, Fault> {
    let gathered = match (Ground { table, documents, now }).gather(job).await? {
        Look::Found(gathered) => gathered,
        Look::Missing(lacks) => return Ok(vec![format!("it would be left alone: {lacks}")]),
    };
    let ends: Vec<_> = gathered.pictures.iter().map(|picture| stored(&picture.url)).collect();
    let scope = gathered.scope(job, &ends, 0, now);
    let mut told = Vec::new();
    for picture in gathered.pictures.iter().take(TOLD) {
        // Its query may hold a signature.
        told.push(format!("fetch {}", picture.url.trim().split('?').next().unwrap_or_default()));
    }
    told.extend(and_more(gathered.pictures.len(), "pictures"));
    write(table, &[On::Start], &scope, &mut told);
    for picture in 0..gathered.pictures.len().min(TOLD) {
        write(table, &[On::Completed, On::Picture], &Scope { picture: Some(picture), ..scope }, &mut told);
    }
    for product in 0..gathered.products.len().min(TOLD) {
        write(table, &[On::Product], &Scope { product: Some(product), ..scope }, &mut told);
    }
    write(table, &[On::Job], &scope, &mut told);
    if let (Some(request), Some(document)) = (&table.request, &gathered.request) {
        let update = request.update.written(&scope).unwrap_or_else(Value::from);
        let when = if request.total.is_empty() { "then" } else { "once all have ended" };
        told.push(format!("{when} update {} {}: {update}", request.lookup.collection, document["_id"]));
    }
    told.push(format!("return {:?}", table.done(&scope)));
    Ok(told)
}

fn write(table: &Table, on: &[On], scope: &Scope<'_>, told: &mut Vec<String>) {
    for write in table.writes.iter().filter(|write| on.contains(&write.on)) {
        let what = match &write.act {
            Act::Insert(document) => document
                .written(scope)
                .map(|document| format!("insert into {}: {document}", write.collection)),
            Act::Update { filter, update, .. } => {
                let filter = match filter {
                    Some(filter) => filter.filter(scope).map(|filter| filter.to_string()),
                    None => Ok("the document that was read".to_owned()),
                };
                let update = update.written(scope);
                filter.and_then(|filter| Ok(format!("update {} {filter}: {}", write.collection, update?)))
            }
        };
        told.push(what.unwrap_or_else(|lacks| format!("fail: {lacks}")));
    }
}

fn and_more(all: usize, what: &str) -> Option<String> {
    (all > TOLD).then(|| format!("… {all} {what} in all"))
}

/// An output as one will be.
fn stored(url: &str) -> End {
    let name = url.rsplit('/').next().unwrap_or_default();
    let output =
        Output { location: format!("<output of {name}>"), bytes_before: 0, bytes_after: 0, frames: 1 };
    End { output: Some(output), failure: None }
}
