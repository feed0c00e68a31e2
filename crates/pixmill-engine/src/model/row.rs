//! Rows of a catalogue on their way into records, and out of them into results.

use crate::code::Code;
pub use crate::model::image::Slot;

/// A row on its way into records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// Its original columns as one CSV record without line end.
    pub cells: String,
    /// The product's name, empty where there is none.
    pub name: String,
    /// Its images in order; none for a row that can't be used.
    pub images: Vec<NewImage>,
    /// Why the row can't be used.
    pub error: Option<String>,
}

/// An image on its way into records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// The URL or path as it stands in the catalogue.
    pub input: String,
    /// [`crate::model::source::Fingerprint`] of the input: equal inputs have equal ones, and unequal ones hardly ever.
    pub fingerprint: i64,
}

/// A row that can't be used, as the summary tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The line of the file, from 1, at which the row starts.
    pub line: u64,
    /// From the one list.
    pub code: Code,
    /// A sentence for people.
    pub message: String,
}

/// A row on its way into results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Its original columns as one CSV record without line end.
    pub cells: String,
    /// Why the row can't be used.
    pub error: Option<String>,
    /// Its images in order.
    pub slots: Vec<Slot>,
}
