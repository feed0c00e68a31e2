//! One catalogue on embedded defaults, whatever the environment says of backends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pixmill_adapters::clock::SystemClock;
use pixmill_adapters::queue::database::{DatabaseQueue, WINDOW};
use pixmill_adapters::storage::disk::DiskStorage;
use pixmill_engine::catalogue::{Account, Understood};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::lease::LEASE;
use pixmill_engine::model::request::Progress;
use pixmill_engine::pipeline::{Ended, Learnt, Ports, Settings, Watcher};
use pixmill_engine::port::traces::Untold;
use pixmill_engine::run::{self, Accepted, Run, Stopped};
use tokio_util::sync::CancellationToken;

use super::{backends, files, origin, sandbox};
use crate::config::options::RunOptions;
use crate::observe::{ImageReport, Observer};
use crate::paces::Paces;
use crate::report::{OriginFigure, RunReport};

/// The longest Retry-After that a run waits for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Origins whose figures are kept.
const ORIGINS: usize = 10_000;

/// Runs one catalogue on embedded defaults. The output folder must be this process's alone.
pub(crate) async fn run(
    options: RunOptions,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
) -> Result<RunReport, Fault> {
    let began = Instant::now();
    let tally = Arc::new(Tally::new(observer, &options.catalogue));
    let job = wired(options, tally.clone())?;
    let report = match job.run(stop).await {
        Ok(finished) => RunReport {
            rows: finished.request.rows,
            row_errors: finished.row_errors,
            row_errors_total: finished.request.row_errors,
            refused: None,
            progress: finished.progress,
            failures: finished.failures,
            noted: finished.noted,
            interrupted: finished.interrupted,
            understood: Account::parse(&finished.request.reading).understood,
            ..RunReport::default()
        },
        Err(Stopped::Refused(refusal)) => RunReport {
            refused: refusal.errors.first().map(|error| Fault::permanent(error.code, error.message.clone())),
            row_errors_total: refusal.total,
            row_errors: refusal.errors,
            ..RunReport::default()
        },
        Err(Stopped::Fault(fault)) => return Err(fault),
    };
    let (origins, fetched_now) = tally.figures();
    let resumed = tally.resumed.load(Ordering::Relaxed);
    let (seconds, paces) = (began.elapsed().as_secs_f64(), tally.paces.list());
    Ok(RunReport { seconds, origins, paces, fetched_now, resumed, ..report })
}

fn wired(options: RunOptions, tally: Arc<Tally>) -> Result<Run, Fault> {
    let state = options.output.join(".pixmill");
    let temporary = state.join("tmp");
    let storage = DiskStorage::open(&options.output, &temporary)?;
    let records = Arc::new(backends::sqlite(&state.join("pixmill.db"))?);
    let ports = Ports {
        records: records.clone(),
        queue: Arc::new(DatabaseQueue::new(WINDOW)),
        storage: Arc::new(storage),
        sandbox: sandbox(options.concurrency, options.picture_time)?,
        origin: origin(&options.reach, options.connections)?,
        files: Some(files(&options.base_dir)?),
        clock: Arc::new(SystemClock),
        traces: Arc::new(Untold),
    };
    let settings = Settings {
        connections: options.connections,
        per_origin: options.per_origin,
        memory_bytes: options.memory_bytes,
        limits: options.limits,
        max_bytes: options.max_bytes,
        timeout: options.timeout,
        attempts: options.attempts,
        longest_retry_after: LONGEST_RETRY_AFTER,
        lease: LEASE,
    };
    Ok(Run {
        ports,
        succession: records,
        settings,
        catalogue: options.catalogue,
        hints: options.hints,
        recipe: options.recipe,
        retry_failed: options.retry_failed,
        results: options.output.join("results.csv"),
        again: options.again,
        output_prefix: options.output_prefix,
        temporary: temporary.join("results.csv.part"),
        observer: tally,
    })
}

/// Passes what happens on to whoever watches, and keeps figures by origin.
struct Tally {
    observer: Arc<dyn Observer>,
    bytes_total: u64,
    ended: AtomicU64,
    resumed: AtomicU64,
    origins: Mutex<HashMap<String, Figure>>,
    paces: Paces,
}

#[derive(Default)]
struct Figure {
    images: u64,
    total: Duration,
    slowest: Duration,
}

impl Tally {
    fn new(observer: Arc<dyn Observer>, catalogue: &Path) -> Self {
        let bytes_total = std::fs::metadata(catalogue).map_or(0, |metadata| metadata.len());
        Tally {
            observer,
            bytes_total,
            ended: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            origins: Mutex::default(),
            paces: Paces::default(),
        }
    }

    /// Figures by origin, slowest first, and how many images ended.
    fn figures(&self) -> (Vec<OriginFigure>, u64) {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut figures: Vec<_> = origins
            .iter()
            .map(|(origin, figure)| OriginFigure {
                origin: origin.clone(),
                images: figure.images,
                mean_ms: milliseconds(figure.total) / figure.images.max(1),
                slowest_ms: milliseconds(figure.slowest),
            })
            .collect();
        figures.sort_by(|a, b| b.mean_ms.cmp(&a.mean_ms).then_with(|| a.origin.cmp(&b.origin)));
        (figures, self.ended.load(Ordering::Relaxed))
    }
}

impl Watcher for Tally {
    fn learnt(&self, learnt: Learnt) {
        self.paces.take(learnt);
    }

    fn ended(&self, ended: Ended) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if !ended.origin.is_empty() && (origins.len() < ORIGINS || origins.contains_key(&ended.origin)) {
            let figure = origins.entry(ended.origin.clone()).or_default();
            figure.images += 1;
            figure.total += ended.fetching;
            figure.slowest = figure.slowest.max(ended.fetching);
        }
        drop(origins);
        self.observer.image(&ImageReport {
            row: ended.row,
            position: ended.position,
            origin: ended.origin,
            status: ended.status,
            code: ended.code,
            bytes_before: ended.bytes_before,
            bytes_after: ended.bytes_after,
            attempt: ended.attempt,
            milliseconds: u64::try_from(ended.fetching.as_millis()).unwrap_or(u64::MAX),
        });
    }
}

impl run::Observer for Tally {
    fn understood(&self, understood: &Understood) {
        self.observer.understood(understood);
    }

    fn reading(&self, rows: u64, bytes: u64) {
        self.observer.intake(rows, bytes, self.bytes_total);
    }

    fn accepted(&self, accepted: Accepted) {
        let progress = accepted.progress;
        self.resumed.store(progress.ended(), Ordering::Relaxed);
        self.observer.accepted(
            accepted.rows,
            progress.total(),
            accepted.took.as_secs_f64(),
            progress.ended(),
        );
    }

    fn progress(&self, progress: Progress) {
        self.observer.progress(&progress);
    }
}
