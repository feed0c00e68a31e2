//! The file that embedded records are, for those who copy it and put it back.

use std::time::{SystemTime, UNIX_EPOCH};

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::clock::Clock;

pub(crate) use pixmill_adapters::records::sqlite::alone::{
    Alone, BESIDE, MAGIC, Marker, beside, private_file, private_folder, sync_folder, take,
};
pub(crate) use pixmill_adapters::records::sqlite::copy::{
    Contents, Unfit, copy, examine, let_go, lost, size,
};
pub(crate) use pixmill_adapters::records::sqlite::migration::{Migrated, Status, status, up};

use crate::display::units::Seconds;

/// A moment of the file system.
pub(crate) fn moment(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Now.
pub(crate) fn now() -> Timestamp {
    SystemClock.wall()
}

/// What was changed, and where the records are as they were.
pub(crate) fn changed(migrated: &Migrated) -> String {
    format!(
        "the records were brought from schema {} to {} in {}; as they were before they are in {}",
        migrated.from,
        migrated.to,
        Seconds(migrated.took.as_secs_f64()),
        migrated.copy.display()
    )
}
