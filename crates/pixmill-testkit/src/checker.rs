//! Holds what a run left behind against what it should have: none lost, none doubled, nothing left over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pixmill_engine::model::row::{self, ResultRow};

/// How an image must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// With an output.
    Completed,
    /// With this code.
    Failed(&'static str),
}

/// What is wrong with the output folder of a run that ended, in words; empty when all is well. `rows` holds how each
/// image of each row must have ended.
pub fn check_output(folder: &Path, rows: &[Vec<Expected>]) -> Vec<String> {
    let slots = match read_results(&folder.join("results.csv")) {
        Ok(slots) => slots,
        Err(error) => return vec![error],
    };
    let mut wrong = check_files(folder, &slots, rows);
    for file in files_below(&folder.join(".pixmill/tmp")) {
        wrong.push(format!("{} was left over", file.display()));
    }
    wrong
}

/// The same for a request of a server whose storage is a folder that holds its outputs alone.
pub fn check_request(storage: &Path, results: &[ResultRow], rows: &[Vec<Expected>]) -> Vec<String> {
    check_files(storage, &slots_of(results), rows)
}

/// The same for a request whose outputs are read back by their locations.
pub fn check_rows(
    results: &[ResultRow],
    rows: &[Vec<Expected>],
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Vec<String> {
    check_slots(&slots_of(results), rows, read)
}

fn slots_of(results: &[ResultRow]) -> Vec<Vec<Slot>> {
    let slot = |slot: &row::Slot| Slot {
        output: slot.output.as_ref().map_or_else(String::new, |output| output.location.clone()),
        status: slot.status.as_str().to_owned(),
        error: slot.failure.as_ref().map_or_else(String::new, |failure| failure.code.to_string()),
        after: slot.output.as_ref().map_or_else(String::new, |output| output.bytes_after.to_string()),
    };
    results.iter().map(|row| row.slots.iter().map(slot).collect()).collect()
}

fn check_files(folder: &Path, slots: &[Vec<Slot>], rows: &[Vec<Expected>]) -> Vec<String> {
    let mut wrong = check_slots(slots, rows, |location| fs::read(folder.join(location)).ok());
    let named = slots.iter().flatten().filter(|slot| !slot.output.is_empty());
    let named: BTreeSet<_> = named.map(|slot| folder.join(&slot.output)).collect();
    for file in files_below(&folder.join("processed_images")) {
        if !named.contains(&file) {
            wrong.push(format!("{} belongs to no image", file.display()));
        }
    }
    wrong
}

fn check_slots(
    slots: &[Vec<Slot>],
    rows: &[Vec<Expected>],
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if slots.len() != rows.len() {
        wrong.push(format!("{} rows in results, should be {}", slots.len(), rows.len()));
    }
    for (number, (slots, expected)) in slots.iter().zip(rows).enumerate() {
        if slots.len() != expected.len() {
            wrong.push(format!("row {number}: {} slots, should be {}", slots.len(), expected.len()));
        }
        for (position, (slot, expected)) in slots.iter().zip(expected).enumerate() {
            wrong.extend(
                wrong_slot(slot, *expected, &read).map(|why| format!("row {number}.{position}: {why}")),
            );
        }
    }
    wrong
}

/// Which paths an origin was asked for more often than `most` times, with how often.
pub fn asked_too_often<'a>(paths: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    paths.into_iter().for_each(|path| *counts.entry(path).or_default() += 1);
    let often = counts.into_iter().filter(|(_, count)| *count > most);
    often.map(|(path, count)| format!("{path} was asked for {count} times, at most {most}")).collect()
}

#[derive(Debug)]
struct Slot {
    output: String,
    status: String,
    error: String,
    after: String,
}

fn read_results(path: &Path) -> Result<Vec<Vec<Slot>>, String> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| format!("results.csv: {error}"))?;
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column =
        |name: &str| header.iter().position(|found| found == name).ok_or(format!("no column {name}"));
    let [output, status, error, after] =
        ["Output Image Urls", "Image Status", "Image Errors", "Bytes After"].map(column);
    let (output, status, error, after) = (output?, status?, error?, after?);
    let rows = reader.records().map(|record| {
        let record = record.map_err(|error| error.to_string())?;
        let entries = |column: usize| record[column].split(", ").map(str::to_owned).collect::<Vec<_>>();
        if record[status].is_empty() {
            return Ok(Vec::new());
        }
        let columns =
            entries(status).into_iter().zip(entries(output)).zip(entries(error)).zip(entries(after));
        Ok(columns.map(|(((status, output), error), after)| Slot { output, status, error, after }).collect())
    });
    rows.collect()
}

fn wrong_slot(slot: &Slot, expected: Expected, read: impl Fn(&str) -> Option<Vec<u8>>) -> Option<String> {
    match expected {
        Expected::Failed(code) => {
            let right = slot.status == "failed" && slot.error.starts_with(code) && slot.output.is_empty();
            (!right).then(|| format!("{slot:?}, should have failed with {code}"))
        }
        Expected::Completed if slot.status != "completed" => Some(format!("{slot:?}, should be completed")),
        Expected::Completed => match read(&slot.output) {
            None => Some(format!("its output {} can't be read", slot.output)),
            Some(bytes) if bytes.len().to_string() != slot.after => {
                Some(format!("{slot:?}, but {} bytes", bytes.len()))
            }
            Some(bytes) if !bytes.starts_with(b"\xff\xd8") || !bytes.ends_with(b"\xff\xd9") => {
                Some(format!("its output {} is no whole JPEG", slot.output))
            }
            Some(_) => None,
        },
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
