//! What a run has to report once it has ended.

use pixmill_engine::catalogue::Understood;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::request::Progress;
use pixmill_engine::model::row::RowError;
use pixmill_engine::pipeline::Learnt;
use pixmill_engine::port::records::FailureGroup;

/// The figures of one catalogue's run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunReport {
    /// Rows that can be used.
    pub(crate) rows: u64,
    /// Rows that can't, the first 1,000.
    pub(crate) row_errors: Vec<RowError>,
    /// All rows that can't.
    pub(crate) row_errors_total: u64,
    /// Why the catalogue was refused as a whole.
    pub(crate) refused: Option<Fault>,
    /// What the catalogue was understood as.
    pub(crate) understood: Understood,
    /// Where its images stand.
    pub(crate) progress: Progress,
    /// Failures by code, most frequent first.
    pub(crate) failures: Vec<FailureGroup>,
    /// Completed images of which results have a note.
    pub(crate) noted: u64,
    /// How long the run took, intake included.
    pub(crate) seconds: f64,
    /// Origins that were asked in this run.
    pub(crate) origins: Vec<OriginFigure>,
    /// Origins that refused too many requests, those that refused most first.
    pub(crate) paces: Vec<Learnt>,
    /// Images that this run worked on itself, not those that follow an equal address.
    pub(crate) fetched_now: u64,
    /// Images that an earlier run had ended.
    pub(crate) resumed: u64,
    /// It was told to stop before its end.
    pub(crate) interrupted: bool,
}

/// What one origin was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OriginFigure {
    /// Scheme, host and port, or `file:`.
    pub(crate) origin: String,
    /// Images that were fetched from it in this run.
    pub(crate) images: u64,
    /// Mean time of a fetch, milliseconds.
    pub(crate) mean_ms: u64,
    /// The slowest fetch, milliseconds.
    pub(crate) slowest_ms: u64,
}
