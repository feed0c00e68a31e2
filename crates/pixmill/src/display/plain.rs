//! What others wrote, so that a terminal shows it and does nothing else: signs that steer one are written out.
//!
//! Everything that is said or printed goes through here. Colours are let through, for our own are among them, and they
//! do no harm.

use std::borrow::Cow;
use std::io::{self, Write};

/// Whether a sign steers a terminal, or the order in which it shows signs.
fn steers(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of ours with what others wrote in it: of all that steers, line ends, tabs and colours are left.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if !text.contains(|sign| steers(sign) && sign != '\n') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let colour = colour(rest);
        let (kept, length) = match sign {
            _ if colour > 0 => (true, colour),
            '\n' | '\t' => (true, 1),
            sign => (!steers(sign), sign.len_utf8()),
        };
        match kept {
            true => plain.push_str(&rest[..length]),
            false => plain.extend(sign.escape_default()),
        }
        rest = &rest[length..];
    }
    plain.into()
}

/// How long the colour is that a text begins with: `ESC [`, digits and semicolons, `m`.
fn colour(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\x1b[") else { return 0 };
    let end = parameters.find(|sign: char| !sign.is_ascii_digit() && sign != ';').unwrap_or_default();
    if parameters[end..].starts_with('m') { 2 + end + 1 } else { 0 }
}

/// What others wrote, within a line of ours: nothing of it steers, and it begins no line of its own.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for sign in text.chars() {
        match sign {
            '\t' => plain.push(' '),
            sign if steers(sign) => plain.extend(sign.escape_default()),
            sign => plain.push(sign),
        }
    }
    plain.into()
}

/// JSON, which escapes some of them itself and may have the others escaped too.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(|sign| steers(sign) && sign != '\n') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for sign in text.chars() {
        match sign {
            sign if steers(sign) && sign != '\n' => plain.push_str(&format!("\\u{:04x}", u32::from(sign))),
            sign => plain.push(sign),
        }
    }
    plain.into()
}

/// Where text is written by others than this module, such as logs: each piece a whole number of lines.
pub(crate) struct Lines<W> {
    pub(crate) inner: W,
    /// Whether the lines are JSON.
    pub(crate) json: bool,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let read = String::from_utf8_lossy(bytes);
        let plain = if self.json { json(&read) } else { text(&read) };
        self.inner.write_all(plain.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was tried on terminals: titles, links, clearing, C1 in UTF-8, backspaces, reversed order.
    const HOSTILE: &str =
        "a\x1b]0;OWNED\x07b\x1b[2Jc\x1b]8;;http://h\x1b\\d\u{9b}5me\x08\x7ff\r\u{202e}g\x1b[31\x1b";

    #[test]
    fn nothing_steers_a_terminal_but_colours_and_lines() {
        for plain in [text(HOSTILE), line(HOSTILE), json(HOSTILE)] {
            assert!(!plain.contains(steers), "{plain:?}");
            assert!(plain.contains("OWNED"), "nothing is hidden: {plain:?}");
        }
        let coloured = "\x1b[1m\x1b[31merror:\x1b[0m it\n\tfell";
        assert_eq!(text(coloured), coloured);
        assert_eq!(text("\x1b[31"), "\\u{1b}[31");
        assert_eq!(text("\x1b[3Am"), "\\u{1b}[3Am");
        assert_eq!(line("a\nerror: b\x1b[31m"), "a\\nerror: b\\u{1b}[31m");
    }

    #[test]
    fn json_means_what_it_meant() {
        let value = serde_json::json!({ "a": HOSTILE, "é": "日本" });
        let written = value.to_string() + "\n";
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&written)).unwrap(), value);
    }

    #[test]
    fn what_is_written_by_others_goes_through_it_too() {
        for as_json in [false, true] {
            let mut lines = Lines { inner: Vec::new(), json: as_json };
            lines.write_all(format!("{HOSTILE}\n").as_bytes()).unwrap();
            let plain = String::from_utf8(lines.inner).unwrap();
            assert!(!plain.trim_end().contains(steers), "{plain:?}");
        }
    }
}
