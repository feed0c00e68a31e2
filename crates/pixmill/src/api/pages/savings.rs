//! What was saved, week by week: shown to whoever pays.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Usage;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::{Page, Section, text};

/// Weeks that are shown, and how long one is.
const WEEKS: u32 = 12;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A Monday's beginning, from which weeks are counted: 1970-01-05.
const MONDAY: i64 = 4 * 24 * 3600 * 1000;

#[derive(Template)]
#[template(path = "savings.html")]
struct Savings {
    page: Page,
    weeks: Vec<Week>,
    all: Week,
}

/// A week's work.
struct Week {
    /// Its first day.
    day: String,
    requests: u64,
    images: u64,
    failed: u64,
    bytes_before: u64,
    bytes_after: u64,
    /// Heights of the bar's parts, of a hundred.
    bar: [u64; 2],
}

impl Week {
    fn new(day: String, usage: &Usage, most: u64) -> Self {
        let progress = usage.progress;
        let share = |bytes: u64| (bytes * 100).checked_div(most).unwrap_or_default();
        Week {
            day,
            requests: usage.requests,
            images: progress.completed,
            failed: progress.failed,
            bytes_before: progress.bytes_before,
            bytes_after: progress.bytes_after,
            bar: [share(progress.bytes_before), share(progress.bytes_after)],
        }
    }

    fn less(&self) -> String {
        text::bytes(self.bytes_before.saturating_sub(self.bytes_after))
    }

    fn saved(&self) -> Option<String> {
        text::saved(self.bytes_before, self.bytes_after)
    }

    /// Where its bar stands.
    fn place(&self, at: &usize) -> usize {
        at * 60 + 8
    }

    fn top(&self, height: &u64) -> u64 {
        110 - height
    }

    /// The day and the month.
    fn short(&self) -> &str {
        self.day.get(5..).unwrap_or_default()
    }
}

/// Shows the last weeks, the latest last.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let now = api.on.clock.wall();
    let this = beginning(now);
    let (mut usages, mut all) = (Vec::new(), Usage::default());
    for back in (0..WEEKS).rev() {
        let from = this - WEEK * back;
        let usage = api.on.ledger.usage(&caller.tenant, from, from + WEEK).await?;
        all.requests += usage.requests;
        all.progress += usage.progress;
        usages.push((from.to_string()[..10].to_owned(), usage));
    }
    let most = usages.iter().map(|(_, usage)| usage.progress.bytes_before).max().unwrap_or_default();
    let savings = Savings {
        page: Page::of(&api, &caller, Section::Savings, "Savings"),
        weeks: usages.into_iter().map(|(day, usage)| Week::new(day, &usage, most)).collect(),
        all: Week::new(String::new(), &all, 0),
    };
    Ok(super::show(StatusCode::OK, &savings))
}

/// When the week of a moment began, in UTC.
fn beginning(now: Timestamp) -> Timestamp {
    let week = WEEK.as_millis() as i64;
    Timestamp((now.0 - MONDAY).div_euclid(week) * week + MONDAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        let of = |text: &str| beginning(Timestamp::parse(text).unwrap()).to_string()[..10].to_owned();
        assert_eq!(of("2026-11-28T20:00:00Z"), "2026-11-23");
        assert_eq!(of("2026-11-23T00:00:00Z"), "2026-11-23");
        assert_eq!(of("2026-11-22T23:59:59Z"), "2026-11-16");
    }
}
