//! Which bytes of a file became which text, so that some of it can be replaced and the rest be left byte for byte.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

/// Bytes that were read and not handed on yet, with what text they became.
#[derive(Debug, Default)]
pub(super) struct Trace {
    raw: Vec<u8>,
    /// The first byte that was not handed on.
    start: usize,
    runs: std::collections::VecDeque<Run>,
    /// The place in the text of the first byte that was not handed on.
    at: u64,
    /// The last run is the beginning of a letter.
    pending: bool,
}

/// Bytes and the text that they became: byte by byte where both are of one length, else as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    raw: usize,
    text: usize,
}

impl Trace {
    /// Bytes that are text as they are, but for NUL bytes, which are dropped.
    pub(super) fn push_text(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(zero) = memchr::memchr(0, rest) {
            self.push(&rest[..zero], zero);
            self.push(&rest[zero..=zero], 0);
            rest = &rest[zero + 1..];
        }
        self.push(rest, rest.len());
    }

    /// The beginning of a letter, or more of it.
    pub(super) fn push_pending(&mut self, bytes: &[u8]) {
        self.push(bytes, 0);
        self.pending = true;
    }

    /// Bytes that became so much text.
    pub(super) fn push(&mut self, bytes: &[u8], text: usize) {
        if bytes.is_empty() && text == 0 {
            return;
        }
        self.raw.extend_from_slice(bytes);
        if std::mem::take(&mut self.pending)
            && let Some(last) = self.runs.back_mut()
        {
            last.raw += bytes.len();
            last.text += text;
            return;
        }
        let identical = text == bytes.len();
        match self.runs.back_mut() {
            Some(last) if identical && last.raw == last.text => {
                last.raw += bytes.len();
                last.text += text;
            }
            _ => self.runs.push_back(Run { raw: bytes.len(), text }),
        }
    }

    /// Hands on the bytes of the text before a place.
    pub(super) fn take_until(&mut self, place: u64, out: &mut Vec<u8>) {
        let count = self.advance(place, true);
        out.extend_from_slice(&self.raw[self.start..self.start + count]);
        self.pass(count);
    }

    /// Leaves out the bytes of the text before a place.
    pub(super) fn drop_until(&mut self, place: u64) {
        let count = self.advance(place, false);
        self.pass(count);
    }

    /// Hands on all there is.
    pub(super) fn take_all(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.raw[self.start..]);
        *self = Trace { at: u64::MAX, ..Trace::default() };
    }

    /// Whether everything before a place was handed on, and nothing after it.
    pub(super) fn is_at(&self, place: u64) -> bool {
        self.at == place
    }

    /// Moves on to a place, or to the beginning of what it is within; answers with how many bytes are passed.
    /// Bytes that became nothing go with what is before them if `eager`.
    fn advance(&mut self, place: u64, eager: bool) -> usize {
        let mut count = 0;
        while self.runs.len() > usize::from(self.pending)
            && (eager || self.at < place)
            && let Some(run) = self.runs.front_mut()
        {
            let left = usize::try_from(place.saturating_sub(self.at)).unwrap_or(usize::MAX);
            if run.text <= left {
                (count, self.at) = (count + run.raw, self.at + run.text as u64);
                self.runs.pop_front();
            } else if run.raw == run.text && left > 0 {
                *run = Run { raw: run.raw - left, text: run.text - left };
                (count, self.at) = (count + left, self.at + left as u64);
            } else {
                break;
            }
        }
        count
    }

    fn pass(&mut self, count: usize) {
        self.start += count;
        if self.start > 64 * 1024 && self.start * 2 > self.raw.len() {
            self.raw.drain(..self.start);
            self.start = 0;
        }
    }
}

/// A text in an encoding. None where it has no signs for it.
pub(super) fn encoded(text: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    match encoding {
        _ if encoding == UTF_16LE => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        _ if encoding == UTF_16BE => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        _ => {
            let (bytes, _, lossy) = encoding.encode(text);
            (!lossy).then(|| bytes.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_replaced_and_the_rest_left_byte_for_byte() {
        let mut trace = Trace::default();
        trace.push(b"\xef\xbb\xbf", 0);
        trace.push_text(b"ab\0cd");
        trace.push(b"\x83\x4a", 3);
        trace.push_text(b"ef");
        let mut out = Vec::new();
        trace.take_until(1, &mut out);
        assert_eq!(out, b"\xef\xbb\xbfa");
        trace.drop_until(3);
        out.extend_from_slice(b"[x]");
        trace.take_until(5, &mut out);
        assert!(!trace.is_at(5), "within a letter");
        trace.take_until(7, &mut out);
        assert!(trace.is_at(7));
        trace.take_until(8, &mut out);
        trace.take_all(&mut out);
        assert_eq!(out, b"\xef\xbb\xbfa[x]d\x83\x4aef");
    }

    #[test]
    fn what_follows_what_is_replaced_stays_whole() {
        let mut trace = Trace::default();
        trace.push(b"ab", 2);
        trace.push_pending(b"\x83");
        trace.push(b"\x4a", 3);
        let mut out = Vec::new();
        trace.drop_until(2);
        trace.take_all(&mut out);
        assert_eq!(out, b"\x83\x4a");
    }

    #[test]
    fn texts_are_encoded_as_their_file_is() {
        assert_eq!(encoded("aé", UTF_16LE).unwrap(), b"a\0\xe9\0");
        assert_eq!(encoded("é", encoding_rs::WINDOWS_1252).unwrap(), b"\xe9");
        assert_eq!(encoded("Ж", encoding_rs::WINDOWS_1252), None);
    }
}
