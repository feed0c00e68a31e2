//! What the parts of a server share.

use std::sync::Arc;

use pixmill_engine::port::traces::Traces;

use super::Strangers;
use super::backends::OpenRecords;
use crate::config::options::ServeOptions;
use crate::figures::Figures;
use crate::paces::Paces;

/// What a process stands on, as it is configured.
pub(super) struct Configured {
    pub(super) options: ServeOptions,
    pub(super) open_records: OpenRecords,
    /// What links begin with, without a slash at its end.
    pub(super) links: String,
    /// Is told of spans.
    pub(super) traces: Arc<dyn Traces>,
    /// What is learnt of origins.
    pub(super) paces: Arc<Paces>,
    /// Jobs of other programs, which are left alone.
    pub(super) strangers: Arc<Strangers>,
    /// What is counted.
    pub(super) figures: Arc<Figures>,
}
