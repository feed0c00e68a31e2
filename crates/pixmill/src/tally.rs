//! What was asked of origins and what came of it, day by day, as the processes that asked saw it. These are requests, not
//! images: how images ended is in their rows.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::OriginAsked;
use pixmill_engine::port::boards::{Board, Boards, Notice};
use serde::{Deserialize, Serialize};

/// How long a day is remembered after it was last written.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Origins that are counted apart in a day of a process; the rest are counted as one, of no name.
const MOST_ORIGINS: usize = 200;

/// Codes that are counted apart; the rest are `other`.
const MOST_CODES: usize = 12;

/// Days of processes that are read at most, and how many at a time.
const MOST_READ: usize = 400;
const AT_A_TIME: usize = 50;

/// Bounds of what requests took, milliseconds; the last is open.
const BOUNDS: [u64; 11] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// What came of asking an origin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tally {
    /// Requests that are over.
    pub(crate) asked: u64,
    /// Those that a picture came of.
    pub(crate) fetched: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// The others, by code.
    pub(crate) faults: BTreeMap<String, u64>,
    /// How many took how long.
    took: [u64; BOUNDS.len() + 1],
}

impl Tally {
    fn count(&mut self, asked: &OriginAsked<'_>) {
        self.asked += 1;
        self.bytes += asked.bytes;
        let milliseconds = asked.took.as_millis() as u64;
        self.took[BOUNDS.iter().position(|bound| milliseconds <= *bound).unwrap_or(BOUNDS.len())] += 1;
        match asked.fault {
            None => self.fetched += 1,
            Some(code) if self.faults.len() < MOST_CODES || self.faults.contains_key(code.as_str()) => {
                *self.faults.entry(code.to_string()).or_default() += 1;
            }
            Some(_) => *self.faults.entry("other".to_owned()).or_default() += 1,
        }
    }

    /// With what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.asked += other.asked;
        self.fetched += other.fetched;
        self.bytes += other.bytes;
        for (code, count) in &other.faults {
            *self.faults.entry(code.clone()).or_default() += count;
        }
        self.took.iter_mut().zip(other.took).for_each(|(sum, count)| *sum += count);
    }

    /// Requests that no picture came of.
    pub(crate) fn failed(&self) -> u64 {
        self.asked.saturating_sub(self.fetched)
    }

    /// So many of a hundred took this long at most, milliseconds, as near as is known; none where none was asked.
    pub(crate) fn took(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.took.iter().sum();
        let mut seen = 0;
        let reached = self.took.iter().position(|count| {
            seen += count;
            seen * 100 >= all * percent
        });
        reached.filter(|_| all > 0).map(|at| BOUNDS.get(at).copied().unwrap_or(60_000))
    }
}

/// What a process counts in a day.
#[derive(Debug, Default)]
pub(crate) struct Day {
    /// In UTC, such as 2026-01-31.
    day: String,
    origins: BTreeMap<String, Tally>,
    changed: bool,
}

impl Day {
    /// Counts a request.
    pub(crate) fn count(&mut self, asked: &OriginAsked<'_>) {
        let known = self.origins.len() < MOST_ORIGINS || self.origins.contains_key(asked.origin);
        let name = if known { asked.origin } else { "" };
        self.origins.entry(name.to_owned()).or_default().count(asked);
        self.changed = true;
    }

    /// What is to be written, if anything changed: under the day and the process. Where the day is over, the next begins.
    pub(crate) fn notice(&mut self, process: &str, now: Timestamp) -> Option<Notice> {
        let today = now.to_string()[..10].to_owned();
        if self.day.is_empty() {
            self.day.clone_from(&today);
        }
        let notice = std::mem::take(&mut self.changed).then(|| Notice {
            name: format!("{} {process}", self.day),
            text: serde_json::to_string(&self.origins).expect("text and numbers can be written"),
            until: now + KEPT,
        });
        if self.day != today {
            *self = Day { day: today, ..Day::default() };
        }
        notice
    }

    /// It could not be written: it is tried again.
    pub(crate) fn is_unwritten(&mut self) {
        self.changed = true;
    }
}

/// What came of asking each origin in these days, all processes together.
///
/// # Errors
/// Those of records.
pub(crate) async fn read(boards: &dyn Boards, now: Timestamp) -> Result<BTreeMap<String, Tally>, Fault> {
    let (mut all, mut before, mut read) = (BTreeMap::<String, Tally>::new(), None::<String>, 0);
    while read < MOST_READ {
        let page = boards.standing(Board::Tallies, before.as_deref(), AT_A_TIME, now).await?;
        let Some(last) = page.last() else { break };
        (before, read) = (Some(last.name.clone()), read + page.len());
        for notice in page {
            let Ok(of_it) = serde_json::from_str::<BTreeMap<String, Tally>>(&notice.text) else { continue };
            of_it.into_iter().for_each(|(origin, tally)| all.entry(origin).or_default().add(&tally));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use pixmill_engine::code::Code;

    use super::*;

    fn asked(origin: &str, fault: Option<Code>, milliseconds: u64) -> OriginAsked<'_> {
        OriginAsked { origin, fault, bytes: 10, took: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn requests_are_counted_by_origin_and_what_came_of_them() {
        let mut day = Day::default();
        for number in 0..100 {
            let fault = (number % 10 == 0).then_some(Code::FetchTimeout);
            day.count(&asked("http://a", fault, if number < 95 { 40 } else { 700 }));
        }
        let tally = &day.origins["http://a"];
        assert_eq!((tally.asked, tally.fetched, tally.failed(), tally.bytes), (100, 90, 10, 1_000));
        assert_eq!(tally.faults["fetch.timeout"], 10);
        assert_eq!((tally.took(50), tally.took(95), tally.took(99)), (Some(50), Some(50), Some(1_000)));
        assert_eq!(Tally::default().took(50), None);
    }

    #[test]
    fn however_many_origins_there_are_a_day_stays_small() {
        let mut day = Day::default();
        (0..10_000).for_each(|number| day.count(&asked(&format!("http://{number}.example"), None, 5)));
        assert_eq!(day.origins.len(), MOST_ORIGINS + 1);
        assert_eq!(day.origins[""].asked, 10_000 - MOST_ORIGINS as u64);
        let notice = day.notice("p", Timestamp(0)).unwrap();
        assert!(notice.text.len() < 64 << 10, "{}", notice.text.len());
    }

    #[test]
    fn a_day_is_written_when_it_changed_and_the_next_begins_with_none() {
        let mut day = Day::default();
        assert_eq!(day.notice("p", Timestamp(0)), None);
        day.count(&asked("http://a", None, 5));
        assert_eq!(day.notice("p", Timestamp(1)).unwrap().name, "1970-01-01 p");
        assert_eq!(day.notice("p", Timestamp(2)), None);
        day.count(&asked("http://a", None, 5));
        let tomorrow = Timestamp(24 * 3_600_000);
        assert_eq!(day.notice("p", tomorrow).unwrap().name, "1970-01-01 p", "it was counted before midnight");
        day.count(&asked("http://b", None, 5));
        let next = day.notice("p", tomorrow).unwrap();
        assert!(next.name == "1970-01-02 p" && !next.text.contains("http://a"), "{next:?}");
    }
}
