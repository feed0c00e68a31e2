//! `docs/api-calls.md` equals the code. `UPDATE_DOCS=1 cargo test -p pixmill --all-features equals_the_code` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::config::pages::keep_equal;

const HEAD: &str = "\
# Every call

Generated from the API's description, which a server gives at `/openapi.json`; a test keeps this page equal to it. `/docs` of a
server shows the fields of bodies too. [The HTTP API](api.md) tells what calls are for.
";

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// One line, that may stand in a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn call(page: &mut String, method: &str, path: &str, operation: &Value) {
    let _ = write!(page, "\n### {} {path}\n\n{}.", method.to_uppercase(), text(operation, "summary"));
    let about = text(operation, "description");
    let _ = if about.is_empty() { writeln!(page) } else { writeln!(page, " {}", cell(about)) };
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        *page += "\n| parameter | in | |\n|---|---|---|\n";
    }
    for parameter in parameters {
        let (name, place) = (text(parameter, "name"), text(parameter, "in"));
        let _ = writeln!(page, "| `{name}` | {place} | {} |", cell(text(parameter, "description")));
    }
    let mut said = Vec::new();
    let bodies = names(&operation["requestBody"]["content"]);
    if !bodies.is_empty() {
        said.push(format!("Body: `{}`.", bodies.join("`, `")));
    }
    let answers: Vec<String> = names(&operation["responses"])
        .into_iter()
        .map(|status| {
            let body = names(&operation["responses"][status]["content"]);
            if body.is_empty() { status.to_owned() } else { format!("{status} `{}`", body.join("`, `")) }
        })
        .collect();
    said.push(format!("Answers: {}.", answers.join(", ")));
    let _ = write!(page, "\n{}\n", said.join(" "));
}

fn page() -> String {
    let description: Value = serde_json::from_str(&super::document()).expect("the description is JSON");
    let mut parts: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let part = operation["tags"][0].as_str().unwrap_or("other");
            parts.entry(part).or_default().push((method, path, operation));
        }
    }
    // Those that people begin with.
    let order =
        |part: &str| ["requests", "outputs", "webhooks", "usage"].iter().position(|first| *first == part);
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(part, _)| order(part).unwrap_or(usize::MAX));
    let mut page = HEAD.to_owned();
    for (part, calls) in parts {
        let mut letters = part.chars();
        let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let _ = write!(page, "\n## {title}\n");
        for (method, path, operation) in calls {
            call(&mut page, method, path, operation);
        }
    }
    page
}

#[test]
fn the_page_of_calls_equals_the_code() {
    keep_equal("api-calls.md", &page());
}
