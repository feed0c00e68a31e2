//! What people and programs see: data on standard output, talk on standard error.

mod bar;
mod json;
mod lines;
mod pace;
pub(crate) mod plain;
mod spinner;
pub(crate) mod units;

use std::io::{IsTerminal, LineWriter, Write};

use pixmill_engine::catalogue::Understood;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::request::Progress;
use pixmill_engine::model::row::RowError;

use crate::config::talk::TalkFlags;
use crate::observe::{ImageReport, Observer};

use json::Json;
pub(crate) use json::print as print_json;
pub(crate) use spinner::Spinner;

/// Shows a run while it is under way.
pub(crate) struct Display {
    faces: Vec<Box<dyn Observer>>,
    bar: Option<bar::Bar>,
}

impl Display {
    /// What fits the flags and where the streams lead: JSON lines when asked for, a bar on a terminal, else a plain
    /// line now and then.
    pub(crate) fn new(talk: TalkFlags, name: &str) -> Self {
        let mut display = Display { faces: Vec::new(), bar: None };
        if talk.quiet {
            return display;
        }
        let terminal = std::io::stderr().is_terminal();
        if talk.json {
            display.faces.push(Box::new(Json::new()));
        }
        if terminal && !(talk.json && std::io::stdout().is_terminal()) {
            let bar = bar::Bar::new(name);
            display.faces.push(Box::new(bar.clone()));
            display.bar = Some(bar);
        } else if !talk.json {
            display.faces.push(Box::new(lines::Lines::new(name, say)));
        }
        display
    }

    /// Says something in the middle of it.
    pub(crate) fn say(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(message)),
            None => say(message),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.clear();
        }
    }
}

impl Observer for Display {
    fn understood(&self, understood: &Understood) {
        self.faces.iter().for_each(|face| face.understood(understood));
        if let Some(bar) = &self.bar {
            bar.suspend(|| understood.summary().iter().for_each(|line| say(line)));
        }
    }

    fn intake(&self, rows: u64, bytes_read: u64, bytes_total: u64) {
        self.faces.iter().for_each(|face| face.intake(rows, bytes_read, bytes_total));
    }

    fn accepted(&self, rows: u64, images: u64, seconds: f64, resumed: u64) {
        self.faces.iter().for_each(|face| face.accepted(rows, images, seconds, resumed));
    }

    fn progress(&self, progress: &Progress) {
        self.faces.iter().for_each(|face| face.progress(progress));
    }

    fn image(&self, image: &ImageReport) {
        self.faces.iter().for_each(|face| face.image(image));
    }
}

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Says something on standard error. When nobody listens there, there is nobody to tell.
pub(crate) fn say(message: &str) {
    let _ = writeln!(anstream::stderr(), "{}", plain::text(message));
}

/// Prints something on standard output; a reader that has gone is no fault.
pub(crate) fn print(text: &str) {
    let _ = write!(anstream::stdout(), "{}", plain::text(text));
}

/// Standard output for data of others: as it is for programs, and so that it does nothing to a terminal.
pub(crate) fn data() -> Box<dyn Write> {
    let out = std::io::stdout();
    match out.is_terminal() {
        true => Box::new(LineWriter::new(plain::Lines { inner: out.lock(), json: false })),
        false => Box::new(out.lock()),
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// Says what went wrong.
pub(crate) fn error(message: &str) {
    say(&format!("{RED}error:{RED:#} {message}"));
}

/// Says what went wrong, with its code and what to do about it.
pub(crate) fn fault(fault: &Fault) {
    error(&format!("{}: {}", fault.code, fault.message));
    let advice = fault.code.advice();
    say(&format!("  {advice}"));
}

/// Rows that are named when a catalogue is refused.
const ROWS: usize = 10;

/// Says why a catalogue was refused, and which rows are to blame.
pub(crate) fn refusal(catalogue: &str, refused: &Fault, rows: &[RowError]) {
    let catalogue = plain::line(catalogue);
    error(&format!("{catalogue} is refused: {}: {}", refused.code, refused.message));
    for row in rows.iter().take(ROWS).filter(|row| row.message != refused.message) {
        say(&format!("  line {}: {}", row.line, plain::line(&row.message)));
    }
    if rows.len() > ROWS {
        say("  and more");
    }
}
