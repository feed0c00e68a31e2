//! Numbers as people read them.

pub(crate) use indicatif::HumanCount as Count;

use std::fmt;

/// Bytes in steps of 1,000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..=999 => write!(f, "{bytes} B"),
            bytes @ 1_000..=9_999_999 => write!(f, "{:.0} kB", bytes as f64 / 1e3),
            bytes @ 10_000_000..=9_999_999_999 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.1} GB", bytes as f64 / 1e9),
        }
    }
}

/// A span of time in the two units that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0.9995 {
            return write!(f, "{:.0} ms", self.0 * 1e3);
        }
        if self.0 < 59.95 {
            return write!(f, "{:.1} s", self.0);
        }
        let whole = self.0.round() as u64;
        match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
            (0, 0, minutes, seconds) => write!(f, "{minutes} min {seconds:02} s"),
            (0, hours, minutes, _) => write!(f, "{hours} h {minutes:02} min"),
            (days, hours, ..) => write!(f, "{days} d {hours:02} h"),
        }
    }
}

/// How many of `before` bytes were saved, in percent with one digit; nothing when there were none.
pub(crate) fn saved_percent(before: u64, after: u64) -> f64 {
    if before == 0 {
        return 0.0;
    }
    ((before as f64 - after as f64) / before as f64 * 1000.0).round() / 10.0
}

/// So many of something.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", Count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_at_least_two_digits_that_matter() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (45_678, "46 kB"),
            (9_876_543, "9877 kB"),
            (12_345_678, "12.3 MB"),
            (98_765_432_100, "98.8 GB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }

    #[test]
    fn spans_show_two_units() {
        for (seconds, shown) in [
            (0.0, "0 ms"),
            (0.0421, "42 ms"),
            (0.9996, "1.0 s"),
            (42.12, "42.1 s"),
            (59.96, "1 min 00 s"),
            (185.0, "3 min 05 s"),
            (7620.0, "2 h 07 min"),
            (200_000.0, "2 d 07 h"),
        ] {
            assert_eq!(Seconds(seconds).to_string(), shown, "{seconds}");
        }
    }

    #[test]
    fn what_grew_was_saved_negatively() {
        assert_eq!(saved_percent(1000, 318), 68.2);
        assert_eq!(saved_percent(100, 110), -10.0);
        assert_eq!(saved_percent(0, 0), 0.0);
    }
}
