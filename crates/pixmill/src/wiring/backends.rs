//! From what the configuration names to the adapters that stand for it.

use std::path::Path;
use std::sync::{Arc, Weak};

use pixmill_adapters::queue::database::{DatabaseQueue, WINDOW};
use pixmill_adapters::records::sqlite::Sqlite;
use pixmill_adapters::storage::cloudinary::Cloudinary;
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::storage::Storage;
use tokio::sync::Mutex;

use super::Strangers;
use super::folder::explained;
pub(super) use super::optional::Use;
use super::optional::{self, Adoption};
use super::reach::trust;
use super::records_file::changed;
use crate::config::options::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::storage::StorageChoice;
use crate::display;

/// The records that a process stands on, opened once: both halves of a server write through one thread or one
/// connection pool then, and remember things once.
pub(super) struct OpenRecords {
    choice: RecordsChoice,
    adoption: Adoption,
    open: Mutex<Option<Weak<dyn Ledger>>>,
}

impl OpenRecords {
    /// Those that are chosen, not opened yet.
    pub(super) fn new(choice: &RecordsChoice, adoption: Adoption) -> Self {
        OpenRecords { choice: choice.clone(), adoption, open: Mutex::default() }
    }

    /// Those of a server.
    pub(super) fn of(options: &ServeOptions) -> Self {
        let adoption = Adoption {
            recipe: options.recipe,
            adopt_since: options.adopt_since,
            ca_file: options.reach.ca_file.clone(),
        };
        OpenRecords::new(&options.records, adoption)
    }

    /// The records, where somebody has them open.
    pub(super) async fn peek(&self) -> Option<Arc<dyn Ledger>> {
        self.open.lock().await.as_ref().and_then(Weak::upgrade)
    }

    /// The records, opened unless somebody has them open.
    ///
    /// # Errors
    /// `backend.unavailable` (transient while it may come back), `config.invalid`, `disk.*`.
    pub(super) async fn ledger(&self) -> Result<Arc<dyn Ledger>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(ledger) = open.as_ref().and_then(Weak::upgrade) {
            return Ok(ledger);
        }
        let ledger: Arc<dyn Ledger> = match &self.choice {
            RecordsChoice::Sqlite(file) => Arc::new(open_file(file).await?),
            RecordsChoice::Mongodb(address) => optional::mongodb(address, &self.adoption).await?,
        };
        *open = Some(Arc::downgrade(&ledger));
        Ok(ledger)
    }
}

/// Opens embedded records where nobody waits for it who must not: bringing a large file up to date takes a while.
async fn open_file(file: &Path) -> Result<Sqlite, Fault> {
    let opening = {
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || sqlite(&file))
    };
    let opened = opening.await.unwrap_or_else(|broken| {
        let told = format!("opening the records broke off: {broken}");
        Err(Fault::permanent(Code::BackendUnavailable, told))
    });
    opened.map_err(|fault| explained(fault, file))
}

/// Records in a file. Whoever is at a terminal is told where they are as they were, where their schema was changed; a
/// server's log tells it.
///
/// # Errors
/// `backend.unavailable`, `disk.*`, `state.busy`.
pub(super) fn sqlite(file: &Path) -> Result<Sqlite, Fault> {
    let records = Sqlite::open(file)?;
    if let Some(migrated) = records.migrated().filter(|_| !tracing::dispatcher::has_been_set()) {
        display::say(&changed(migrated));
    }
    Ok(records)
}

/// What delivers images.
///
/// # Errors
/// `backend.unavailable` (transient while it may come back), `config.invalid`.
pub(super) async fn queue(
    options: &ServeOptions,
    wanted_for: Use,
    strangers: &Arc<Strangers>,
) -> Result<Arc<dyn Queue>, Fault> {
    match &options.queue {
        QueueChoice::Database => Ok(Arc::new(DatabaseQueue::new(WINDOW))),
        QueueChoice::Redis(address) => optional::redis(address, options, wanted_for, strangers).await,
    }
}

/// Where outputs live.
///
/// # Errors
/// `disk.*`, `config.invalid`.
pub(super) fn storage(options: &ServeOptions) -> Result<Arc<dyn Storage>, Fault> {
    if let StorageChoice::File(folder) = &options.storage
        && folder.starts_with(&options.data)
    {
        // What can't be made is told where it is needed.
        let _ = super::records_file::private_folder(&options.data);
    }
    let trust = trust(options.reach.ca_file.as_deref())?;
    match &options.storage {
        StorageChoice::File(folder) => {
            let opened =
                DiskStorage::shared(folder).map_err(|fault| explained(fault, &folder.join("outputs")));
            Ok(Arc::new(opened?))
        }
        StorageChoice::Cloudinary(address) => Ok(Arc::new(Cloudinary::open(address.reveal(), &trust)?)),
        StorageChoice::Bucket(address) => optional::bucket(address, &trust),
    }
}
