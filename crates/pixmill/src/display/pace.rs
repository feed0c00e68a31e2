//! How fast a run goes, and how long it will go on.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pixmill_engine::model::request::Progress;

use super::units::{Bytes, Count, Seconds, saved_percent};

/// Measures from when work began; what an earlier run did counts for nothing.
#[derive(Debug)]
pub(super) struct Pace {
    began: Mutex<Option<(Instant, u64)>>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { began: Mutex::new(None) }
    }

    /// Work begins with so many images already ended.
    pub(super) fn begin(&self, ended: u64) {
        *self.began.lock().expect("no holder panics") = Some((Instant::now(), ended));
    }

    /// The progress in a line: ended, failures, bytes, rate, time left.
    pub(super) fn line(&self, progress: &Progress) -> String {
        let began = self.began.lock().expect("no holder panics");
        let (elapsed, before) = began.map_or((Duration::ZERO, 0), |(at, ended)| (at.elapsed(), ended));
        line(progress, progress.ended().saturating_sub(before), elapsed)
    }
}

fn line(progress: &Progress, now: u64, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    if progress.failed > 0 {
        parts.push(format!("{} failed", Count(progress.failed)));
    }
    if progress.bytes_before > 0 {
        parts.push(format!(
            "{} → {}, saved {:.0} %",
            Bytes(progress.bytes_before),
            Bytes(progress.bytes_after),
            saved_percent(progress.bytes_before, progress.bytes_after)
        ));
    }
    let rate = now as f64 / elapsed.as_secs_f64();
    if now > 0 && rate.is_finite() {
        parts.push(format!("{rate:.1}/s"));
        let left = (progress.total() - progress.ended()) as f64 / rate;
        if left > 0.0 {
            parts.push(format!("{} left", Seconds(left.ceil())));
        }
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_judged_by_this_runs_own_work() {
        let progress = Progress {
            pending: 50,
            completed: 148,
            failed: 2,
            bytes_before: 20_000_000,
            bytes_after: 5_000_000,
            ..Progress::default()
        };
        let line = line(&progress, 50, Duration::from_secs(10));
        assert_eq!(line, "2 failed · 20.0 MB → 5000 kB, saved 75 % · 5.0/s · 10.0 s left");
    }

    #[test]
    fn nothing_is_foretold_from_nothing() {
        let progress = Progress { pending: 50, ..Progress::default() };
        assert_eq!(line(&progress, 0, Duration::ZERO), "");
    }
}
