//! The catalogue: the CSV that someone hands in, and the results that go back.
//!
//! Reading is streamed and lenient: [`Catalogue`] sniffs encoding and delimiter, finds the columns by their
//! names and yields row after row in constant memory; what can't be used is told with its line and a sentence.
//! Writing is exact: each row carries its original columns as one CSV record ([`Row::cells`]), to which
//! [`ResultsWriter`] appends what became of the images.
//!
//! bytes → `unpack` (what kind of file) → `encoding` (to UTF-8) → `layout` (delimiter, header, columns of pictures, from the
//! first rows) → `records` (where rows begin and end) → `spill` (which cell is whose) → `urls` (one cell, many addresses)
//! → [`Row`].
//!
//! Synchronous; knows no port, no file and no clock.

mod cells;
mod columns;
mod cut;
mod encoding;
mod failed;
mod fields;
mod forms;
mod guess;
mod header;
mod hints;
mod in_json;
mod json;
mod kind;
mod layout;
mod looks;
mod naming;
mod notes;
mod open;
mod package;
mod preview;
mod read;
mod records;
mod refusal;
mod results;
mod rewrite;
mod sample;
mod scan;
mod sheet;
mod spill;
mod trace;
mod understood;
mod unpack;
mod urls;
mod words;
mod written;

#[cfg(test)]
mod again;
#[cfg(test)]
mod converted;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod variants;

pub use cells::{fields, record};
pub use failed::{FailedWriter, Misread, NUMBERS, read_corrections};
pub use header::{Header, PictureColumn};
pub use hints::{HINTS, Hints, base_url, delimiter, encoding};
pub use preview::{Preview, PreviewRow};
pub use read::{BadRow, Catalogue, Counts, Kept, Next, Row};
pub use records::MAX_RECORD_BYTES;
pub use refusal::{OpenError, Refusal};
pub use results::{ADDED_COLUMNS, ResultsWriter, Slot, SlotError};
pub use rewrite::Rewriter;
pub use understood::{Account, Column, Understood};
pub use urls::{Urls, UrlsIter};
