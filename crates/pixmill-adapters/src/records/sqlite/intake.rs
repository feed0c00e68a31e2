//! Taking a catalogue in. Rows gather until a batch is worth a transaction; the writer falls at most a few batches
//! behind, so memory stays bounded.

mod inputs;
mod rows;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::request::{NewRequest, RequestStatus};
use pixmill_engine::model::row::NewRow;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::records::{Intake, IntakeEnd};
use rusqlite::{Connection, params};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, oneshot};

use self::inputs::Inputs;
use self::rows::Written;
use super::fault::Broken;
use super::id::{Owner, check_new, known_owner, unknown};
use super::tally::complete;
use super::{Sqlite, deletion};

/// A batch is written when it holds so many rows, so many bytes of text, or is so old.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 2 << 20;
const BATCH_AGE_MS: i64 = 5_000;

/// Batches that may wait for the writer, over all intakes.
const BATCHES_AHEAD: usize = 2;

/// Intakes under way in this process.
pub(super) struct Intakes {
    by_request: Mutex<HashMap<RequestId, Arc<Taking>>>,
    ahead: Arc<Semaphore>,
}

impl Default for Intakes {
    fn default() -> Self {
        Intakes { by_request: Mutex::default(), ahead: Arc::new(Semaphore::new(BATCHES_AHEAD)) }
    }
}

/// One intake under way.
struct Taking {
    /// `requests.num`.
    num: i64,
    gathered: AsyncMutex<Gathered>,
    written: Mutex<Written>,
}

/// Batches on their way to the writer.
#[derive(Default)]
struct Gathered {
    next: Batch,
    /// The answers to batches that were handed over, oldest first.
    answers: VecDeque<oneshot::Receiver<Result<usize, Fault>>>,
    /// Something could not be written, or whoever appended was stopped midway: there may be a gap.
    broken: Option<Fault>,
}

/// Rows that wait for more.
#[derive(Default)]
struct Batch {
    rows: Vec<NewRow>,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Batch {
    fn add(&mut self, rows: Vec<NewRow>, now: Timestamp) {
        self.bytes += rows.iter().map(text_bytes).sum::<usize>();
        self.since.get_or_insert(now);
        if self.rows.is_empty() {
            self.rows = rows;
        } else {
            self.rows.extend(rows);
        }
    }

    fn is_full(&self, now: Timestamp) -> bool {
        let age = self.since.map_or(0, |since| now.0 - since.0);
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES || age >= BATCH_AGE_MS
    }
}

fn text_bytes(row: &NewRow) -> usize {
    let inputs: usize = row.images.iter().map(|image| image.input.len()).sum();
    row.cells.len() + row.name.len() + inputs
}

impl Taking {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intakes {
    fn map(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<Taking>>> {
        self.by_request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, request: &RequestId) -> Result<Arc<Taking>, Fault> {
        self.map().get(request).cloned().ok_or_else(|| unknown(request))
    }

    pub(super) fn forget(&self, request: &RequestId) {
        self.map().remove(request);
    }

    /// Distinct inputs that each intake may keep in memory before it writes them.
    fn inputs_each(&self) -> usize {
        inputs::MOST_IN_MEMORY / self.map().len().max(1)
    }
}

#[async_trait]
impl Intake for Sqlite {
    async fn begin(&self, new: NewRequest, now: Timestamp) -> Result<(), Fault> {
        let id = new.id.clone();
        let num = self.write(move |transaction| insert(transaction.connection, &new, now)).await?;
        let taking = Taking { num, gathered: AsyncMutex::default(), written: Mutex::default() };
        self.intakes.map().insert(id, Arc::new(taking));
        Ok(())
    }

    async fn append(&self, request: &RequestId, rows: Vec<NewRow>, now: Timestamp) -> Result<(), Fault> {
        let taking = self.intakes.find(request)?;
        let mut gathered = taking.gathered.lock().await;
        gathered.next.add(rows, now);
        if !gathered.next.is_full(now) {
            return gathered.broken.clone().map_or(Ok(()), Err);
        }
        let broken = gathered.broken.replace(interrupted(request));
        let handed_over = match broken {
            Some(fault) => Err(fault),
            None => self.hand_over(&taking, &mut gathered, now).await,
        };
        gathered.broken = handed_over.clone().err();
        handed_over
    }

    async fn open(&self, request: &RequestId, end: IntakeEnd, now: Timestamp) -> Result<(), Fault> {
        let taking = self.intakes.find(request)?;
        // An intake that could not be opened can only be discarded.
        self.intakes.forget(request);
        let mut gathered = taking.gathered.lock().await;
        if let Some(fault) = gathered.broken.clone() {
            return Err(fault);
        }
        self.hand_over(&taking, &mut gathered, now).await?;
        while let Some(answer) = gathered.answers.pop_front() {
            answer.await.unwrap_or_else(|_| Err(interrupted(request)))?;
        }
        self.write_inputs(&taking).await?;
        let images = taking.written().images;
        let id = request.clone();
        self.write(move |transaction| open(transaction.connection, &id, images, &end, now)).await
    }

    async fn discard(&self, request: &RequestId) -> Result<(), Fault> {
        self.intakes.forget(request);
        let id = request.clone();
        self.write(move |transaction| Ok(deletion::drop_intake(transaction.connection, &id)?)).await?;
        self.delete_dropped().await?;
        Ok(())
    }
}

impl Sqlite {
    /// Hands a batch to the writer once it is not too far behind, and looks at the answers that have come.
    async fn hand_over(
        &self,
        taking: &Arc<Taking>,
        gathered: &mut Gathered,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let permit = self.intakes.ahead.clone().acquire_owned().await;
        let mut inputs = 0;
        while let Some(Ok(answer)) = gathered.answers.front_mut().map(oneshot::Receiver::try_recv) {
            inputs = answer?;
            gathered.answers.pop_front();
        }
        if inputs >= self.intakes.inputs_each() {
            self.write_inputs(taking).await?;
        }
        let (batch, taking) = (std::mem::take(&mut gathered.next), taking.clone());
        let answer = self.writer.queue(move |transaction| {
            let _permit = permit;
            rows::append(transaction.connection, taking.num, &mut taking.written(), &batch.rows, now)
        });
        gathered.answers.push_back(answer);
        Ok(())
    }

    /// Writes the inputs seen so far, a bounded number in one transaction.
    async fn write_inputs(&self, taking: &Arc<Taking>) -> Result<(), Fault> {
        // Queued behind the batches, so that their inputs are all there.
        let sorting = taking.clone();
        let mut inputs: Inputs =
            self.write(move |_| Ok(std::mem::take(&mut sorting.written().inputs))).await?;
        inputs.sort();
        while !inputs.is_empty() {
            let writing = taking.clone();
            inputs = self
                .write(move |transaction| {
                    inputs.write_some(transaction.connection, writing.num)?;
                    Ok(inputs)
                })
                .await?;
        }
        Ok(())
    }
}

fn interrupted(request: &RequestId) -> Fault {
    Fault::permanent(Code::RequestState, format!("the intake of request {request} broke off"))
}

fn insert(connection: &Connection, new: &NewRequest, now: Timestamp) -> Result<i64, Broken> {
    check_new(connection, &new.id)?;
    connection.execute(
        "INSERT INTO requests (id, status, round, recipe, header, catalogue, created, touched, tenant,
           traceparent)
         VALUES (?1, 'receiving', 1, '{}', ?2, ?3, ?4, ?4, ?5, ?6)",
        params![
            new.id.as_str(),
            new.header,
            new.catalogue,
            now.0,
            new.tenant,
            new.traceparent.as_ref().map(Traceparent::as_str)
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// A request that is being taken in.
pub(super) fn receiving(connection: &Connection, id: &RequestId) -> Result<Owner, Broken> {
    let owner = known_owner(connection, id)?;
    if owner.status != RequestStatus::Receiving {
        return Err(unknown(id).into());
    }
    Ok(owner)
}

fn open(
    connection: &Connection,
    id: &RequestId,
    images: u64,
    end: &IntakeEnd,
    now: Timestamp,
) -> Result<(), Broken> {
    let owner = receiving(connection, id)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO row_errors (request, ordinal, line, code, message) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (ordinal, error) in end.row_errors.iter().enumerate() {
        insert.execute(params![
            owner.num,
            ordinal as i64,
            error.line as i64,
            error.code.as_str(),
            error.message
        ])?;
    }
    let recipe = serde_json::to_string(&end.options.recipe)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection.execute(
        "UPDATE requests SET status = 'pending', digest = ?2, rows = ?3, row_errors = ?4, pending_images = ?5,
           recipe = ?6, webhook = ?7, touched = max(touched + 1, ?8), reading = ?9,
           opened = (SELECT coalesce(max(opened), 0) + 1 FROM requests)
         WHERE num = ?1",
        params![
            owner.num,
            end.digest,
            end.rows as i64,
            end.row_errors_total as i64,
            images as i64,
            recipe,
            end.options.webhook,
            now.0,
            end.reading
        ],
    )?;
    complete(connection, owner.num, now)?;
    Ok(())
}
