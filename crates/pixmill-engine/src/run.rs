//! One catalogue from start to results, on one machine: take it in or resume it, work it off, write what came of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pixmill_codec::Recipe;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::again::Again;
use crate::catalogue::{Account, Hints, Understood};
use crate::code::Code;
use crate::fault::Fault;
use crate::lead::Leading;
use crate::model::id::RequestId;
use crate::model::request::{DEFAULT_TENANT, Options, Progress, Request};
use crate::model::row::RowError;
use crate::pipeline::accept::{self, Intake, NotAccepted, Refusal};
use crate::pipeline::{Pipeline, Ports, Scope, Settings, Watcher};
use crate::port::records::{FailureGroup, Succession};
use crate::results::Results;
use crate::upkeep::Upkeep;

/// Outputs removed at a time.
const STALE: usize = 1_000;

/// Rows read at a time.
const ROWS: usize = 1_000;

/// A run to be.
pub struct Run {
    /// What it stands on.
    pub ports: Ports,
    /// The embedded records, which remember what ran into this folder before.
    pub succession: Arc<dyn Succession>,
    /// How much of everything.
    pub settings: Settings,
    /// The catalogue.
    pub catalogue: PathBuf,
    /// What is said of it.
    pub hints: Hints,
    /// What to do to each image.
    pub recipe: Recipe,
    /// Re-open what failed in an earlier run.
    pub retry_failed: bool,
    /// Where results go.
    pub results: PathBuf,
    /// Where the catalogue goes again.
    pub again: PathBuf,
    /// What the addresses in it begin with, instead of paths.
    pub output_prefix: Option<String>,
    /// Where they are written before they are renamed.
    pub temporary: PathBuf,
    /// Watches.
    pub observer: Arc<dyn Observer>,
}

/// Watches a run.
pub trait Observer: Watcher {
    /// What the catalogue is understood as.
    fn understood(&self, _understood: &Understood) {}

    /// Rows have been read, and so many bytes of the catalogue's.
    fn reading(&self, rows: u64, bytes: u64);

    /// Request and rows are durable.
    fn accepted(&self, accepted: Accepted);

    /// How far the run is.
    fn progress(&self, progress: Progress);
}

/// An intake that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Rows that can be used.
    pub rows: u64,
    /// Rows that can't.
    pub row_errors: u64,
    /// How far the request is: further than nothing when it was resumed.
    pub progress: Progress,
    /// From the file's start until its rows were durable, or found again.
    pub took: Duration,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its request.
    pub request: Request,
    /// How far it is.
    pub progress: Progress,
    /// Rows that can't be used, the first 1,000.
    pub row_errors: Vec<RowError>,
    /// Failures by code, most frequent first.
    pub failures: Vec<FailureGroup>,
    /// Completed images of which results have a note.
    pub noted: u64,
    /// It was stopped before its end.
    pub interrupted: bool,
}

/// Why a run did not come to an end.
#[derive(Debug)]
pub enum Stopped {
    /// The catalogue was refused.
    Refused(Refusal),
    /// Something else.
    Fault(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Stopped::Fault(fault)
    }
}

impl From<NotAccepted> for Stopped {
    fn from(not: NotAccepted) -> Self {
        match not {
            NotAccepted::Refused(refusal) => Stopped::Refused(refusal),
            NotAccepted::Fault(fault) => Stopped::Fault(fault),
        }
    }
}

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);

impl Run {
    /// Runs to the end, or until stopped; whatever was done by then is found again by the next run.
    ///
    /// # Errors
    /// A refused catalogue, `state.other_catalogue`, and faults of disk and records.
    pub async fn run(&self, stop: CancellationToken) -> Result<Finished, Stopped> {
        let upkeep = Upkeep {
            records: self.ports.records.clone(),
            clock: self.ports.clock.clone(),
            attempts: self.settings.attempts,
            lease: self.settings.lease,
            leading: Leading::default(),
        };
        upkeep.start_over().await?;
        let request = self.take_in().await?;
        self.remove_stale().await?;
        if self.retry_failed {
            self.ports.records.retry(&request, self.ports.clock.wall()).await?;
        }
        self.work(&request, &upkeep, stop).await?;
        let finished = self.finished(&request).await?;
        if !finished.interrupted {
            self.write_results(&finished.request).await?;
            if let Some(prefix) = &self.output_prefix {
                self.write_again(&finished.request, prefix).await?;
            }
        }
        Ok(finished)
    }

    /// Takes the catalogue in, or finds that it was taken in before.
    async fn take_in(&self) -> Result<RequestId, Stopped> {
        let began = self.ports.clock.instant();
        let request = match self.earlier().await? {
            Some(earlier) if earlier.digest == digest(&self.catalogue, &self.hints)? => {
                self.observer.understood(&Account::parse(&earlier.reading).understood);
                earlier.id
            }
            earlier => {
                let new = self.accept().await?;
                if let Some(earlier) = earlier {
                    self.succession.succeed(&earlier.id, &new, self.ports.clock.wall()).await?;
                }
                new
            }
        };
        self.remake_lost(&request).await?;
        let accepted = self.ports.records.request(&request).await?.ok_or_else(|| lost(&request))?;
        self.observer.accepted(Accepted {
            rows: accepted.rows,
            row_errors: accepted.row_errors,
            progress: self.ports.records.progress(&request).await?,
            took: self.ports.clock.instant().since(began),
        });
        Ok(request)
    }

    /// The request that ran into this folder before. A succession that broke off is finished first.
    async fn earlier(&self) -> Result<Option<Request>, Fault> {
        let mut earlier = self.succession.requests().await?;
        while let [old, new, ..] = earlier.as_slice() {
            self.succession.succeed(&old.id, &new.id, self.ports.clock.wall()).await?;
            earlier = self.succession.requests().await?;
        }
        let Some(earlier) = earlier.pop() else { return Ok(None) };
        let catalogue = name(&self.catalogue)?;
        if earlier.catalogue != catalogue {
            return Err(other(format!("it holds the results of {}, not of {catalogue}", earlier.catalogue)));
        }
        if earlier.recipe != self.recipe {
            return Err(other(format!(
                "its images were made by another recipe ({})",
                differences(&earlier.recipe, &self.recipe)
            )));
        }
        Ok(Some(earlier))
    }

    async fn accept(&self) -> Result<RequestId, Stopped> {
        let catalogue = File::open(&self.catalogue).map_err(|error| unreadable(&self.catalogue, &error))?;
        let intake = Intake {
            request: RequestId::new(),
            tenant: DEFAULT_TENANT.to_owned(),
            catalogue: name(&self.catalogue)?,
            hints: self.hints.clone(),
            traceparent: None,
            originals: None,
        };
        let options = std::future::ready(Ok(Options { recipe: self.recipe, webhook: None }));
        let watch = Reading(self.observer.clone());
        let (records, clock) = (&self.ports.records, &*self.ports.clock);
        Ok(accept::accept(records, clock, catalogue, intake, options, watch).await?)
    }

    /// Removes outputs of rows that were changed or taken out since the last run.
    async fn remove_stale(&self) -> Result<(), Fault> {
        loop {
            let stale = self.succession.stale(STALE).await?;
            if stale.is_empty() {
                return Ok(());
            }
            self.ports.storage.remove(&stale).await?;
            self.succession.forget_stale(&stale).await?;
        }
    }

    /// Re-opens images whose output somebody deleted behind an earlier run.
    async fn remake_lost(&self, request: &RequestId) -> Result<(), Fault> {
        let (mut first, mut lost) = (0, Vec::new());
        loop {
            let rows = self.ports.records.rows(request, first, ROWS).await?;
            if rows.is_empty() {
                break;
            }
            first += rows.len() as u64;
            let outputs = rows.into_iter().flat_map(|row| row.slots).filter_map(|slot| slot.output);
            lost.extend(self.ports.storage.lost(outputs.map(|output| output.location).collect()).await?);
        }
        if !lost.is_empty() {
            let images = self.succession.remake(request, lost, self.ports.clock.wall()).await?;
            tracing::warn!(images, "outputs of an earlier run are gone: they are made again");
        }
        Ok(())
    }

    async fn work(&self, request: &RequestId, upkeep: &Upkeep, stop: CancellationToken) -> Result<(), Fault> {
        let pipeline = Pipeline::new(
            self.ports.clone(),
            self.settings.clone(),
            Arc::new(Watching(self.observer.clone())),
        );
        let over = stop.child_token();
        let beside = async {
            tokio::join!(upkeep.tend(over.clone()), self.show_progress(request, over.clone()));
        };
        let work = async {
            let worked = pipeline.work(Scope::Request(request.clone()), stop).await;
            over.cancel();
            worked
        };
        let (worked, ()) = tokio::join!(work, beside);
        worked
    }

    async fn show_progress(&self, request: &RequestId, over: CancellationToken) {
        while !over.is_cancelled() {
            if let Ok(progress) = self.ports.records.progress(request).await {
                self.observer.progress(progress);
            }
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                () = self.ports.clock.sleep(SHOW_EVERY) => {}
            }
        }
    }

    async fn finished(&self, request: &RequestId) -> Result<Finished, Fault> {
        let records = &self.ports.records;
        let found = records.request(request).await?.ok_or_else(|| lost(request))?;
        Ok(Finished {
            progress: records.progress(request).await?,
            row_errors: records.row_errors(request).await?,
            failures: records.failures(request).await?,
            noted: records.noted(request).await?,
            interrupted: found.status.is_open(),
            request: found,
        })
    }

    /// Writes results beside and renames them, so that nobody ever reads half of them.
    async fn write_results(&self, request: &Request) -> Result<(), Fault> {
        let failed = |error: io::Error| file_fault(&self.results, &error);
        let temporary = self.temporary.clone();
        let mut file = apart(move || File::create(temporary)).await.map_err(failed)?;
        let mut results = Results::new(self.ports.records.clone(), request, None);
        while let Some(piece) = results.piece().await? {
            let write = move || file.write_all(&piece).map(|()| file);
            file = apart(write).await.map_err(failed)?;
        }
        let (temporary, results) = (self.temporary.clone(), self.results.clone());
        let finish = move || file.sync_all().and_then(|()| fs::rename(temporary, results));
        apart(finish).await.map_err(failed)
    }

    /// Writes the catalogue again, with outputs in the places of the addresses that completed.
    async fn write_again(&self, request: &Request, prefix: &str) -> Result<(), Fault> {
        let failed = |error: io::Error| file_fault(&self.again, &error);
        let (catalogue, temporary) = (self.catalogue.clone(), self.temporary.clone());
        let opened = apart(move || File::open(catalogue)).await;
        let reader = opened.map_err(|error| unreadable(&self.catalogue, &error))?;
        let file = apart(move || File::create(temporary)).await.map_err(failed)?;
        let again =
            Again { request: request.clone(), records: self.ports.records.clone(), links: prefix.to_owned() };
        again.write(reader, file.try_clone().map_err(failed)?).await?;
        let (temporary, again) = (self.temporary.clone(), self.again.clone());
        apart(move || file.sync_all().and_then(|()| fs::rename(temporary, again))).await.map_err(failed)
    }
}

/// Reads or writes a file where nobody who can't wait is held up.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| Err(io::Error::other(broken)))
}

/// Passes image ends on to the observer.
struct Watching(Arc<dyn Observer>);

impl Watcher for Watching {
    fn ended(&self, ended: crate::pipeline::Ended) {
        self.0.ended(ended);
    }

    fn learnt(&self, learnt: crate::pipeline::Learnt) {
        self.0.learnt(learnt);
    }
}

/// Passes what is read on to the observer.
struct Reading(Arc<dyn Observer>);

impl accept::Watch for Reading {
    fn understood(&self, understood: &Understood) {
        self.0.understood(understood);
    }

    fn reading(&self, rows: u64, bytes: u64) {
        self.0.reading(rows, bytes);
    }
}

/// How a catalogue is known: by its absolute path.
fn name(catalogue: &Path) -> Result<String, Fault> {
    let path = fs::canonicalize(catalogue).map_err(|error| unreadable(catalogue, &error))?;
    Ok(path.to_string_lossy().into_owned())
}

fn digest(catalogue: &Path, hints: &Hints) -> Result<String, Fault> {
    let unreadable = |error: io::Error| unreadable(catalogue, &error);
    let mut file = File::open(catalogue).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            return Ok(accept::digest_of(hasher, hints));
        }
        hasher.update(&buffer[..read]);
    }
}

fn unreadable(catalogue: &Path, error: &io::Error) -> Fault {
    Fault::permanent(
        Code::FileMissing,
        format!("the catalogue {} can't be read: {error}", catalogue.display()),
    )
}

fn file_fault(path: &Path, error: &io::Error) -> Fault {
    Fault::permanent(
        Code::of_unwritable(error.kind()),
        format!("{} can't be written: {error}; is it open elsewhere?", path.display()),
    )
}

fn lost(request: &RequestId) -> Fault {
    Fault::permanent(Code::RequestNotFound, format!("request {request} is gone from records"))
}

fn other(why: String) -> Fault {
    Fault::permanent(Code::StateOtherCatalogue, format!("the output folder belongs to another run: {why}"))
}

/// Which fields of two recipes differ, as they are written in records.
fn differences(one: &Recipe, other: &Recipe) -> String {
    let fields = |recipe: &Recipe| match serde_json::to_value(recipe) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (fields(one), fields(other));
    let differing = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
    let told = differing.map(|(name, value)| {
        format!("{name} was {value}, is {}", other.get(name).unwrap_or(&serde_json::Value::Null))
    });
    told.collect::<Vec<_>>().join(", ")
}
