//! Where a trace goes on that began elsewhere, as W3C Trace Context writes it.

use std::fmt;

/// A `traceparent`: which trace, the span in it that is the parent, and whether that is sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceparent(String);

/// Lengths of version, trace, parent and flags, in hexadecimal digits.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// The length of all of it in version 00, dashes included.
const LENGTH: usize = 55;

impl Traceparent {
    /// Reads a header's value; `None` for what is none. Of a later version what is known is kept, under version 00.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.get(..LENGTH)?;
        let parts: Vec<_> = known.split('-').collect();
        let [version, trace, parent, flags] = parts.as_slice() else { return None };
        let well_formed = parts.iter().zip(PARTS).all(|(part, length)| {
            part.len() == length && part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        });
        let more = &text[LENGTH..];
        let of_its_length = more.is_empty() || (*version != "00" && more.starts_with('-'));
        let names_something = [trace, parent].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
        let good = well_formed && of_its_length && names_something && *version != "ff";
        good.then(|| Traceparent(format!("00-{trace}-{parent}-{flags}")))
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_published_example_is_read() {
        assert_eq!(Traceparent::parse(PUBLISHED).unwrap().as_str(), PUBLISHED);
        let later = PUBLISHED.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert_eq!(Traceparent::parse(&later).unwrap().as_str(), PUBLISHED);
    }

    #[test]
    fn what_is_none_is_not_passed_on() {
        for wrong in [
            "",
            "00",
            &PUBLISHED[..54],
            &format!("{PUBLISHED}-"),
            &format!("{PUBLISHED}0"),
            &PUBLISHED.to_uppercase(),
            &PUBLISHED.replacen("00", "ff", 1),
            &PUBLISHED.replace('-', "_"),
            &PUBLISHED.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PUBLISHED.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PUBLISHED.replace("4bf9", "\r\nx:"),
            &PUBLISHED.replace("47", "é"),
        ] {
            assert_eq!(Traceparent::parse(wrong), None, "{wrong}");
        }
    }
}
