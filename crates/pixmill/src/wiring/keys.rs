//! The keys in a server's records, for those who look after them.

use std::sync::Arc;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::Keys;

use super::backends;
use crate::config::records::RecordsChoice;

/// Keys, and the clock that says when they were made.
pub(crate) type KeyRing = (Arc<dyn Keys>, Arc<dyn Clock>);

/// The keys, and the time.
///
/// # Errors
/// Those of opening the records.
pub(crate) fn keys(records: &RecordsChoice) -> Result<KeyRing, Fault> {
    Ok((backends::ledger(records, &backends::OpenFile::default())?, Arc::new(SystemClock)))
}
