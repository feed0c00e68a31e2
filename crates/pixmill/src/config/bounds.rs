//! Readers of single values, whose complaints say what is allowed.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// A whole number within bounds, both included.
pub(crate) fn whole<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        text.parse::<u64>()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("allowed are whole numbers from {least} to {most}"))
    }
}

/// Seconds, perhaps with a fraction, above zero and up to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "allowed are seconds from 0.001 to 86400".to_owned())
}

/// Seconds in a unit of time.
const UNITS: [(char, f64); 4] = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];

/// The longest time that is kept count of, in seconds: ten years.
const LONGEST: f64 = 3650.0 * 86_400.0;

/// A length of time that may be long: seconds, or a number with a unit right after it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, seconds) = UNITS
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .unwrap_or((text, 1.0));
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * seconds)
        .filter(|seconds| (1.0..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "allowed are 30d, 36h, 90m, 45s and seconds, from one to ten years".to_owned())
}

/// A range of addresses in CIDR notation (RFC 4632), or a single address.
pub(super) fn addresses(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let range = text.parse::<IpNet>().ok().or_else(single);
    range
        .map(|range| range.trunc())
        .ok_or_else(|| "allowed are ranges such as 10.0.0.0/8 or fd00::/8, and single addresses".to_owned())
}

/// Red, green and blue as `#rrggbb`.
pub(super) fn colour(text: &str) -> Result<[u8; 3], String> {
    let digits = text
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .map(|number| [(number >> 16) as u8, (number >> 8) as u8, number as u8])
        .ok_or_else(|| "allowed are colours as #rrggbb, such as #ffffff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_included_and_nothing_beyond_them() {
        let quality = whole::<u8>(1, 100);
        assert_eq!((quality("1"), quality("100")), (Ok(1), Ok(100)));
        for wrong in ["0", "101", "-1", "x", "", "50.0", "99999999999999999999"] {
            assert_eq!(quality(wrong), Err("allowed are whole numbers from 1 to 100".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_but_must_pass() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_or_is_in_seconds() {
        for (text, seconds) in
            [("1", 1), ("90", 90), ("45s", 45), ("1.5m", 90), ("36h", 129_600), ("30d", 2_592_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["0", "0.5", "-1d", "d", "", "NaN", "inf", "30 d", "30 days", "1w", "4000d", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_alone_is_a_range_of_one() {
        assert_eq!(addresses("127.0.0.1"), Ok("127.0.0.1/32".parse().unwrap()));
        assert_eq!(addresses(" ::1 "), Ok("::1/128".parse().unwrap()));
        assert_eq!(addresses("10.1.2.3/8"), Ok("10.0.0.0/8".parse().unwrap()));
        for wrong in ["elephant", "10.0.0.0/33", "", "10.0.0/8"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn colours_are_six_hexadecimal_digits() {
        assert_eq!(colour("#20a0FF"), Ok([0x20, 0xa0, 0xff]));
        for wrong in ["20a0ff", "#20a0f", "#gggggg", "white", "#+20a0f", "#é0a0"] {
            assert!(colour(wrong).is_err(), "{wrong}");
        }
    }
}
