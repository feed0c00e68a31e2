//! Proposes a table for a queue, from jobs that wait there and the documents that they name. It only reads.

mod places;
#[cfg(test)]
mod tests;
mod written;

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use self::places::{Place, is_address, places};
pub use self::written::toml;
use super::template::is_id;
use crate::fault::Fault;
use crate::port::documents::{Documents, Query};

/// A table, and what is to be looked at before it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// As a file of settings has it.
    pub table: Value,
    /// What is unsure.
    pub unsure: Vec<String>,
}

/// Names of fields that hold a request's id.
const REQUEST: [&str; 6] = ["requestId", "request_id", "reqId", "requestID", "batchId", "jobId"];

/// Parts of names of totals, and of counters of what has ended.
const TOTAL: [&str; 2] = ["total", "count"];
const ENDED: [&str; 3] = ["processed", "completed", "done"];

/// A document that a job led to.
struct Found {
    collection: String,
    filter: Value,
    document: Value,
}

/// Proposes a table for jobs with these names and data.
///
/// # Errors
/// Those of the application's database.
pub async fn propose(
    queue: &str,
    prefix: &str,
    jobs: &[(String, Value)],
    documents: Option<&Arc<dyn Documents>>,
) -> Result<Option<Proposal>, Fault> {
    let Some((_, job)) = jobs.first() else { return Ok(None) };
    let mut proposal = Proposal { table: json!({ "queue": queue }), unsure: Vec::new() };
    if prefix != "bull" {
        proposal.table["prefix"] = prefix.into();
    }
    let mut names: Vec<_> = jobs.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    proposal.table["jobs"] = names.into();
    let found = match documents {
        Some(documents) => named(job, documents).await?,
        None => Vec::new(),
    };
    let may_be = |found: &&Found| found.document.get("status").is_some() && is_of_request(&found.filter);
    // What holds the pictures themselves is more likely a product.
    let request = found
        .iter()
        .filter(may_be)
        .min_by_key(|found| (!found.collection.contains("request"), addresses(&found.document).is_some()));
    match addresses(job) {
        Some(place) => proposal.take(place, "the job"),
        None => match found.iter().find_map(|found| Some((found, addresses(&found.document)?))) {
            Some((found, place)) => proposal.take_documents(found, place),
            None => proposal.take_file(job),
        },
    }
    if let Some(request) = request {
        proposal.take_request(request);
    } else if documents.is_some() {
        proposal.unsure.push(
            "no document with a status was found for the ids in the job: is there one of the request?".into(),
        );
    }
    if documents.is_none() {
        proposal
            .unsure
            .push("documents were not looked at: name them by MONGODB_URI where results go there".into());
    }
    Ok(Some(proposal))
}

impl Proposal {
    /// Pictures are in the job.
    fn take(&mut self, place: Place, within: &str) {
        match place.lists.as_slice() {
            [] => self.table["url"] = place.path(0).into(),
            [_] => {
                self.table["items"] = place.list(0).into();
                self.table["url"] = place.path(1).into();
            }
            _ => {
                self.table["products"] = place.list(0).into();
                self.table["items"] = place.list(1).into();
                self.table["url"] = place.path(2).into();
            }
        }
        self.table["returns"] = if place.lists.is_empty() {
            json!({ "outputUrl": "$output" })
        } else {
            json!([{ "url": "$url", "outputUrl": "$output", "error": "$error" }])
        };
        self.unsure.push(format!(
            "addresses are in {within}. What does the worker of today do with an output: insert or update a document \
             ([[stack.write]]), or return it, as is proposed?"
        ));
    }

    /// Pictures are in a document that the job names.
    fn take_documents(&mut self, found: &Found, place: Place) {
        let collection = &found.collection;
        if place.lists.is_empty() {
            self.table["url"] = place.path(0).into();
        } else {
            self.table["items"] = place.list(0).into();
            self.table["url"] = place.path(1).into();
        }
        self.table["documents"] = json!({ "collection": collection, "filter": found.filter });
        let field = place.field();
        let output = output_field(&found.document, &field);
        let known = found.document.get(&output).is_some();
        let value = if place.lists.is_empty() { json!("$output") } else { json!(["$output|"]) };
        let mut set = Map::from_iter([(output.clone(), value)]);
        if found.document.get("updatedAt").is_some() {
            set.insert("updatedAt".to_owned(), "$now".into());
        }
        self.table["write"] =
            json!([{ "on": "product", "collection": collection, "update": { "$set": set } }]);
        if !known {
            self.unsure.push(format!(
                "{collection} has no field '{output}' yet: is that where outputs of '{field}' go?"
            ));
        }
        if found.document.get("status").is_some() {
            self.unsure.push(format!(
                "{collection} has a status: which word does it get when its pictures have ended?"
            ));
        }
    }

    /// Pictures are in a file.
    fn take_file(&mut self, job: &Value) {
        let file = job.as_object().into_iter().flatten().find(|(name, value)| {
            let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
            let ends = [".csv", ".tsv", ".xlsx", ".ods", ".json"].iter().any(|end| text.ends_with(end));
            let name = name.to_ascii_lowercase();
            ends || (text.contains('/') && (name.contains("file") || name.contains("path")))
        });
        let Some((name, value)) = file else {
            self.unsure
                .push("no address and no file was found in the job or in a document that it names".into());
            return;
        };
        let folder = value.as_str().and_then(|path| path.rsplit_once('/')).map_or(".", |(folder, _)| folder);
        self.table["file"] = format!("$.{name}").into();
        self.table["folder"] = folder.into();
        self.table["returns"] = json!([{ "url": "$url", "outputUrl": "$output", "error": "$error" }]);
        self.unsure.push(
            "what does the worker of today write for a row of the file? ([[stack.write]], on = \"product\")"
                .into(),
        );
    }

    fn take_request(&mut self, found: &Found) {
        let status = found.document["status"].as_str().unwrap_or_default();
        let word =
            if status.chars().all(|letter| !letter.is_lowercase()) { "COMPLETED" } else { "completed" };
        let mut set = json!({ "status": word });
        if found.document.get("updatedAt").is_some() {
            set["updatedAt"] = "$now".into();
        }
        let mut request = json!({
            "collection": found.collection, "filter": found.filter, "update": { "$set": set },
        });
        let number = |words: &[&str]| {
            let fields = found.document.as_object().into_iter().flatten();
            let named = |name: &str| words.iter().any(|word| name.to_ascii_lowercase().contains(word));
            fields
                .filter(|(_, value)| value.is_number())
                .map(|(name, _)| name)
                .find(|name| named(name))
                .cloned()
        };
        match (number(&TOTAL), number(&ENDED)) {
            (Some(total), Some(ended)) => {
                request["total"] = format!("$request.{total}").into();
                request["ended"] = format!("$request.{ended}").into();
                let on = if ended.to_ascii_lowercase().contains("product") { "product" } else { "picture" };
                let update = json!({ "$inc": { ended.clone(): 1 } });
                let write = json!({ "on": on, "collection": found.collection, "update": update });
                match &mut self.table["write"] {
                    Value::Array(writes) => writes.push(write),
                    none => *none = json!([write]),
                }
                self.unsure.push(format!(
                    "'{ended}' of {} is taken for what counts what has ended, a {on} each, and '{total}' for how many there are",
                    found.collection
                ));
            }
            _ => self.unsure.push(format!(
                "{} has no total and no counter: one job is taken for a whole request",
                found.collection
            )),
        }
        self.unsure.push(format!("'{word}' is taken for the word that a complete request has"));
        self.table["request"] = request;
    }
}

/// Where the addresses of a value are; of many places the one with the most.
fn addresses(value: &Value) -> Option<Place> {
    let inputs = places(value).into_iter().filter(|place| !place.says_output());
    inputs.min_by_key(|place| Reverse((place.says_input(), place.count)))
}

/// Where outputs of a field go.
fn output_field(document: &Value, field: &str) -> String {
    let renamed = field.replace("input", "output").replace("Input", "Output");
    if renamed != field {
        return renamed;
    }
    let fields = document.as_object().into_iter().flatten().map(|(name, _)| name);
    let output =
        fields.filter(|name| name.to_ascii_lowercase().contains("output")).min_by_key(|name| name.len());
    output.cloned().unwrap_or_else(|| "outputUrls".to_owned())
}

fn is_of_request(filter: &Value) -> bool {
    filter.to_string().split('"').any(|part| {
        let name = part.trim_start_matches("oid(").trim_start_matches("$.").trim_end_matches(')');
        REQUEST.contains(&name)
    })
}

/// The documents that a job's ids lead to, of each collection one.
async fn named(job: &Value, documents: &Arc<dyn Documents>) -> Result<Vec<Found>, Fault> {
    let mut found = Vec::new();
    let Value::Object(fields) = job else { return Ok(found) };
    for collection in documents.collections().await? {
        for (name, value) in fields {
            let Some(text) = value.as_str().filter(|text| !is_address(text) && !text.is_empty()) else {
                continue;
            };
            let path = format!("$.{name}");
            let mut ids = vec![(json!(text), path.clone())];
            if is_id(text) {
                ids.push((json!({ "$oid": text }), format!("oid({path})")));
            }
            let of_request = REQUEST.into_iter().filter(|_| REQUEST.contains(&name.as_str()));
            let filters = ["_id"].into_iter().chain(of_request).flat_map(|field| {
                ids.iter().map(move |(id, told)| (json!({ field: id }), json!({ field: told })))
            });
            for (filter, template) in filters {
                let query = Query { collection: collection.clone(), filter, sort: json!({ "_id": 1 }) };
                if let Some(document) = documents.find(query, 1).await?.into_iter().next() {
                    found.push(Found { collection: collection.clone(), filter: template, document });
                    break;
                }
            }
        }
    }
    // One that is named by its own id is meant more than many that share one.
    found.sort_by_key(|found| found.filter.get("_id").is_none());
    Ok(found)
}
