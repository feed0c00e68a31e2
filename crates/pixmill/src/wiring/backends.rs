//! From what the configuration names to the adapters that stand for it.

use std::sync::Arc;

use pixmill_adapters::queue::database::{DatabaseQueue, WINDOW};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_adapters::storage::bucket::Bucket;
use pixmill_adapters::storage::cloudinary::Cloudinary;
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::records::{Outbox, Records};
use pixmill_engine::port::storage::Storage;

use crate::command::serve::ServeOptions;
use crate::config::environment;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::storage::StorageChoice;

/// Where the truth lives, and the events in it.
///
/// # Errors
/// `backend.unavailable` (transient while it may come back), `disk.*`.
pub(super) async fn records(choice: &RecordsChoice) -> Result<(Arc<dyn Records>, Arc<dyn Outbox>), Fault> {
    match choice {
        RecordsChoice::Sqlite(file) => {
            let sqlite = Arc::new(Sqlite::open(file)?);
            Ok((sqlite.clone(), sqlite))
        }
        RecordsChoice::Mongodb(address) => Err(not_supported("database", address)),
    }
}

/// What delivers images.
///
/// # Errors
/// `backend.unavailable`.
pub(super) async fn queue(options: &ServeOptions) -> Result<Arc<dyn Queue>, Fault> {
    match &options.queue {
        QueueChoice::Database => Ok(Arc::new(DatabaseQueue::new(WINDOW))),
        QueueChoice::Redis(address) => Err(not_supported("queue", address)),
    }
}

/// Where outputs live.
///
/// # Errors
/// `disk.*`, `config.invalid`.
pub(super) fn storage(choice: &StorageChoice) -> Result<Arc<dyn Storage>, Fault> {
    match choice {
        StorageChoice::File(folder) => Ok(Arc::new(DiskStorage::shared(folder)?)),
        StorageChoice::Cloudinary(address) => Ok(Arc::new(Cloudinary::open(address.reveal())?)),
        StorageChoice::Bucket(address) => {
            Ok(Arc::new(Bucket::open(address.reveal(), &environment::of_clouds())?))
        }
    }
}

fn not_supported(what: &str, address: &impl std::fmt::Display) -> Fault {
    Fault::permanent(Code::ConfigInvalid, format!("the {what} {address} is not supported by this build"))
}
