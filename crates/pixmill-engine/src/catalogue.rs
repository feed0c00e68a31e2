//! The catalogue: the CSV that someone hands in, and the results that go back.
//!
//! Reading is streamed and lenient: [`Catalogue`] sniffs encoding and delimiter, finds the columns by their
//! names and yields row after row in constant memory; what can't be used is told with its line and a sentence.
//! Writing is exact: each row carries its original columns as one CSV record ([`Row::cells`]), to which
//! [`ResultsWriter`] appends what became of the images.
//!
//! bytes → `encoding` (to UTF-8) → `records` (where rows begin and end) → `spill` (which cell is whose)
//! → `urls` (one cell, many addresses) → [`Row`].
//!
//! Synchronous; knows no port, no file and no clock.

mod cells;
mod dialect;
mod encoding;
mod failed;
mod fields;
mod header;
mod read;
mod records;
mod results;
mod scan;
mod spill;
mod urls;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod variants;

pub use cells::record;
pub use failed::{FailedWriter, Misread, NUMBERS, read_corrections};
pub use header::Header;
pub use read::{BadRow, Catalogue, Counts, Kept, Next, OpenError, Refusal, Row};
pub use records::MAX_RECORD_BYTES;
pub use results::{ADDED_COLUMNS, ResultsWriter, Slot, SlotError};
pub use urls::{Urls, UrlsIter};
