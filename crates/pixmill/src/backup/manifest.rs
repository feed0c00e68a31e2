//! What a backup says of itself: its first entry.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::wiring::records_file::Contents;

/// The form of backups that this pixmill writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The first entry of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The form of the backup.
    pub(crate) format: u32,
    /// The pixmill that made it.
    pub(crate) pixmill: String,
    /// The schema of its records.
    pub(crate) schema: u32,
    /// When it was begun, RFC 3339.
    pub(crate) created: String,
    /// What is in its records.
    pub(crate) counts: Counts,
    /// Its files, but for outputs.
    pub(crate) files: Vec<FileEntry>,
    /// Its outputs, or where they are.
    pub(crate) outputs: OutputsEntry,
}

/// How much is in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests.
    pub(crate) requests: u64,
    /// Rows of catalogues.
    pub(crate) rows: u64,
    /// Images.
    pub(crate) images: u64,
    /// Completions, told or to be told.
    pub(crate) events: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Its name in the backup.
    pub(crate) name: String,
    /// How long it is.
    pub(crate) bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}

/// Outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputsEntry {
    /// Where they lay, without secrets.
    pub(crate) storage: String,
    /// They are in the backup.
    pub(crate) included: bool,
}

impl From<Contents> for Counts {
    fn from(contents: Contents) -> Self {
        let Contents { schema: _, requests, rows, images, events } = contents;
        Counts { requests, rows, images, events }
    }
}

impl Manifest {
    /// Who made it, as the end of a sentence, where that is known.
    pub(crate) fn by(&self) -> String {
        if self.pixmill.is_empty() { String::new() } else { format!(", by pixmill {}", self.pixmill) }
    }

    /// For programs, beside the file that it is of.
    pub(crate) fn as_json(&self, file: &str) -> Value {
        json!({
            "file": file,
            "pixmill": self.pixmill,
            "schema": self.schema,
            "created": self.created,
            "counts": self.counts,
            "files": self.files,
            "outputs": self.outputs,
        })
    }
}
