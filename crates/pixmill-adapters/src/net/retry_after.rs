//! How long the other side asks to be left alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{DATE, HeaderMap, RETRY_AFTER};

/// Numbers beyond this are times since 1970, in seconds, and in milliseconds beyond the next; below, they are seconds
/// from now.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLISECONDS: f64 = 1e11;

/// Headers that say when a spent allowance is renewed, in the forms that servers give them.
const RESETS: [&str; 5] =
    ["ratelimit-reset", "x-ratelimit-reset-after", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit"];
/// Headers that say how much of it is left.
const REMAINING: [&str; 4] =
    ["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit"];

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, which some give with a fraction, or a date, which is nought when
/// it is past.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if value.starts_with(|first: char| first.is_ascii_digit()) {
        return value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// What an answer says of how much may be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// How long to wait.
    pub(crate) wait: Option<Duration>,
    /// Nothing is left until then.
    pub(crate) spent: bool,
}

impl Allowance {
    /// By `Retry-After`, or where what is allowed is spent by `RateLimit-*` and what it was called before. Dates are
    /// compared with the other side's own clock.
    pub(crate) fn of(status: u16, headers: &HeaderMap, now: SystemTime) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let theirs = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        let asked = text(RETRY_AFTER.as_str()).and_then(|value| retry_after(value, theirs));
        if (200..400).contains(&status) {
            return Allowance { wait: asked, spent: false };
        }
        let remaining = REMAINING.iter().filter_map(|name| field(text(name)?, &["remaining", "r"]));
        let spent = remaining.filter(|left| *left <= 0.0).count() > 0;
        let renewed = || RESETS.iter().find_map(|name| reset(text(name)?, theirs));
        let wait = asked.or_else(|| if spent || matches!(status, 429 | 503) { renewed() } else { None });
        Allowance { wait, spent }
    }
}

/// A number that stands alone, or that a list of fields holds under one of these names (`limit=10, remaining=0, reset=5`
/// or `"default";r=0;t=5`).
fn field(value: &str, names: &[&str]) -> Option<f64> {
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    let fields = value.split([',', ';']).filter_map(|field| field.trim().split_once('='));
    let mut named = fields.filter(|(name, _)| names.contains(name));
    named.find_map(|(_, number)| number.trim_matches('"').parse().ok())
}

/// How long until a time that is given in any of the ways in use.
fn reset(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(value) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let number = field(value, &["reset", "t"]).filter(|number| *number >= 0.0)?;
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let seconds = match number {
        _ if number > EPOCH_MILLISECONDS => number / 1e3 - since_1970,
        _ if number > EPOCH_SECONDS => number - since_1970,
        _ => number,
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn date(seconds: u64) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn of(status: u16, lines: &[(&'static str, &str)]) -> (Option<f64>, bool) {
        let lines = lines.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        });
        let allowance = Allowance::of(status, &lines.collect(), now());
        (allowance.wait.map(|wait| wait.as_secs_f64()), allowance.spent)
    }

    #[test]
    fn retry_after_is_read_from_seconds_and_from_dates() {
        assert_eq!(retry_after("0", now()), Some(Duration::ZERO));
        assert_eq!(retry_after("120", now()), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("2.5", now()), Some(Duration::from_millis(2500)));
        assert_eq!(retry_after(&date(1_700_000_090), now()), Some(Duration::from_secs(90)));
        assert_eq!(retry_after(&date(1_600_000_000), now()), Some(Duration::ZERO));
        for unreadable in ["", "soon", "-1", "1 minute", "99999999999999999999999", "inf", "NaN"] {
            assert_eq!(retry_after(unreadable, now()), None, "{unreadable}");
        }
    }

    #[test]
    fn a_date_is_compared_with_the_clock_of_whoever_gave_it() {
        let hours_off = [("date", &*date(1_600_000_000)), ("retry-after", &*date(1_600_000_003))];
        assert_eq!(of(503, &hours_off), (Some(3.0), false));
    }

    #[test]
    fn a_spent_allowance_is_waited_for_in_every_way_of_saying_it() {
        let remaining = ("x-ratelimit-remaining", "0");
        for (name, value) in [
            ("x-ratelimit-reset", "1700000007"),
            ("x-ratelimit-reset", "1700000007000"),
            ("x-ratelimit-reset", "7"),
            ("ratelimit-reset", "7"),
            ("x-ratelimit-reset-after", "7.0"),
            ("x-rate-limit-reset", &*date(1_700_000_007)),
        ] {
            assert_eq!(of(403, &[remaining, (name, value)]), (Some(7.0), true), "{name}: {value}");
            assert_eq!(of(429, &[(name, value)]), (Some(7.0), false), "{name}: {value}");
            assert_eq!(of(404, &[(name, value)]), (None, false), "{name} stands on every answer");
        }
        for all_in_one in ["limit=10, remaining=0, reset=7", "\"default\";r=0;t=7"] {
            assert_eq!(of(403, &[("ratelimit", all_in_one)]), (Some(7.0), true), "{all_in_one}");
        }
        assert_eq!(of(200, &[remaining, ("x-ratelimit-reset", "7")]), (None, false));
    }

    #[test]
    fn retry_after_comes_before_what_others_say() {
        assert_eq!(of(429, &[("retry-after", "2"), ("x-ratelimit-reset", "1700009999")]), (Some(2.0), false));
    }
}
