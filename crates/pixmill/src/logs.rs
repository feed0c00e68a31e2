//! What a server says while it works: text for people on a terminal, else a JSON object a line, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::environment;

/// What is said unless `RUST_LOG` asks for something else. BullMQ's crate tells each try of each job while Redis is away;
/// its adapter says so once.
const USUAL: &str = "info,bullmq=off";

/// Begins to write what is said, for the rest of the process's life.
///
/// # Errors
/// A sentence on a `RUST_LOG` that can't be read.
pub(crate) fn start() -> Result<(), String> {
    let wanted = environment::rust_log().unwrap_or_else(|| USUAL.to_owned());
    let targets: Targets = wanted.parse().map_err(|error| {
        format!("'{wanted}' is not a value for RUST_LOG in the environment ({error}): allowed are lists such as info,pixmill=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let lines = if terminal { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    // Only a test that starts two servers in one process could come second.
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn a_crate_that_repeats_what_was_said_is_not_heard() {
        let usual: Targets = USUAL.parse().unwrap();
        assert!(usual.would_enable("pixmill_adapters::queue::bullmq", &tracing::Level::INFO));
        assert!(!usual.would_enable("bullmq::worker", &tracing::Level::ERROR));
        assert_eq!(usual.default_level(), Some(LevelFilter::INFO));
    }
}
