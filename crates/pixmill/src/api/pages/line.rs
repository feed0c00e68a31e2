//! A request as lists and heads show it.

use std::time::Duration;

use pixmill_engine::catalogue::Account;
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::RequestView;

use super::text::{self, Moment};

/// A request in figures and words.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) is_open: bool,
    pub(super) round: u32,
    pub(super) total: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) left: u64,
    /// Widths of the bar's parts, of a thousand.
    pub(super) bar: [u64; 3],
    pub(super) bytes_before: u64,
    pub(super) bytes_after: u64,
    pub(super) row_errors: u64,
    /// Whether the catalogue can be had again.
    pub(super) kept: bool,
    pub(super) recipe: String,
    pub(super) created: Moment,
    /// From its intake to its end, or to now.
    pub(super) took: String,
    /// Beside the last one of the same name that has ended.
    pub(super) compared: Option<Compared>,
}

/// A request beside the last one of its name.
pub(super) struct Compared {
    pub(super) id: String,
    /// Whether more failed than then.
    pub(super) is_worse: bool,
    pub(super) failed: String,
    pub(super) saved: String,
}

impl Line {
    /// As it stands now.
    pub(super) fn new(view: &RequestView, now: Timestamp) -> Self {
        let (request, progress) = (&view.request, view.progress);
        let total = progress.total();
        let share = |part: u64| (part * 1000).checked_div(total).unwrap_or_default();
        let end = match request.status.is_open() {
            true => now,
            false => request.completed.unwrap_or(request.updated),
        };
        Line {
            id: request.id.to_string(),
            name: request.catalogue.clone(),
            status: request.status.as_str(),
            is_open: request.status.is_open(),
            round: request.round,
            total,
            completed: progress.completed,
            failed: progress.failed,
            cancelled: progress.cancelled,
            left: progress.pending + progress.processing,
            bar: [share(progress.completed), share(progress.failed), share(progress.cancelled)],
            bytes_before: progress.bytes_before,
            bytes_after: progress.bytes_after,
            row_errors: request.row_errors,
            kept: Account::parse(&request.reading).kept,
            recipe: text::recipe(&request.recipe),
            created: text::moment(request.created, now),
            took: text::duration(end.since(request.created)),
            compared: None,
        }
    }

    /// Beside the one before.
    pub(super) fn beside(self, view: &RequestView, before: &RequestView) -> Self {
        let (now, then) = (&view.progress, &before.progress);
        let rate = |failed: u64, total: u64| failed as f64 / total.max(1) as f64;
        let failed = match (now.failed, then.failed) {
            (now, then) if now > then => format!("{} more failed", text::count(now - then)),
            (now, then) if now < then => format!("{} fewer failed", text::count(then - now)),
            _ => "as many failed".to_owned(),
        };
        let share = |before: u64, after: u64| 100.0 * (1.0 - after as f64 / before.max(1) as f64);
        let points = share(now.bytes_before, now.bytes_after) - share(then.bytes_before, then.bytes_after);
        let saved = match points {
            _ if now.bytes_before == 0 || then.bytes_before == 0 => String::new(),
            points if points.abs() < 0.05 => "saved as much".to_owned(),
            points if points > 0.0 => format!("saved {points:.1} points more"),
            points => format!("saved {:.1} points less", points.abs()),
        };
        let is_worse = rate(now.failed, now.total()) > rate(then.failed, then.total());
        Line {
            compared: Some(Compared { id: before.request.id.to_string(), is_worse, failed, saved }),
            ..self
        }
    }

    /// The state in a word for people.
    pub(super) fn word(&self) -> &'static str {
        match self.status {
            "pending" => "waiting",
            "processing" => "running",
            "completed" if self.failed > 0 => "done, with failures",
            "completed" => "done",
            status => status,
        }
    }

    /// The look that goes with it.
    pub(super) fn mood(&self) -> &'static str {
        match self.status {
            "completed" if self.failed > 0 => "warn",
            "completed" => "good",
            "cancelled" => "still",
            _ => "busy",
        }
    }

    pub(super) fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    pub(super) fn ended_count(&self) -> String {
        text::count(self.ended())
    }

    pub(super) fn percent(&self) -> u64 {
        text::percent(self.ended(), self.total)
    }

    pub(super) fn saved(&self) -> Option<String> {
        text::saved(self.bytes_before, self.bytes_after)
    }

    pub(super) fn bytes(&self) -> (String, String) {
        (text::bytes(self.bytes_before), text::bytes(self.bytes_after))
    }

    pub(super) fn count(&self, number: &u64) -> String {
        text::count(*number)
    }
}

/// The last one of the same name that ended before, among requests that are listed latest first.
pub(super) fn previous(views: &[RequestView], at: usize) -> Option<&RequestView> {
    let name = &views[at].request.catalogue;
    let mut older = views[at + 1..].iter();
    older.find(|view| view.request.catalogue == *name && view.request.status == RequestStatus::Completed)
}

/// How fast a request goes, and how long it will take at that.
pub(super) fn pace(ended: u64, left: u64, during: Duration) -> Option<(String, String)> {
    let rate = ended as f64 / during.as_secs_f64().max(0.001);
    if ended == 0 || left == 0 || !rate.is_finite() {
        return None;
    }
    let told = if rate >= 9.95 { format!("{rate:.0}") } else { format!("{rate:.1}") };
    let rest = Duration::from_secs_f64((left as f64 / rate).min(1e9));
    Some((format!("{told} images/s"), text::duration(rest.max(Duration::from_secs(1)))))
}
