//! Records in a SQLite file, for one machine: any number of processes on it may share the file.
//!
//! One thread writes, in groups with one sync of the disk each; a few connections read beside it (write-ahead log).
//! Every promise rests on three things: a transaction is all or nothing; an image's end is a compare-and-set on its
//! status and token; tallies and completion change in the transaction that changes the images they count.

pub mod alone;
mod amend;
mod backlog;
mod boards;
pub mod copy;
mod deletion;
mod directory;
mod fault;
mod id;
mod intake;
pub mod migration;
mod originals;
mod outbox;
mod page;
mod reading;
mod report;
mod schema;
mod settle;
mod steps;
mod succession;
mod tally;
#[cfg(test)]
mod tests;
mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::port::clock::Clock;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use self::fault::Broken;
use self::intake::Intakes;
use self::migration::Migrated;
use self::steps::Steps;
use self::writer::{Transaction, Writer};
use crate::clock::SystemClock;

/// Connections that read.
const READERS: usize = 2;

/// Records in a SQLite file. Dropping it waits for what is being written.
pub struct Sqlite {
    // Closed before the writer, which writes the log back when it is the last to close the file.
    readers: Arc<Readers>,
    writer: Writer,
    intakes: Intakes,
    steps: Steps,
    migrated: Option<Migrated>,
}

struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    free: Semaphore,
}

impl Sqlite {
    /// Opens the records in a file; makes it and its folder when they are missing. Blocks for the time of a few reads.
    ///
    /// # Errors
    /// `disk.full`, `disk.read_only`, or `backend.unavailable`: the file holds something else, or records of a newer
    /// pixmill.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        Sqlite::open_by(file, Arc::new(SystemClock), steps::boot())
    }

    /// The same by other clocks, in a certain run of the machine that they belong to.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn open_by(file: &Path, clock: Arc<dyn Clock>, boot: Option<String>) -> Result<Self, Fault> {
        let steps = Steps::new(clock, boot);
        let (connection, migrated) = schema::open_writer(file)?;
        let idle = (0..READERS).map(|_| schema::open_reader(file)).collect::<Result<_, _>>()?;
        Ok(Sqlite {
            writer: Writer::start(connection, file.to_owned(), steps.clone())?,
            intakes: Intakes::default(),
            steps,
            migrated,
            readers: Arc::new(Readers {
                file: file.to_owned(),
                idle: Mutex::new(idle),
                free: Semaphore::new(READERS),
            }),
        })
    }

    /// What opening them changed of their schema.
    pub fn migrated(&self) -> Option<&Migrated> {
        self.migrated.as_ref()
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Fault> {
        let called = self.steps.called();
        let work = move |transaction: &mut Transaction<'_>| {
            called.is_current()?;
            work(transaction)
        };
        self.writer.write(work).await
    }

    /// Reads from one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Fault> {
        self.readers.clone().read(work).await
    }
}

impl Readers {
    async fn read<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Fault> {
        let file = self.file.clone();
        let broken = move |error: String| {
            Fault::permanent(
                Code::BackendUnavailable,
                format!("reading the records in {} broke off: {error}", file.display()),
            )
            .of(Blame::Backend)
        };
        let (answer, answered) = oneshot::channel();
        let readers = self.clone();
        // Neither the connection nor its permit may be lost where whoever asked is stopped meanwhile.
        tokio::spawn(async move {
            let Ok(_permit) = readers.free.acquire().await else { return };
            let reading = readers.clone();
            let read = tokio::task::spawn_blocking(move || reading.read_here(work)).await;
            let _ = answer.send(read);
        });
        match answered.await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => Err(broken(error.to_string())),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Broken>) -> Result<T, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.file)?,
        };
        let read = snapshot(&connection, work).map_err(|broken| broken.into_fault(&self.file));
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        read
    }
}

fn snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Broken>,
) -> Result<T, Broken> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let read = work(connection);
    connection.prepare_cached("ROLLBACK")?.execute([])?;
    read
}
