//! The keys in a server's records, for those who look after them.

use std::sync::Arc;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::records::Ledger;

use super::backends::OpenRecords;
use super::optional::Adoption;
use crate::config::records::RecordsChoice;

/// Keys with all that stands beside them, and the clock that says when they were made.
pub(crate) type KeyRing = (Arc<dyn Ledger>, Arc<dyn Clock>);

/// The keys, and the time.
///
/// # Errors
/// Those of opening the records.
pub(crate) async fn keys(records: &RecordsChoice, adopt_since: Option<Timestamp>) -> Result<KeyRing, Fault> {
    let adoption = Adoption { adopt_since, ..Adoption::default() };
    Ok((OpenRecords::new(records, adoption).ledger().await?, Arc::new(SystemClock)))
}
