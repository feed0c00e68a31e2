//! A plain line now and then, where no terminal is.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pixmill_engine::catalogue::Understood;
use pixmill_engine::model::request::Progress;

use super::pace::Pace;
use super::plain;
use super::units::{Count, Seconds, counted};
use crate::observe::{ImageReport, Observer};

/// How often.
const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Lines {
    name: String,
    say: fn(&str),
    pace: Pace,
    last: Mutex<Instant>,
}

impl Lines {
    pub(super) fn new(name: &str, say: fn(&str)) -> Self {
        Lines {
            name: plain::line(name).into_owned(),
            say,
            pace: Pace::new(),
            last: Mutex::new(Instant::now()),
        }
    }

    /// Whether it is time for another line.
    fn due(&self) -> bool {
        let mut last = self.last.lock().expect("no holder panics");
        let due = last.elapsed() >= EVERY;
        if due {
            *last = Instant::now();
        }
        due
    }
}

impl Observer for Lines {
    fn understood(&self, understood: &Understood) {
        understood.summary().iter().for_each(|line| (self.say)(&format!("{}: {line}", self.name)));
    }

    fn intake(&self, rows: u64, bytes_read: u64, bytes_total: u64) {
        if self.due() {
            let percent = 100 * bytes_read / bytes_total.max(1);
            (self.say)(&format!("{}: reading, {} rows, {percent} %", self.name, Count(rows)));
        }
    }

    fn accepted(&self, rows: u64, images: u64, seconds: f64, resumed: u64) {
        self.pace.begin(resumed);
        let mut line = format!(
            "{}: accepted {} with {} in {}",
            self.name,
            counted(rows, "row", "rows"),
            counted(images, "image", "images"),
            Seconds(seconds)
        );
        if resumed > 0 {
            line.push_str(&format!(", {} done before", Count(resumed)));
        }
        (self.say)(&line);
    }

    fn progress(&self, progress: &Progress) {
        if self.due() {
            let (ended, total) = (Count(progress.ended()), Count(progress.total()));
            (self.say)(&format!("{}: {ended}/{total} {}", self.name, self.pace.line(progress)));
        }
    }

    fn image(&self, _image: &ImageReport) {}
}
