//! Pages of the documentation that are made from the code.

use std::path::Path;

/// Compares a page of `docs/` with what it should be, and writes it anew where `UPDATE_DOCS` is set.
pub(crate) fn keep_equal(name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "docs/{name} differs from the code: run with UPDATE_DOCS=1 to write it anew");
}
