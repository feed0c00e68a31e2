//! Whom spans are told to: a collector, where the environment names one.

use std::sync::Arc;

#[cfg(feature = "otlp")]
use pixmill_adapters::traces::Otlp;
use pixmill_engine::port::traces::{Traces, Untold};

use crate::config::traces::collector;
use crate::logs::Hearing;

/// Tells a collector, or nobody.
pub(crate) struct Telling(Option<Collector>);

#[cfg(feature = "otlp")]
type Collector = Otlp;

/// What a build without traces has in the place of one: nothing.
#[cfg(not(feature = "otlp"))]
enum Collector {}

impl Telling {
    /// As the environment says.
    ///
    /// # Errors
    /// A sentence on a variable that can't be used.
    #[cfg(feature = "otlp")]
    pub(crate) fn start() -> Result<Telling, String> {
        let collector = collector()?;
        collector.map(Otlp::start).transpose().map(Telling)
    }

    /// Nobody, unless somebody is asked for, who can't be had.
    ///
    /// # Errors
    /// A sentence on a variable that can't be used, or on a collector that is named.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn start() -> Result<Telling, String> {
        match collector()? {
            None => Ok(Telling(None)),
            Some(_) => {
                Err("this build of pixmill tells no OpenTelemetry collector, but the environment names one: \
                            take one with the feature `otlp`"
                    .to_owned())
            }
        }
    }

    /// What hears of spans.
    pub(crate) fn hearing(&self) -> Option<Hearing> {
        #[cfg(feature = "otlp")]
        return self.0.as_ref().map(|otlp| Box::new(otlp.layer()) as Hearing);
        #[cfg(not(feature = "otlp"))]
        self.0.as_ref().map(|nobody| match *nobody {})
    }

    /// What joins them.
    pub(crate) fn port(&self) -> Arc<dyn Traces> {
        match &self.0 {
            #[cfg(feature = "otlp")]
            Some(otlp) => Arc::new(otlp.clone()),
            #[cfg(not(feature = "otlp"))]
            Some(nobody) => match *nobody {},
            None => Arc::new(Untold),
        }
    }

    /// Tells what is left, for a few seconds at most.
    pub(crate) fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(Err(error)) = self.0.map(|otlp| otlp.stop()) {
            tracing::warn!(error, "the last spans could not be told");
        }
    }
}
