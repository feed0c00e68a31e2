//! Jobs in shapes of applications' own: each becomes a request, which goes through the stages as any other, and its end is
//! the job's.
//!
//! The request's id is made from the job, so that one that is delivered again after a crash is found where it was left, and
//! its outputs are written over.

pub mod table;
mod template;

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::request::{DEFAULT_TENANT, NewRequest, Options, RequestStatus};
use crate::model::row::{NewImage, NewRow};
use crate::model::source::Fingerprint;
use crate::port::clock::Clock;
use crate::port::errands::{Done, Errand, Errands};
use crate::port::records::{IntakeEnd, Records};
use crate::stack::table::{End, Item, Table};

/// How soon records are asked whether a request has ended, at first and at most.
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_millis(500);

/// How long is waited where records can't be reached.
const UNREACHABLE: Duration = Duration::from_secs(2);

/// Rows that are read at a time.
const ROWS: usize = 1_000;

/// The column in which addresses stand, as in a catalogue of a column alone.
const HEADER: &str = "Input Image Urls";

/// Works the jobs of one table off.
pub struct Stack {
    /// What the table says.
    pub table: Arc<Table>,
    /// Where its jobs come from.
    pub errands: Arc<dyn Errands>,
    /// Where their requests are kept.
    pub records: Arc<dyn Records>,
    /// Passes time.
    pub clock: Arc<dyn Clock>,
    /// What is done to their pictures.
    pub options: Options,
    /// What links to outputs begin with that are files of this server's, without a slash at its end.
    pub links: String,
}

impl Stack {
    /// Works until stopped; what is under way then is given back.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = tasks.join_next() => {}
                errand = self.errands.next() => match errand {
                    Some(errand) => _ = tasks.spawn(self.clone().run(errand)),
                    None => break,
                },
            }
        }
        // Whoever is told nothing gives its job back.
        tasks.shutdown().await;
        self.errands.close().await;
    }

    async fn run(self: Arc<Self>, errand: Errand) {
        let mut told = false;
        loop {
            match self.carry_out(&errand).await {
                Ok(done) => {
                    // Nobody waits for it where the job was lost to another worker.
                    let _ = errand.done.send(done);
                    return;
                }
                Err(fault) if !std::mem::replace(&mut told, true) => {
                    tracing::warn!(%fault, "a job waits for records");
                }
                Err(_) => {}
            }
            self.clock.sleep(UNREACHABLE).await;
        }
    }

    async fn carry_out(&self, errand: &Errand) -> Result<Done, Fault> {
        let items = match self.table.items(&errand.data) {
            Ok(items) => items,
            Err(lacks) => return Ok(Done::Failed(format!("{}: {lacks}", Code::JobInvalid))),
        };
        let id = id_of(&self.table, errand);
        match self.records.request(&id).await? {
            Some(request) if request.status == RequestStatus::Receiving => {
                self.records.discard(&id).await?;
                self.accept(&id, &items).await?;
            }
            Some(_) => {}
            None => self.accept(&id, &items).await?,
        }
        if self.ended(&id).await? == RequestStatus::Cancelled {
            return Ok(Done::Failed(format!("{}: request {id} was cancelled", Code::RequestCancelled)));
        }
        let ends = self.ends(&id, items.len()).await?;
        Ok(self.table.done(&errand.data, &items, &ends))
    }

    /// Takes a job in as a request.
    async fn accept(&self, id: &RequestId, items: &[Item<'_>]) -> Result<(), Fault> {
        let (fingerprint, now) = (Fingerprint::new(), self.clock.wall());
        let new = NewRequest {
            id: id.clone(),
            tenant: DEFAULT_TENANT.into(),
            header: HEADER.into(),
            catalogue: self.table.queue.clone(),
            traceparent: None,
        };
        self.records.begin(new, now).await?;
        let row = |item: &Item<'_>| {
            let input = item.url.trim().to_owned();
            NewRow {
                cells: format!("\"{}\"", input.replace('"', "\"\"")),
                name: String::new(),
                images: vec![NewImage { fingerprint: fingerprint.of(&input), input }],
                error: None,
            }
        };
        self.records.append(id, items.iter().map(row).collect(), now).await?;
        let end = IntakeEnd {
            options: self.options.clone(),
            digest: String::new(),
            reading: String::new(),
            rows: items.len() as u64,
            row_errors: Vec::new(),
            row_errors_total: 0,
        };
        self.records.open(id, end, now).await
    }

    /// How a request ended, once it has.
    async fn ended(&self, id: &RequestId) -> Result<RequestStatus, Fault> {
        let mut pause = SOON;
        loop {
            match self.records.request(id).await? {
                Some(request) if request.status.is_open() => {}
                Some(request) => return Ok(request.status),
                None => return Ok(RequestStatus::Cancelled),
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LATE);
        }
    }

    /// What became of each item, in order.
    async fn ends(&self, id: &RequestId, items: usize) -> Result<Vec<End>, Fault> {
        let mut ends = Vec::with_capacity(items);
        while ends.len() < items {
            let rows = self.records.rows(id, ends.len() as u64, ROWS).await?;
            if rows.is_empty() {
                return Err(Fault::transient(
                    Code::BackendUnavailable,
                    format!("rows of request {id} are missing"),
                ));
            }
            ends.extend(rows.into_iter().map(|row| {
                let slot = row.slots.into_iter().next();
                let (mut output, failure) = slot.map_or((None, None), |slot| (slot.output, slot.failure));
                if let Some(output) = output.as_mut().filter(|output| !output.location.contains("://")) {
                    output.location = format!("{}/{}", self.links, output.location);
                }
                End { output, failure }
            }));
        }
        Ok(ends)
    }
}

/// The id of the request that a job becomes.
fn id_of(table: &Table, errand: &Errand) -> RequestId {
    let mut hasher = SipHasher13::new();
    for part in [&table.prefix, &table.queue, &errand.key, &errand.data.to_string()] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0);
    }
    let id = uuid::Builder::from_custom_bytes(hasher.finish128().as_u128().to_be_bytes());
    RequestId::from(id.into_uuid().to_string().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_comes_again_is_the_same_request_and_an_edited_or_retried_one_is_another() {
        let table = Table::read(table::Told {
            queue: "q".into(),
            prefix: "bull".into(),
            jobs: vec!["*".into()],
            items: None,
            url: "$.url".into(),
            returns: json!({}),
            fails: None,
        })
        .unwrap();
        let errand = |key: &str, url: &str| {
            let (done, _) = tokio::sync::oneshot::channel();
            Errand { key: key.into(), data: json!({ "url": url }), done }
        };
        let id = |key, url| id_of(&table, &errand(key, url));
        assert_eq!(id("7/0", "a"), id("7/0", "a"));
        let others = [id("7/1", "a"), id("7/0", "b"), id("8/0", "a")];
        assert!(others.iter().all(|other| *other != id("7/0", "a")), "{others:?}");
    }
}
