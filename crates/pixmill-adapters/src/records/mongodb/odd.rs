//! Documents that can't be read or written, for an app may keep anything: each is told once and passed over.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use mongodb::bson::{Bson, Document};

use super::document::as_it_is;
use super::lock;

/// Documents that are remembered as told. Of more, some are told again.
const MOST: usize = 10_000;

/// What was told of by this process.
static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Tells of a document that is passed over, unless it was told of before.
pub(super) fn tell(collection: &str, document: &Document, why: &str) {
    tell_of(collection, &as_it_is(document, "_id"), why);
}

/// The same of one that is known by its id alone.
pub(super) fn tell_of(collection: &str, id: &Bson, why: &str) {
    if is_new(format!("{collection} {id}")) {
        tracing::warn!(collection, %id, why, "a document that can't be used as it is, passed over");
    }
}

fn is_new(document: String) -> bool {
    let mut told = lock(&TOLD);
    if told.len() >= MOST {
        told.clear();
    }
    told.insert(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_told_of_once() {
        assert!(is_new("odd.rs 1".to_owned()));
        assert!(!is_new("odd.rs 1".to_owned()));
        assert!(is_new("odd.rs 2".to_owned()));
    }
}
