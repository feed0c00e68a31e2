//! Jobs in shapes of applications' own: each becomes a request, which goes through the stages as any other, and its end is
//! the job's. What the application looks for where they end is written as its table says.
//!
//! The request's id is made from the job, so that one that is delivered again after a crash is found where it was left, and
//! its outputs are written over.

mod completion;
mod gather;
mod path;
pub mod proposal;
pub mod rehearsal;
mod scope;
pub mod table;
mod telling;
mod template;
mod watch;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::gather::{Gathered, Look};
use self::scope::{End, Picture, Scope, mix};
use self::table::{Missing, On, Table};
use self::telling::Event;
pub use self::watch::Watch;
use self::writing::Delivery;
use crate::code::Code;
use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::request::{DEFAULT_TENANT, NewRequest, Options, RequestStatus};
use crate::model::row::{NewImage, NewRow};
use crate::model::source::Fingerprint;
use crate::model::time::Timestamp;
use crate::port::clock::Clock;
use crate::port::documents::Documents;
use crate::port::errands::{Done, Errand, Errands};
use crate::port::receiver::Receiver;
use crate::port::records::{IntakeEnd, Records};
use crate::results::link;

/// How soon records are asked whether a request has ended, at first and at most.
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_millis(500);

/// How long is waited where records can't be reached.
const UNREACHABLE: Duration = Duration::from_secs(2);

/// How long after a job was added what it names may come, and how often is looked.
const GRACE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    /// The application's documents, where the table names any.
    pub documents: Option<Arc<dyn Documents>>,
    /// Who hears its webhooks.
    pub receiver: Option<Arc<dyn Receiver>>,
    /// Passes time.
    pub clock: Arc<dyn Clock>,
    /// What is done to their pictures.
    pub options: Options,
    /// What links to outputs begin with that are files of this server's, without a slash at its end.
    pub links: String,
    /// How long what is told is held by whoever tells it: longer than a receiver may take.
    pub lease: Duration,
    /// The application's requests that are open.
    pub watch: Watch,
}

impl Stack {
    /// Works until stopped; what is under way then is given back.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let beside = async { tokio::join!(self.tell(&stop), self.tend_open(&stop)) };
        let working = async {
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
        };
        tokio::join!(working, beside);
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
                Err(fault) if fault.code == Code::JobInvalid => {
                    let _ = errand.done.send(Done::Failed(fault.to_string()));
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
        let gathered = match self.await_all(errand).await? {
            Look::Found(gathered) => gathered,
            Look::Missing(lacks) => {
                return Ok(match self.table.missing {
                    Missing::Wait => Done::LeftAlone(lacks),
                    Missing::Fail => Done::Failed(format!("{}: {lacks}", Code::JobInvalid)),
                });
            }
        };
        let delivery = self.delivery(errand);
        let (job, now) = (&errand.data, self.clock.wall());
        let before = gathered.scope(job, &[], delivery.job, now);
        self.write(&[On::Start], &before, delivery).await?;
        let id = self.id_of(errand, &gathered.pictures);
        match self.records.request(&id).await? {
            Some(request) if request.status == RequestStatus::Receiving => {
                self.records.discard(&id).await?;
                self.accept(&id, &gathered.pictures).await?;
            }
            Some(_) => {}
            None => self.accept(&id, &gathered.pictures).await?,
        }
        if self.ended(&id).await? == RequestStatus::Cancelled {
            return Ok(Done::Failed(format!("{}: request {id} was cancelled", Code::RequestCancelled)));
        }
        let ends = self.ends(&id, gathered.pictures.len()).await?;
        let scope = gathered.scope(job, &ends, delivery.job, self.clock.wall());
        self.show(&scope, delivery).await?;
        Ok(self.table.done(&scope))
    }

    /// What a job is about, once it is there or was waited for long enough.
    async fn await_all(&self, errand: &Errand) -> Result<Look, Fault> {
        loop {
            let look = self.ground().gather(&errand.data).await?;
            let waits = matches!(look, Look::Missing(_)) && self.clock.wall().since(errand.added) < GRACE;
            if !waits {
                return Ok(look);
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Writes and tells what the table says where a job's pictures have ended.
    async fn show(&self, scope: &Scope<'_>, delivery: Delivery) -> Result<(), Fault> {
        for at in 0..scope.pictures.len() {
            let of = Scope { picture: Some(at), ..*scope };
            let failed = of.end().is_some_and(|end| end.failure.is_some());
            let on = [On::Picture, if failed { On::Failed } else { On::Completed }];
            self.write(&on, &of, delivery).await?;
            self.note_failure(&of, delivery).await?;
            self.tell_of(&on, &of, Event::OfRound(delivery.round)).await?;
        }
        for product in 0..scope.products.len() {
            let of = Scope { product: Some(product), ..*scope };
            self.write(&[On::Product], &of, delivery).await?;
            self.tell_of(&[On::Product], &of, Event::OfRound(delivery.round)).await?;
        }
        self.write(&[On::Job], scope, delivery).await?;
        self.tell_of(&[On::Job], scope, Event::OfRound(delivery.round)).await?;
        self.complete_or_watch(scope).await
    }

    /// Takes a job in as a request.
    async fn accept(&self, id: &RequestId, pictures: &[Picture]) -> Result<(), Fault> {
        let (fingerprint, now) = (Fingerprint::new(), self.clock.wall());
        let new = NewRequest {
            id: id.clone(),
            tenant: DEFAULT_TENANT.into(),
            header: HEADER.into(),
            catalogue: self.table.queue.clone(),
            traceparent: None,
        };
        self.records.begin(new, now).await?;
        let row = |picture: &Picture| {
            let input = picture.url.trim().to_owned();
            NewRow {
                cells: format!("\"{}\"", input.replace('"', "\"\"")),
                name: String::new(),
                images: vec![NewImage { fingerprint: fingerprint.of(&input), input }],
                error: None,
            }
        };
        for pictures in pictures.chunks(ROWS) {
            self.records.append(id, pictures.iter().map(row).collect(), now).await?;
        }
        let end = IntakeEnd {
            options: self.options.clone(),
            digest: String::new(),
            reading: String::new(),
            rows: pictures.len() as u64,
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

    /// What became of each picture, in order.
    async fn ends(&self, id: &RequestId, pictures: usize) -> Result<Vec<End>, Fault> {
        let mut ends = Vec::with_capacity(pictures);
        while ends.len() < pictures {
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
                if let Some(output) = &mut output {
                    output.location = link(&output.location, &self.links);
                }
                End { output, failure }
            }));
        }
        Ok(ends)
    }

    /// The application's documents.
    fn documents(&self) -> Result<&Arc<dyn Documents>, Fault> {
        gather::named(self.documents.as_ref())
    }

    /// Names the queue among others.
    fn queue(&self) -> String {
        format!("{}:{}", self.table.prefix, self.table.queue)
    }

    fn delivery(&self, errand: &Errand) -> Delivery {
        let job = mix(0, &format!("{}:{}", self.queue(), errand.job));
        Delivery { job, round: mix(job, &format!("{}", errand.round)), again: errand.round > 0 }
    }

    /// The id of the request that a job becomes.
    fn id_of(&self, errand: &Errand, pictures: &[Picture]) -> RequestId {
        let mut id = mix(self.delivery(errand).round, &errand.data.to_string());
        for picture in pictures {
            id = mix(id, &picture.url);
        }
        let id = uuid::Builder::from_custom_bytes(id.to_be_bytes());
        RequestId::from(id.into_uuid().to_string().as_str())
    }
}

impl Gathered {
    fn scope<'a>(
        &'a self,
        job: &'a serde_json::Value,
        ends: &'a [End],
        seed: u128,
        now: Timestamp,
    ) -> Scope<'a> {
        Scope {
            products: &self.products,
            pictures: &self.pictures,
            ends,
            request: self.request.as_ref(),
            seed,
            ..Scope::of(job, now)
        }
    }
}
