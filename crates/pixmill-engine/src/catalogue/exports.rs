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

/// An export's bytes, in its encoding.
fn bytes_of(export: &Value) -> Vec<u8> {
    let text = |field: &str| export[field].as_str().expect("a text");
    let encoding = Encoding::for_label(text("encoding").as_bytes()).expect("an encoding");
    encoded(text("text"), encoding).expect("every sign is in it")
}

#[test]
fn exports_are_read_as_whoever_exports_them_expects() {
    let mut wrong = Vec::new();
    for line in EXPORTS.lines() {
        let export: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |field: &str| export[field].as_str().expect("a text").to_owned();
        let bytes = bytes_of(&export);
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

/// What matters to one reader or another, so that damage leads into each.
const PIECES: [&[u8]; 24] = [
    b"%",
    b"%3A",
    b"//",
    b"\\",
    b"\\/",
    b"\"",
    b"\"\"",
    b",",
    b";",
    b"\r",
    b"\n",
    b"&amp;",
    b"<img src=",
    b"data:",
    b"www.",
    b"://",
    b"[",
    b"{",
    b"]",
    b"=IMAGE(",
    b"\0",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    "\u{200b}".as_bytes(),
];

#[test]
fn damaged_exports_are_read_to_their_end_or_refused() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 12) as usize
    };
    let (mut tried, mut refused) = (0, 0);
    for line in EXPORTS.lines() {
        let whole = bytes_of(&serde_json::from_str(line).expect("a line of JSON"));
        for round in 0..30 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 5 {
                let at = noise() % bytes.len();
                match round % 3 {
                    0 => bytes[at] = noise() as u8,
                    1 => drop(bytes.drain(at..(at + noise() % 9).min(bytes.len()))),
                    _ => drop(bytes.splice(at..at, PIECES[noise() % PIECES.len()].iter().copied())),
                }
                bytes.push(b'\n');
            }
            tried += 1;
            refused += usize::from(Catalogue::open(bytes.as_slice()).is_err());
            read(&bytes);
        }
    }
    assert!(refused > 10 && refused * 2 < tried, "{refused} of {tried} refused");
}
