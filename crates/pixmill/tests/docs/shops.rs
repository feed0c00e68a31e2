//! What is said of shops' exports is what the parser's tests hold: between `<!-- export: NAME -->` and `<!-- end -->`
//! stands what is read of that export.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{keep_equal, markdown_below, root};

/// Exports by name, with their columns of pictures in the order of the file.
fn exports() -> Vec<(String, Value)> {
    let file = root().join("crates/pixmill-engine/src/catalogue/exports.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    values.map(|value| (value["name"].as_str().unwrap().to_owned(), value)).collect()
}

/// Columns stand in the order of the header.
fn table(export: &Value) -> String {
    let text = export["text"].as_str().unwrap();
    let mut columns: Vec<_> = export["columns"].as_object().unwrap().iter().collect();
    columns.sort_by_key(|(name, _)| text.find(name.as_str()).unwrap_or(usize::MAX));
    let mut table = String::from("| column of pictures | in the sample |\n|---|---|\n");
    for (name, count) in columns {
        let found = match count.as_u64().unwrap() {
            0 => "none, and read all the same".to_owned(),
            1 => "1 picture".to_owned(),
            many => format!("{many} pictures"),
        };
        table += &format!("| `{}` | {found} |\n", name.replace('|', "\\|"));
    }
    table
}

/// The page with its tables made anew, and the names of the exports that it shows.
fn with_tables(path: &str, page: &str, exports: &[(String, Value)]) -> (String, Vec<String>) {
    let (mut made, mut shown, mut rest) = (String::new(), Vec::new(), page);
    while let Some((before, after)) = rest.split_once("<!-- export: ") {
        let (name, after) = after.split_once(" -->\n").unwrap_or_else(|| panic!("{path}: an open comment"));
        let (_, after) =
            after.split_once("<!-- end -->").unwrap_or_else(|| panic!("{path}: {name} has no end"));
        let found = exports.iter().find(|(known, _)| known == name);
        let (_, export) =
            found.unwrap_or_else(|| panic!("{path}: there is no export {name} in exports.jsonl"));
        made += &format!("{before}<!-- export: {name} -->\n\n{}\n<!-- end -->", table(export));
        shown.push(name.to_owned());
        rest = after;
    }
    (made + rest, shown)
}

#[test]
fn what_is_read_of_exports_equals_the_code() {
    let exports = exports();
    let mut shown = BTreeSet::new();
    for path in markdown_below("docs/shops") {
        let page = std::fs::read_to_string(root().join(&path)).unwrap();
        let (made, names) = with_tables(&path, &page, &exports);
        keep_equal(&path, &made);
        shown.extend(names);
    }
    assert!(shown.len() > 50, "only {} exports are shown", shown.len());
}
