//! A bar, on a terminal. `NO_COLOR` takes its colour, not the bar.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pixmill_engine::model::request::Progress;

use super::pace::Pace;
use super::plain;
use super::units::Count;
use crate::observe::{ImageReport, Observer};

#[derive(Clone)]
pub(super) struct Bar {
    bar: ProgressBar,
    pace: Arc<Pace>,
}

impl Bar {
    pub(super) fn new(name: &str) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(style("{prefix} {bar:20.cyan/dim} {wide_msg}"));
        bar.set_prefix(plain::line(name).into_owned());
        Bar { bar, pace: Arc::new(Pace::new()) }
    }

    pub(super) fn suspend(&self, act: impl FnOnce()) {
        self.bar.suspend(act);
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the template is fixed");
    style.progress_chars("━━─")
}

impl Observer for Bar {
    fn intake(&self, rows: u64, bytes_read: u64, bytes_total: u64) {
        self.bar.set_length(bytes_total);
        self.bar.set_position(bytes_read);
        self.bar.set_message(format!("reading, {} rows", Count(rows)));
    }

    fn accepted(&self, _rows: u64, images: u64, _seconds: f64, resumed: u64) {
        self.pace.begin(resumed);
        self.bar.set_message("");
        self.bar.set_position(resumed);
        self.bar.set_length(images);
        // Last, for each of these may draw, and the numbers so far were bytes.
        self.bar.set_style(style("{prefix} {bar:20.cyan/dim} {human_pos}/{human_len} {wide_msg}"));
    }

    fn progress(&self, progress: &Progress) {
        self.bar.set_position(progress.ended());
        self.bar.set_message(self.pace.line(progress));
    }

    fn image(&self, _image: &ImageReport) {}
}
