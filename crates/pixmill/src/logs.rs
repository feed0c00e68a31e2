//! What a server says while it works, a line each on standard error: text for people, for systemd's journal with priorities
//! and without what the journal knows itself, else a JSON object with the worker's name.

use std::io::{self, IsTerminal, Write};

use pixmill_engine::port::traces::TARGET;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::environment;
use crate::config::logs::LogFormat;
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
pub(crate) fn start(format: LogFormat, spans: Option<Hearing>) -> Result<(), String> {
    let wanted = environment::rust_log().unwrap_or_else(|| USUAL.to_owned());
    let targets: Targets = wanted.parse().map_err(|error| {
        format!("'{wanted}' is not a value for RUST_LOG in the environment ({error}): allowed are lists such as info,pixmill=debug")
    })?;
    let place = Place { terminal: io::stderr().is_terminal(), journal: is_journal() };
    // Only a test that starts two servers in one process could come second.
    let _ = subscriber(targets, Manner::of(format, place), spans).try_init();
    Ok(())
}

/// Where lines go.
#[derive(Debug, Clone, Copy)]
struct Place {
    terminal: bool,
    journal: bool,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    json: bool,
    colours: bool,
    /// A priority before each line, and no time, which the journal has itself.
    priorities: bool,
}

impl Manner {
    fn of(format: LogFormat, place: Place) -> Manner {
        let json = match format {
            LogFormat::Auto => !place.terminal && !place.journal,
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        Manner { json, colours: place.terminal && !json, priorities: place.journal }
    }
}

/// Whether standard error is what systemd says its journal reads: somebody may have led it elsewhere since.
fn is_journal() -> bool {
    #[cfg(target_os = "linux")]
    if let (Some((device, inode)), Ok(found)) =
        (environment::journal_stream(), rustix::fs::fstat(io::stderr()))
    {
        return (found.st_dev, found.st_ino) == (device, inode);
    }
    false
}

/// What this process is called among others: its machine and its number there.
pub(crate) fn worker() -> String {
    format!("{}-{}", machine().as_deref().unwrap_or("pixmill"), std::process::id())
}

/// The machine's name, where the system tells.
#[cfg(unix)]
pub(crate) fn machine() -> Option<String> {
    Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// This system is not asked.
#[cfg(not(unix))]
pub(crate) fn machine() -> Option<String> {
    None
}

fn subscriber(targets: Targets, manner: Manner, spans: Option<Hearing>) -> impl Subscriber + Send + Sync {
    // Spans are for traces: unless somebody hears of them, none is made.
    let targets = targets.with_target(TARGET, LevelFilter::OFF);
    let sheet = Sheet { manner, worker: serde_json::Value::from(worker()).to_string() };
    let lines = tracing_subscriber::fmt::layer().with_ansi(manner.colours).with_writer(sheet);
    let lines = match (manner.json, manner.priorities) {
        (true, _) => lines.json().flatten_event(true).boxed(),
        (false, true) => lines.without_time().boxed(),
        (false, false) => lines.boxed(),
    };
    // Each has a filter of its own: one without, even one that is not there, would have every span made.
    let hearing: Vec<Hearing> = [lines.with_filter(targets).boxed()].into_iter().chain(spans).collect();
    tracing_subscriber::registry().with(hearing)
}

/// What lines are written on. Messages quote what others wrote, and logs are read on terminals, at once or later.
struct Sheet {
    manner: Manner,
    /// As JSON.
    worker: String,
}

impl<'s> MakeWriter<'s> for Sheet {
    type Writer = plain::Lines<Line<'s, io::Stderr>>;

    fn make_writer(&'s self) -> Self::Writer {
        self.line(&Level::INFO)
    }

    fn make_writer_for(&'s self, metadata: &Metadata<'_>) -> Self::Writer {
        self.line(metadata.level())
    }
}

impl Sheet {
    fn line(&self, level: &Level) -> plain::Lines<Line<'_, io::Stderr>> {
        let priority = if self.manner.priorities { priority(level) } else { "" };
        let worker = self.manner.json.then_some(self.worker.as_str());
        let inner = Line { inner: io::stderr(), priority, worker };
        plain::Lines { inner, json: self.manner.json }
    }
}

/// As syslog counts, for the journal (sd-daemon(3)).
fn priority(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Puts before each line what whoever formats it does not know.
struct Line<'s, W> {
    inner: W,
    priority: &'static str,
    worker: Option<&'s str>,
}

impl<W: Write> Write for Line<'_, W> {
    /// Whole lines, in one write, so that those of threads don't mix.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut whole = Vec::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            whole.extend_from_slice(self.priority.as_bytes());
            match (self.worker, line.strip_prefix(b"{")) {
                (Some(worker), Some(rest)) => {
                    whole.extend_from_slice(format!("{{\"worker\":{worker},").as_bytes());
                    whole.extend_from_slice(rest);
                }
                _ => whole.extend_from_slice(line),
            }
        }
        self.inner.write_all(&whole)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Place = Place { terminal: false, journal: false };
    const TERMINAL: Place = Place { terminal: true, journal: false };
    const JOURNAL: Place = Place { terminal: false, journal: true };

    #[test]
    fn no_span_is_made_unless_somebody_hears_of_it() {
        let is_made = |spans| {
            let manner = Manner::of(LogFormat::Auto, PIPE);
            let subscriber = subscriber(Targets::new().with_default(LevelFilter::TRACE), manner, spans);
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

    #[test]
    fn lines_are_written_as_whoever_reads_them_likes_it() {
        let manner = |format, place| {
            let Manner { json, colours, priorities } = Manner::of(format, place);
            (json, colours, priorities)
        };
        assert_eq!(manner(LogFormat::Auto, TERMINAL), (false, true, false));
        assert_eq!(manner(LogFormat::Auto, PIPE), (true, false, false));
        assert_eq!(manner(LogFormat::Auto, JOURNAL), (false, false, true));
        assert_eq!(manner(LogFormat::Text, PIPE), (false, false, false));
        assert_eq!(manner(LogFormat::Json, TERMINAL), (true, false, false));
        assert_eq!(manner(LogFormat::Json, JOURNAL), (true, false, true));
    }

    #[test]
    fn every_line_has_its_priority_and_json_names_the_worker() {
        let written = |priority, worker, text: &str| {
            let mut line = Line { inner: Vec::new(), priority, worker };
            line.write_all(text.as_bytes()).unwrap();
            String::from_utf8(line.inner).unwrap()
        };
        assert_eq!(written(priority(&Level::WARN), None, " WARN a\nb\n"), "<4> WARN a\n<4>b\n");
        assert_eq!(written("", Some("\"host-7\""), "{\"a\":1}\n"), "{\"worker\":\"host-7\",\"a\":1}\n");
        assert_eq!(written("", None, "text\n"), "text\n");
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(|level| priority(&level)), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
