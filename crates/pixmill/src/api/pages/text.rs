//! Figures, times and words as people read them.

use std::time::Duration;

use pixmill_codec::{Format, Recipe};
use pixmill_engine::model::time::Timestamp;
use url::Url;

/// A count with thin spaces between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// "1 image", "2 images".
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Bytes in units of a thousand.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$}\u{a0}{}", UNITS[unit])
}

/// How much smaller it became, in percent of what it was; nothing where there was nothing.
pub(super) fn saved(before: u64, after: u64) -> Option<String> {
    let share = 1.0 - after as f64 / before.max(1) as f64;
    (before > 0).then(|| format!("{:.1}\u{a0}%", share * 100.0))
}

/// Whole percent, and never all before all is done.
pub(super) fn percent(part: u64, of: u64) -> u64 {
    match part * 100 {
        _ if of == 0 => 100,
        scaled => scaled / of,
    }
}

/// A duration in its two largest units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, 0) => format!("{}\u{a0}ms", duration.as_millis()),
        (0, 0, 0, seconds) => format!("{seconds}\u{a0}s"),
        (0, 0, minutes, seconds) => format!("{minutes}\u{a0}min {seconds}\u{a0}s"),
        (0, hours, minutes, _) => format!("{hours}\u{a0}h {minutes}\u{a0}min"),
        (days, hours, _, _) => format!("{days}\u{a0}d {hours}\u{a0}h"),
    }
}

/// A moment: exact for programs, near enough for people. The browser's modules turn it into local time.
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) exact: String,
    /// "5 min ago".
    pub(super) near: String,
}

/// A moment as seen now.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Moment {
    let passed = now.since(at).as_secs();
    let near = match passed {
        0..10 => "just now".to_owned(),
        10..60 => format!("{passed} s ago"),
        60..3_600 => format!("{} min ago", passed / 60),
        3_600..86_400 => format!("{} h ago", passed / 3_600),
        86_400..2_592_000 => format!("{} d ago", passed / 86_400),
        _ => at.to_string()[..10].to_owned(),
    };
    Moment { exact: at.to_string(), near }
}

/// A moment that is still to come.
pub(super) fn ahead(at: Timestamp, now: Timestamp) -> Moment {
    let left = at.since(now).max(Duration::from_secs(1));
    Moment { exact: at.to_string(), near: format!("in {}", duration(left)) }
}

/// What pictures become.
pub(super) fn format(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "JPEG",
        Format::Webp => "WebP",
        Format::Avif => "AVIF",
        Format::Png => "PNG",
        Format::Keep => "as they are",
    }
}

/// A recipe in a few words.
pub(super) fn recipe(recipe: &Recipe) -> String {
    let mut text = format(recipe.format).to_owned();
    match recipe.target_ssimulacra2 {
        Some(score) => text.push_str(&format!(", score {}", score.value())),
        None if recipe.format != Format::Png => text.push_str(&format!(", quality {}", recipe.quality)),
        None => {}
    }
    match (recipe.max_width, recipe.max_height) {
        (Some(width), Some(height)) => text.push_str(&format!(", within {width} × {height}")),
        (Some(width), None) => text.push_str(&format!(", {width} wide at most")),
        (None, Some(height)) => text.push_str(&format!(", {height} high at most")),
        (None, None) => {}
    }
    text
}

/// An address that may be followed: one of the web, and no script.
pub(super) fn followed(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| address.to_owned())
}

/// Without what may hold secrets, and its middle where it is long.
pub(super) fn short(address: &str) -> String {
    let plain = address.split(['?', '#']).next().unwrap_or_default();
    let letters: Vec<char> = plain.chars().collect();
    match letters.len() {
        0..=72 => plain.to_owned(),
        length => {
            let (start, end): (String, String) =
                (letters[..34].iter().collect(), letters[length - 36..].iter().collect());
            format!("{start}…{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_units_fit() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        let images = |number| counted(number, "image", "images");
        assert_eq!((images(1), images(0)), ("1 image".into(), "0 images".into()));
        for (number, text) in
            [(0, "0 B"), (999, "999 B"), (999_950, "1.0 MB"), (123_456, "123 kB"), (2_460_000, "2.5 MB")]
        {
            assert_eq!(bytes(number).replace('\u{a0}', " "), text, "{number}");
        }
        assert_eq!(saved(1000, 271).unwrap(), "72.9\u{a0}%");
        assert_eq!(saved(0, 0), None);
        assert_eq!((percent(999, 1000), percent(0, 0)), (99, 100));
    }

    #[test]
    fn times_are_told_in_two_units() {
        let of = |seconds| duration(Duration::from_secs(seconds)).replace('\u{a0}', " ");
        assert_eq!([of(59), of(61), of(7_260), of(90_000)], ["59 s", "1 min 1 s", "2 h 1 min", "1 d 1 h"]);
        let near = |seconds: i64| moment(Timestamp(0), Timestamp(seconds * 1_000)).near;
        assert_eq!(
            [near(3), near(59), near(60), near(90_000)],
            ["just now", "59 s ago", "1 min ago", "1 d ago"]
        );
        assert_eq!(near(100 * 86_400), "1970-01-01");
    }

    #[test]
    fn addresses_that_are_scripts_are_not_followed_and_secrets_not_shown() {
        assert_eq!(followed("javascript:alert(1)"), None);
        assert_eq!(followed("data:text/html,x"), None);
        assert!(followed("https://h/a.jpg?x=1").is_some());
        assert_eq!(short("https://h/a.jpg?token=secret#x"), "https://h/a.jpg");
        let long = short(&format!("https://h/{}/last.jpg", "ä".repeat(200)));
        assert!(long.chars().count() == 71 && long.ends_with("/last.jpg"), "{long}");
    }
}
