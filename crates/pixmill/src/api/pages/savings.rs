//! What was saved, week by week and by format: shown to whoever pays.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_codec::Format;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::Usage;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::usage;
use super::{Page, Section, text};

/// Weeks that are shown.
const WEEKS: i64 = 12;

#[derive(Template)]
#[template(path = "savings.html")]
struct Savings {
    page: Page,
    weeks: Vec<Sums>,
    formats: Vec<Sums>,
    all: Sums,
}

/// What was done in a week, or in a format.
struct Sums {
    /// Its first day, or its name.
    of: String,
    requests: u64,
    images: u64,
    failed: u64,
    bytes_before: u64,
    bytes_after: u64,
    /// Heights of the bar's parts, of a hundred.
    bar: [u64; 2],
}

impl Sums {
    fn new(of: String, usage: &Usage, most: u64) -> Self {
        let progress = usage.progress;
        let share = |bytes: u64| (bytes * 100).checked_div(most).unwrap_or_default();
        Sums {
            of,
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
        self.of.get(5..).unwrap_or_default()
    }
}

/// Shows the last weeks, the latest last.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let this = api.on.clock.wall().week();
    let first = this - WEEKS + 1;
    let (from, until) = (Timestamp::of_week(first), Timestamp::of_week(this + 1));
    let parts = api.on.ledger.usage(&caller.tenant, from, until).await?;
    let by_week: HashMap<_, _> = usage::by_week(&parts).into_iter().collect();
    let weeks = (first..=this).map(|week| (week, by_week.get(&week).cloned().unwrap_or_default()));
    let most = by_week.values().map(|usage| usage.progress.bytes_before).max().unwrap_or_default();
    let formats = usage::by_format(&parts);
    let most_of_one = formats.first().map_or(0, |(_, usage)| usage.progress.bytes_before);
    let all: Usage = parts.iter().map(|part| &part.usage).sum();
    let savings = Savings {
        page: Page::of(&api, &caller, Section::Savings, "Savings"),
        weeks: weeks
            .map(|(week, usage)| Sums::new(Timestamp::of_week(week).to_string()[..10].into(), &usage, most))
            .collect(),
        formats: formats
            .into_iter()
            .map(|(format, usage)| Sums::new(name(format).into(), &usage, most_of_one))
            .collect(),
        all: Sums::new(String::new(), &all, 0),
    };
    Ok(super::show(StatusCode::OK, &savings))
}

fn name(format: Option<Format>) -> &'static str {
    format.map_or("another format", text::format)
}
