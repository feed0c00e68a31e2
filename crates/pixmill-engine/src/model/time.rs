//! Moments, as records keep them.

use std::fmt;
use std::num::NonZero;
use std::ops::{Add, Sub};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};

/// With milliseconds, always three digits of them.
const WRITTEN: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZero::new(3) }).encode();

/// Milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// The Monday from which weeks are counted: 1970-01-05.
pub const FIRST_MONDAY: Timestamp = Timestamp(4 * 24 * 3_600_000);

/// How long a week is, milliseconds.
pub const WEEK_MS: i64 = 7 * 24 * 3_600_000;

impl Timestamp {
    /// How long after `earlier` this is; nothing when it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The number of its week: weeks begin on Mondays, in UTC.
    pub fn week(self) -> i64 {
        (self.0 - FIRST_MONDAY.0).div_euclid(WEEK_MS)
    }

    /// When a week began.
    pub fn of_week(number: i64) -> Timestamp {
        Timestamp(number.saturating_mul(WEEK_MS).saturating_add(FIRST_MONDAY.0))
    }

    /// From RFC 3339, or from a day alone, which means its beginning in UTC.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let day_alone = format!("{text}T00:00:00Z");
        let time =
            OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&day_alone, &Rfc3339));
        i64::try_from(time.ok()?.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
    }

    /// To the second, as names of files have it: such names sort by time.
    pub fn in_a_name(self) -> String {
        let digits: String = self.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
        let (day, time) = digits.split_at(digits.len().min(8));
        format!("{day}-{time}")
    }
}

/// As JSON and CSV have it: RFC 3339 in UTC with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = i128::from(self.0) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|_| fmt::Error)?;
        f.write_str(&time.format(&Iso8601::<WRITTEN>).map_err(|_| fmt::Error)?)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_700_000_000_120).to_string(), "2023-11-14T22:13:20.120Z");
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let of = |text: &str| Timestamp::of_week(Timestamp::parse(text).unwrap().week()).to_string();
        assert_eq!(of("2026-11-28T20:00:00Z"), "2026-11-23T00:00:00.000Z");
        assert_eq!(of("2026-11-23T00:00:00Z"), "2026-11-23T00:00:00.000Z");
        assert_eq!(of("2026-11-22T23:59:59.999Z"), "2026-11-16T00:00:00.000Z");
        assert_eq!(of("1970-01-04"), "1969-12-29T00:00:00.000Z");
    }

    #[test]
    fn names_of_files_hold_a_moment_to_the_second() {
        assert_eq!(Timestamp(1_700_000_000_120).in_a_name(), "20231114-221320");
    }

    #[test]
    fn moments_and_days_are_read() {
        assert_eq!(Timestamp::parse("2023-11-14T23:13:20.1209+01:00"), Some(Timestamp(1_700_000_000_120)));
        assert_eq!(Timestamp::parse("1970-01-02"), Some(Timestamp(86_400_000)));
        for wrong in ["", "yesterday", "2023-13-01", "2023-11-14 22:13"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }
}
