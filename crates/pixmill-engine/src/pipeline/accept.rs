//! Accept: a catalogue is streamed, validated and written to records, then made a request.

mod keep;

use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::keep::{Keeping, Packer};
use crate::catalogue::{Account, Catalogue, Hints, Next, OpenError, Row, Understood};
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::request::{NewRequest, Options};
use crate::model::row::{NewImage, NewRow, RowError};
use crate::model::source::Fingerprint;
use crate::model::trace::Traceparent;
use crate::port::clock::Clock;
use crate::port::originals::Originals;
use crate::port::records::{IntakeEnd, Records};

/// Rows that go to records at a time: so many, or so many bytes of text.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 512 << 10;

/// Batches that may wait for records.
const WAITING: usize = 2;

/// How often records are told of an intake whose bytes come too slowly to fill a batch.
const PULSE: Duration = Duration::from_secs(30);

/// Faults of rows that are kept with their lines.
const ROW_ERRORS: usize = 1_000;

/// What an intake is for.
#[derive(Clone)]
pub struct Intake {
    /// The request that it makes.
    pub request: RequestId,
    /// Whose it is.
    pub tenant: String,
    /// What the catalogue is called.
    pub catalogue: String,
    /// What is said of it.
    pub hints: Hints,
    /// Where its trace goes on.
    pub traceparent: Option<Traceparent>,
    /// Where its bytes are kept as they come, so that it can be given back with its outputs in place.
    pub originals: Option<Arc<dyn Originals>>,
}

/// A catalogue of which nothing can be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The first reasons, 1,000 at most; at least one.
    pub errors: Vec<RowError>,
    /// All of them.
    pub total: u64,
}

/// Why there is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAccepted {
    /// The catalogue can't be used.
    Refused(Refusal),
    /// Something else went wrong; nothing is left behind.
    Fault(Fault),
}

impl From<Fault> for NotAccepted {
    fn from(fault: Fault) -> Self {
        NotAccepted::Fault(fault)
    }
}

/// What the reading thread says.
enum Said {
    Header(String),
    Piece(Vec<u8>),
    Rows(Vec<NewRow>),
    End(Box<IntakeEnd>),
    Refused(Refusal),
    Fault(Fault),
}

/// When a catalogue is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// On a thread of its own, while what has been read is written.
    Beside,
    /// To its end, before anything is written: for whoever plays the same again and again.
    Before,
}

/// Takes a catalogue in. Once this returns, request and rows are durable; when it fails, nothing is left behind.
/// What is asked of the request is awaited once the catalogue has been read.
///
/// # Errors
/// A refusal, or faults of records, of reading and of the options.
pub async fn accept(
    records: &Arc<dyn Records>,
    clock: &dyn Clock,
    catalogue: impl Read + Send + 'static,
    intake: Intake,
    options: impl Future<Output = Result<Options, Fault>> + Send,
    watch: impl Watch + 'static,
) -> Result<RequestId, NotAccepted> {
    accept_by(Reading::Beside, records, clock, catalogue, intake, options, watch).await
}

/// The same, reading the catalogue so.
///
/// # Errors
/// Those of [`accept`].
pub async fn accept_by(
    reading: Reading,
    records: &Arc<dyn Records>,
    clock: &dyn Clock,
    catalogue: impl Read + Send + 'static,
    intake: Intake,
    options: impl Future<Output = Result<Options, Fault>> + Send,
    watch: impl Watch + 'static,
) -> Result<RequestId, NotAccepted> {
    let id = intake.request.clone();
    let undo = Undo { records: records.clone(), request: Some(id.clone()) };
    let accepted = write(reading, records, clock, catalogue, intake, options, watch).await;
    undo.settle(accepted.is_ok()).await?;
    accepted.map(|()| id)
}

/// Leaves nothing of an intake that failed, or of one that whoever waited for it gave up.
struct Undo {
    records: Arc<dyn Records>,
    request: Option<RequestId>,
}

impl Undo {
    async fn settle(mut self, accepted: bool) -> Result<(), Fault> {
        match self.request.take() {
            Some(request) if !accepted => self.records.discard(&request).await,
            _ => Ok(()),
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let (Some(request), Ok(runtime)) = (self.request.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let records = self.records.clone();
        runtime.spawn(async move {
            // What is left then, upkeep deletes.
            let _ = records.discard(&request).await;
        });
    }
}

/// Reading and writing each have a thread of their own: one parses while the other waits for the disk.
async fn write(
    reading: Reading,
    records: &Arc<dyn Records>,
    clock: &dyn Clock,
    catalogue: impl Read + Send + 'static,
    intake: Intake,
    options: impl Future<Output = Result<Options, Fault>> + Send,
    watch: impl Watch + 'static,
) -> Result<(), NotAccepted> {
    let waiting = if reading == Reading::Beside { WAITING } else { Semaphore::MAX_PERMITS };
    let (said, mut says) = mpsc::channel(waiting);
    let seen = Arc::new(AtomicU64::new(0));
    let Intake { request: id, tenant, catalogue: name, traceparent, hints, originals } = intake;
    let mut keeping = Keeping::new(id.clone(), originals);
    let reader = {
        let (seen, packer) = (seen.clone(), keeping.packer(&said));
        let work = move || read(catalogue, &hints, &said, seen, packer, &watch);
        match reading {
            Reading::Beside => apart(work)?,
            Reading::Before => {
                let (tell, told) = oneshot::channel();
                // One that panics is told by the answer that does not come.
                if std::thread::spawn(work).join().is_ok() {
                    let _ = tell.send(());
                }
                told
            }
        }
    };
    let catalogue = name;
    let mut beginning = Some((tenant, catalogue, traceparent));
    let mut seen_before = 0;
    loop {
        let message = tokio::select! {
            biased;
            message = says.recv() => message,
            () = clock.sleep(PULSE) => {
                let seen_now = seen.load(Ordering::Relaxed);
                if seen_now > seen_before && beginning.is_none() {
                    // Rows that have not come yet: upkeep gives up what nothing is written of.
                    records.append(&id, Vec::new(), clock.wall()).await?;
                    seen_before = seen_now;
                }
                continue;
            }
        };
        let Some(message) = message else { break };
        let now = clock.wall();
        match message {
            Said::Header(header) => {
                if let Some((tenant, catalogue, traceparent)) = beginning.take() {
                    let new = NewRequest { id: id.clone(), tenant, header, catalogue, traceparent };
                    records.begin(new, now).await?;
                    crate::fail_point!("after_begin");
                    keeping.begin(now).await?;
                }
            }
            Said::Piece(piece) => keeping.keep(piece, now).await?,
            Said::Rows(rows) => records.append(&id, rows, now).await?,
            Said::End(end) => {
                let end = IntakeEnd { options: options.await?, ..*end };
                crate::fail_point!("before_open");
                records.open(&id, end, clock.wall()).await?;
                crate::fail_point!("after_open");
                return Ok(());
            }
            Said::Refused(refusal) => return Err(NotAccepted::Refused(refusal)),
            Said::Fault(fault) => return Err(NotAccepted::Fault(fault)),
        }
    }
    let about = if reader.await.is_err() { ": it panicked" } else { "" };
    Err(NotAccepted::Fault(Fault::permanent(
        Code::CatalogueEncoding,
        format!("the catalogue's reader broke off{about}"),
    )))
}

/// Does what waits for a client on a thread of its own, so that however many of them wait, those threads that records
/// read with are free. The answer comes unless it panics.
///
/// # Errors
/// `backend.unavailable` (transient) when no thread can be started.
pub fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Fault> {
    let (tell, told) = oneshot::channel();
    let started = std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
        // Whoever waited may have been stopped.
        let _ = tell.send(work());
    });
    match started {
        Ok(_) => Ok(told),
        Err(error) => {
            let message = format!("a thread can't be started: {error}");
            Err(Fault::transient(Code::BackendUnavailable, message))
        }
    }
}

/// Watches an intake.
pub trait Watch: Send {
    /// What the catalogue is understood as, before its first row.
    fn understood(&self, _understood: &Understood) {}

    /// So many rows and bytes have been read; told now and then.
    fn reading(&self, _rows: u64, _bytes: u64) {}
}

/// Nobody watches.
pub struct Unwatched;

impl Watch for Unwatched {}

/// Reads the whole catalogue; ends early when nobody listens any more.
fn read(
    catalogue: impl Read,
    hints: &Hints,
    said: &mpsc::Sender<Said>,
    seen: Arc<AtomicU64>,
    packer: Packer,
    watch: &impl Watch,
) {
    let kept = packer.keeps();
    let mut digested = Digested { inner: catalogue, digest: Sha256::new(), seen: seen.clone(), packer };
    let _ = match rows(&mut digested, hints, said, watch, &seen) {
        Ok((mut end, understood)) => {
            end.reading = Account { hints: hints.clone(), understood, kept }.to_string();
            // Whatever the parser did not need belongs to the digest all the same.
            match io::copy(&mut digested, &mut io::sink()).and_then(|_| digested.packer.end()) {
                Ok(()) => {
                    end.digest = digest_of(digested.digest, hints);
                    said.blocking_send(if end.rows == 0 && end.row_errors_total > 0 {
                        Said::Refused(Refusal { errors: end.row_errors, total: end.row_errors_total })
                    } else {
                        Said::End(Box::new(end))
                    })
                }
                Err(error) => said.blocking_send(Said::Fault(unreadable(&error))),
            }
        }
        Err(Some(message)) => said.blocking_send(message),
        Err(None) => Ok(()),
    };
}

/// What tells a catalogue from others: its bytes, and what was said of it.
pub fn digest_of(mut bytes: Sha256, hints: &Hints) -> String {
    if *hints != Hints::default() {
        bytes.update(hints.to_json().to_string());
    }
    hexadecimal(&bytes.finalize())
}

/// Sends rows in batches. `Err(None)` when nobody listens any more.
fn rows(
    catalogue: &mut impl Read,
    hints: &Hints,
    said: &mpsc::Sender<Said>,
    watch: &impl Watch,
    seen: &AtomicU64,
) -> Result<(IntakeEnd, Understood), Option<Said>> {
    let send = |message| said.blocking_send(message).map_err(|_| None);
    let mut catalogue = Catalogue::open_as(catalogue, hints).map_err(|error| Some(unopened(error)))?;
    watch.understood(&catalogue.understood());
    send(Said::Header(catalogue.header().cells.clone()))?;
    let fingerprint = Fingerprint::new();
    let mut end = IntakeEnd {
        options: Options::default(),
        digest: String::new(),
        reading: String::new(),
        rows: 0,
        row_errors: Vec::new(),
        row_errors_total: 0,
    };
    let mut batch = Batch::default();
    let mut row = Row::default();
    loop {
        match catalogue.next_row(&mut row).map_err(|error| Some(Said::Fault(unreadable(&error))))? {
            Next::Row => batch.add(new_row(&row, &fingerprint)),
            Next::Bad(bad) => {
                if end.row_errors.len() < ROW_ERRORS {
                    end.row_errors.push(RowError {
                        line: bad.line,
                        code: bad.code,
                        message: bad.reason.clone(),
                    });
                }
                if let Some(kept) = bad.kept {
                    let (name, images) = (String::new(), Vec::new());
                    batch.add(NewRow { cells: kept.cells, name, images, error: Some(bad.reason) });
                }
            }
            Next::End => break,
        }
        if batch.is_full() {
            send(Said::Rows(std::mem::take(&mut batch).rows))?;
            watch.reading(catalogue.counts().usable, seen.load(Ordering::Relaxed));
        }
    }
    send(Said::Rows(batch.rows))?;
    watch.reading(catalogue.counts().usable, seen.load(Ordering::Relaxed));
    let counts = catalogue.counts();
    let end = IntakeEnd { rows: counts.usable, row_errors_total: counts.unusable, ..end };
    Ok((end, catalogue.understood()))
}

/// Rows on their way to records.
#[derive(Default)]
struct Batch {
    rows: Vec<NewRow>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, row: NewRow) {
        let inputs: usize = row.images.iter().map(|image| image.input.len()).sum();
        self.bytes += row.cells.len() + row.name.len() + inputs;
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

fn new_row(row: &Row, fingerprint: &Fingerprint) -> NewRow {
    let images =
        row.urls.iter().map(|url| NewImage { input: url.to_owned(), fingerprint: fingerprint.of(url) });
    NewRow { cells: row.cells.clone(), name: row.name.clone(), images: images.collect(), error: None }
}

fn unopened(error: OpenError) -> Said {
    match error {
        OpenError::Refused(refusal) => {
            let error = RowError { line: refusal.line, code: refusal.code, message: refusal.reason };
            Said::Refused(Refusal { errors: vec![error], total: 1 })
        }
        OpenError::Io(error) => Said::Fault(unreadable(&error)),
    }
}

fn unreadable(error: &io::Error) -> Fault {
    Fault::permanent(Code::FileMissing, format!("the catalogue can't be read: {error}"))
}

/// Digests what is read through it, and packs it to be kept.
struct Digested<R> {
    inner: R,
    digest: Sha256,
    seen: Arc<AtomicU64>,
    packer: Packer,
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.packer.take(&buffer[..read])?;
        self.seen.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
