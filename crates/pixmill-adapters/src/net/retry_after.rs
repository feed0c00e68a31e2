//! How long the other side asks to be left alone.

use std::time::{Duration, SystemTime};

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is nought when it is past.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_from_seconds_and_from_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let date = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&date(1_700_000_090), now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after(&date(1_600_000_000), now), Some(Duration::ZERO));
        for unreadable in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(unreadable, now), None, "{unreadable}");
        }
    }
}
