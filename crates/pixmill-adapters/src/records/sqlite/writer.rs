//! The one thread that writes: it takes whatever has gathered and commits it together, so that one sync of the disk
//! serves many. Nobody is answered before the commit.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::{Broken, fault, file_fault};
use super::steps::Steps;

/// Most commands in one transaction.
const GROUP: usize = 64;

/// How long nothing must have been written before the log is written back and cut.
const IDLE: Duration = Duration::from_secs(1);

/// The open transaction, as a command sees it.
pub(super) struct Transaction<'c> {
    pub(super) connection: &'c Connection,
    /// It holds claims, or settlements: crash tests stop the process around its commit.
    pub(super) claims: bool,
    pub(super) settles: bool,
}

/// Something to be done within a transaction.
trait Command: Send {
    fn apply(&mut self, transaction: &mut Transaction<'_>) -> Result<(), rusqlite::Error>;
    /// Called once, after the transaction has ended.
    fn answer(self: Box<Self>, file: &std::path::Path, committed: Result<(), &Fault>);
}

struct Task<W, T> {
    work: Option<W>,
    outcome: Option<Result<T, Broken>>,
    answer: oneshot::Sender<Result<T, Fault>>,
}

impl<W, T> Command for Task<W, T>
where
    W: FnOnce(&mut Transaction<'_>) -> Result<T, Broken> + Send,
    T: Send,
{
    fn apply(&mut self, transaction: &mut Transaction<'_>) -> Result<(), rusqlite::Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let connection = transaction.connection;
        let worked = nested(connection, || work(transaction))?;
        self.outcome = Some(worked);
        Ok(())
    }

    fn answer(self: Box<Self>, file: &std::path::Path, committed: Result<(), &Fault>) {
        let answer = match (committed, self.outcome) {
            // Work that was refused has its own reason, whatever became of the others.
            (_, Some(Err(broken))) => Err(broken.into_fault(file)),
            (Ok(()), Some(Ok(done))) => Ok(done),
            (Err(fault), _) => Err(fault.clone()),
            (Ok(()), None) => Err(gone(file)),
        };
        // Whoever waited may have been stopped; what was written stands.
        let _ = self.answer.send(answer);
    }
}

/// Undoes what failing work has done, and only that.
fn nested<T>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, Broken>,
) -> Result<Result<T, Broken>, rusqlite::Error> {
    connection.prepare_cached("SAVEPOINT command")?.execute([])?;
    let worked = work();
    // Some errors, a full disk among them, end the whole transaction.
    if connection.is_autocommit() {
        return match worked {
            Err(Broken::Sqlite(error)) => Err(error),
            _ => Err(rusqlite::Error::InvalidQuery),
        };
    }
    if worked.is_err() {
        connection.prepare_cached("ROLLBACK TO command")?.execute([])?;
    }
    connection.prepare_cached("RELEASE command")?.execute([])?;
    Ok(worked)
}

/// Hands commands to the thread. The thread ends, and is waited for, when this is dropped.
pub(super) struct Writer {
    file: PathBuf,
    commands: Option<mpsc::Sender<Box<dyn Command>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, file: PathBuf, steps: Steps) -> Result<Writer, Fault> {
        let (commands, queue) = mpsc::channel();
        let writing = Writing { connection, file: file.clone(), queue, steps };
        let thread = thread::Builder::new()
            .name("records".into())
            .spawn(move || writing.run())
            .map_err(|error| file_fault(&error, &file))?;
        Ok(Writer { file, commands: Some(commands), thread: Some(thread) })
    }

    /// Queues work, in order; the answer comes once it is durable.
    pub(super) fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Broken> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Fault>> {
        let (answer, answered) = oneshot::channel();
        let task = Task { work: Some(work), outcome: None, answer };
        if let Some(commands) = &self.commands {
            // Where the thread is gone the answer's sender goes with the command, which tells whoever waits.
            let _ = commands.send(Box::new(task));
        }
        answered
    }

    /// Does work and returns once it is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Broken> + Send + 'static,
    ) -> Result<T, Fault> {
        self.queue(work).await.unwrap_or_else(|_| Err(gone(&self.file)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone(file: &std::path::Path) -> Fault {
    Fault::permanent(
        Code::BackendUnavailable,
        format!("the thread that writes the records in {} is gone", file.display()),
    )
    .of(Blame::Backend)
}

struct Writing {
    connection: Connection,
    file: PathBuf,
    queue: Receiver<Box<dyn Command>>,
    steps: Steps,
}

impl Writing {
    fn run(self) {
        let mut idle = true;
        loop {
            let first =
                if idle { self.queue.recv().map_err(Into::into) } else { self.queue.recv_timeout(IDLE) };
            match first {
                Ok(first) => {
                    let mut group = vec![first];
                    group.extend(self.queue.try_iter().take(GROUP - 1));
                    self.write(group);
                    idle = false;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.cut_log();
                    idle = true;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&self, mut group: Vec<Box<dyn Command>>) {
        let committed = self.commit(&mut group).map_err(|error| {
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            fault(&error, &self.file)
        });
        for command in group {
            command.answer(&self.file, committed.as_ref().copied());
        }
    }

    fn commit(&self, group: &mut [Box<dyn Command>]) -> rusqlite::Result<()> {
        let mut transaction = Transaction { connection: &self.connection, claims: false, settles: false };
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.steps.follow(&self.connection)?;
        for command in group {
            command.apply(&mut transaction)?;
        }
        if transaction.settles {
            pixmill_engine::fail_point!("before_settle_commit");
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        if transaction.settles {
            pixmill_engine::fail_point!("after_settle_commit");
        }
        if transaction.claims {
            pixmill_engine::fail_point!("after_claim_commit");
        }
        Ok(())
    }

    /// Writes the log back and cuts it, unless somebody is reading: then the next idle moment serves as well.
    fn cut_log(&self) {
        let busy_timeout = |timeout| self.connection.busy_timeout(timeout);
        let cut = busy_timeout(Duration::ZERO)
            .and_then(|()| self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        if let Err(error) = cut.and(busy_timeout(super::schema::BUSY_TIMEOUT)) {
            tracing::debug!(%error, "the log of records could not be cut");
        }
    }
}
