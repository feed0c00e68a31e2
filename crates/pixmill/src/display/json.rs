//! JSON lines on standard output, for programs.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pixmill_engine::catalogue::Understood;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::Progress;
use serde_json::{Value, json};

use super::plain;
use crate::observe::{ImageReport, Observer};

/// Progress is told no more often than this.
const EVERY: Duration = Duration::from_millis(500);

/// Tells progress, acceptance and failures as they come.
pub(super) struct Json {
    last: Mutex<Option<Instant>>,
}

impl Json {
    pub(super) fn new() -> Self {
        Json { last: Mutex::new(None) }
    }

    fn due(&self) -> bool {
        let mut last = self.last.lock().expect("no holder panics");
        let due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// Prints one line; a reader that has gone is no fault.
pub(crate) fn print(object: &Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", plain::json(&object.to_string())).and_then(|()| out.flush());
}

impl Observer for Json {
    fn understood(&self, understood: &Understood) {
        print(&json!({"understood": understood.to_json()}));
    }

    fn intake(&self, rows: u64, bytes_read: u64, bytes_total: u64) {
        if self.due() {
            print(&json!({"intake": {"rows": rows, "bytes_read": bytes_read, "bytes_total": bytes_total}}));
        }
    }

    fn accepted(&self, rows: u64, images: u64, seconds: f64, resumed: u64) {
        print(&json!({"accepted": {"rows": rows, "images": images, "seconds": seconds, "resumed": resumed}}));
    }

    fn progress(&self, progress: &Progress) {
        if self.due() {
            print(&json!({"progress": {
                "images": progress.total(),
                "pending": progress.pending,
                "processing": progress.processing,
                "completed": progress.completed,
                "failed": progress.failed,
                "bytes_before": progress.bytes_before,
                "bytes_after": progress.bytes_after,
            }}));
        }
    }

    fn image(&self, image: &ImageReport) {
        if image.status == ImageStatus::Failed {
            print(&failure(image));
        }
    }
}

/// A failed image; row and position are counted from 1, as in results.
fn failure(image: &ImageReport) -> Value {
    json!({"image": {
        "row": image.row + 1,
        "position": image.position + 1,
        "origin": image.origin,
        "status": image.status.as_str(),
        "code": image.code.map(|code| code.as_str()),
        "attempt": image.attempt,
        "milliseconds": image.milliseconds,
    }})
}
