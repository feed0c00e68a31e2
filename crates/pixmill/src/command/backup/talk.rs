//! What is said while a backup is taken, read or restored.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::backup::{Counts, Told};
use crate::config::talk::TalkFlags;
use crate::display::units::{Bytes, counted};
use crate::display::{self, Spinner};

/// How often a line is said where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Says what goes on: on a terminal in one line that changes, elsewhere now and then.
pub(in crate::command) struct Talk {
    spinner: Spinner,
    quiet: bool,
    last: Mutex<Instant>,
}

impl Talk {
    pub(in crate::command) fn new(talk: TalkFlags) -> Self {
        Talk { spinner: Spinner::new(talk), quiet: talk.quiet || talk.json, last: Mutex::new(Instant::now()) }
    }

    pub(in crate::command) fn tell(&self, told: Told<'_>) {
        let Told::Doing(what, done, total) = told;
        let line = match total {
            0 if done == 0 => what.to_owned(),
            0 => format!("{what}: {}", Bytes(done)),
            total => format!("{what}: {} of about {}", Bytes(done), Bytes(total.max(done))),
        };
        self.spinner.show(line.clone());
        if self.quiet || display::is_terminal() {
            return;
        }
        let mut last = self.last.lock().expect("no holder panics");
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            display::say(&line);
        }
    }
}

/// How much is in records.
pub(in crate::command) fn told(counts: &Counts) -> String {
    format!(
        "{} with {}",
        counted(counts.requests, "request", "requests"),
        counted(counts.images, "image", "images")
    )
}
