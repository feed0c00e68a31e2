//! A line that shows that something goes on, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::plain;
use crate::config::talk::TalkFlags;

/// Shown until it is dropped.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// A spinner, unless the flags ask for quiet. Elsewhere than on a terminal it shows nothing.
    pub(crate) fn new(talk: TalkFlags) -> Self {
        if talk.quiet {
            return Spinner(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is fixed");
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(120));
        Spinner(bar)
    }

    /// Shows what goes on.
    pub(crate) fn show(&self, message: String) {
        self.0.set_message(plain::line(&message).into_owned());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
