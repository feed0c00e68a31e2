//! Whom spans are told to: a collector, where the environment names one.

use std::sync::Arc;

use pixmill_adapters::traces::Otlp;
use pixmill_engine::port::traces::{Traces, Untold};

use crate::config::traces::collector;
use crate::logs::Hearing;

/// Tells a collector, or nobody.
pub(crate) struct Telling(Option<Otlp>);

impl Telling {
    /// As the environment says.
    ///
    /// # Errors
    /// A sentence on a variable that can't be used.
    pub(crate) fn start() -> Result<Telling, String> {
        let collector = collector()?;
        collector.map(Otlp::start).transpose().map(Telling)
    }

    /// What hears of spans.
    pub(crate) fn hearing(&self) -> Option<Hearing> {
        self.0.as_ref().map(|otlp| Box::new(otlp.layer()) as Hearing)
    }

    /// What joins them.
    pub(crate) fn port(&self) -> Arc<dyn Traces> {
        match &self.0 {
            Some(otlp) => Arc::new(otlp.clone()),
            None => Arc::new(Untold),
        }
    }

    /// Tells what is left, for a few seconds at most.
    pub(crate) fn stop(self) {
        if let Some(Err(error)) = self.0.map(|otlp| otlp.stop()) {
            tracing::warn!(error, "the last spans could not be told");
        }
    }
}
