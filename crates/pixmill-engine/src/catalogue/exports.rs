//! What shops, feeds, spreadsheets and databases export, by public descriptions of their forms: which columns are read, and how
//! many pictures are found in each.

use encoding_rs::Encoding;
use serde_json::Value;

use super::trace::encoded;
use super::*;

/// An export a line.
const EXPORTS: &str = include_str!("exports.jsonl");

/// The columns of pictures with their counts, as one text.
fn columns<'c>(columns: impl Iterator<Item = (&'c str, u64)>) -> String {
    columns.map(|(name, images)| format!("{name}: {images}; ")).collect()
}

fn read(bytes: &[u8]) -> String {
    let mut catalogue = match Catalogue::open(bytes) {
        Ok(catalogue) => catalogue,
        Err(error) => return error.to_string(),
    };
    let mut row = Row::default();
    loop {
        match catalogue.next_row(&mut row).expect("memory does not fail") {
            Next::Row => {}
            Next::Bad(bad) => return bad.reason,
            Next::End => break,
        }
    }
    let understood = catalogue.understood();
    columns(understood.columns.iter().map(|column| (column.name.as_str(), column.images)))
}

#[test]
fn exports_are_read_as_whoever_exports_them_expects() {
    let mut wrong = Vec::new();
    for line in EXPORTS.lines() {
        let export: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |field: &str| export[field].as_str().expect("a text").to_owned();
        let encoding = Encoding::for_label(text("encoding").as_bytes()).expect("an encoding");
        let bytes = encoded(&text("text"), encoding).expect("every sign is in it");
        let wanted = export["columns"].as_object().expect("columns");
        let wanted: Vec<(String, u64)> =
            wanted.iter().map(|(name, images)| (name.clone(), images.as_u64().unwrap_or(0))).collect();
        let got = read(&bytes);
        let mut missing: Vec<&(String, u64)> = wanted.iter().collect();
        missing.retain(|(name, images)| !got.contains(&format!("{name}: {images}; ")));
        if !missing.is_empty() || got.matches("; ").count() != wanted.len() {
            wrong.push(format!("{}: {got} instead of {wanted:?}", text("name")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
