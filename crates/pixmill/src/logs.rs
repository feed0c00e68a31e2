//! What a server says while it works: text for people on a terminal, else a JSON object a line, on standard error.

use std::io::IsTerminal;

use pixmill_engine::port::traces::TARGET;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::environment;
use crate::display::plain;

/// What is said unless `RUST_LOG` asks for something else. BullMQ's crate tells each try of each job while Redis is away;
/// its adapter says so once.
const USUAL: &str = "info,bullmq=off";

/// Hears of spans, beside the lines that are written.
pub(crate) type Hearing = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins to write what is said, for the rest of the process's life.
///
/// # Errors
/// A sentence on a `RUST_LOG` that can't be read.
pub(crate) fn start(spans: Option<Hearing>) -> Result<(), String> {
    let wanted = environment::rust_log().unwrap_or_else(|| USUAL.to_owned());
    let targets: Targets = wanted.parse().map_err(|error| {
        format!("'{wanted}' is not a value for RUST_LOG in the environment ({error}): allowed are lists such as info,pixmill=debug")
    })?;
    // Only a test that starts two servers in one process could come second.
    let _ = subscriber(targets, spans).try_init();
    Ok(())
}

fn subscriber(targets: Targets, spans: Option<Hearing>) -> impl Subscriber + Send + Sync {
    // Spans are for traces: unless somebody hears of them, none is made.
    let targets = targets.with_target(TARGET, LevelFilter::OFF);
    let terminal = std::io::stderr().is_terminal();
    // Messages quote what others wrote, and logs are read on terminals, at once or later.
    let plainly = move || plain::Lines { inner: std::io::stderr(), json: !terminal };
    let lines = tracing_subscriber::fmt::layer().with_writer(plainly);
    let lines = if terminal { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    // Each has a filter of its own: one without, even one that is not there, would have every span made.
    let hearing: Vec<Hearing> = [lines.with_filter(targets).boxed()].into_iter().chain(spans).collect();
    tracing_subscriber::registry().with(hearing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_is_made_unless_somebody_hears_of_it() {
        let is_made = |spans| {
            let subscriber = subscriber(Targets::new().with_default(LevelFilter::TRACE), spans);
            tracing::subscriber::with_default(subscriber, || {
                !tracing::info_span!(target: TARGET, "image").is_disabled()
            })
        };
        assert!(!is_made(None), "whatever talk is wanted");
        let hears = Targets::new().with_target(TARGET, LevelFilter::INFO);
        assert!(is_made(Some(tracing_subscriber::layer::Identity::new().with_filter(hears).boxed())));
    }

    #[test]
    fn a_crate_that_repeats_what_was_said_is_not_heard() {
        let usual: Targets = USUAL.parse().unwrap();
        assert!(usual.would_enable("pixmill_adapters::queue::bullmq", &tracing::Level::INFO));
        assert!(!usual.would_enable("bullmq::worker", &tracing::Level::ERROR));
        assert_eq!(usual.default_level(), Some(LevelFilter::INFO));
    }
}
