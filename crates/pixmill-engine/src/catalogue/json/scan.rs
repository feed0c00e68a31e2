//! Where values of JSON end, found piece by piece, and the strings in them.

use std::ops::Range;

use memchr::memchr2;

/// Looks for the end of one value. Goes on where it stopped for want of bytes.
#[derive(Debug, Default, Clone)]
pub(super) struct Scan {
    /// How far it is.
    at: usize,
    depth: usize,
    in_string: bool,
    /// The value is no list, object or string.
    bare: bool,
}

impl Scan {
    /// The end of the value that begins with the first of these bytes, which may have grown since; `None` for want of bytes.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.at < bytes.len() {
            if self.in_string {
                let Some(offset) = memchr2(b'"', b'\\', &bytes[self.at..]) else {
                    self.at = bytes.len();
                    return None;
                };
                self.at += offset;
                if bytes[self.at] == b'\\' {
                    if self.at + 1 >= bytes.len() {
                        return None;
                    }
                    self.at += 2;
                    continue;
                }
                self.at += 1;
                self.in_string = false;
                if self.depth == 0 {
                    return Some(self.at);
                }
                continue;
            }
            let byte = bytes[self.at];
            if self.bare {
                if matches!(byte, b',' | b']' | b'}') || is_space(byte) {
                    return Some(self.at);
                }
                self.at += 1;
                continue;
            }
            self.at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ if self.depth == 0 => self.bare = true,
                _ => {}
            }
        }
        None
    }

    /// Forgets bytes that were looked at, so that a value may be passed over that can't be held.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
    }

    /// How far it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether a value that has no end but the file's may end here.
    pub(super) fn may_end(&self) -> bool {
        self.bare
    }
}

/// White space, and what parts records of JSON text sequences.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x1e)
}

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A list or an object begins.
    Open { list: bool },
    /// One ends.
    Close,
    /// A member's name, quotes left out.
    Key(Range<usize>),
    /// A string, quotes left out.
    String(Range<usize>),
    /// A number, `true`, `false` or `null`.
    Bare(Range<usize>),
}

/// The pieces of a value, one after the other; `Err` where it is no JSON.
pub(super) struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether each open one is a list, from the outermost.
    open: Vec<bool>,
    /// A member's name comes next.
    names: bool,
    /// A comma or an end comes next.
    after_value: bool,
}

/// Deeper values are no records.
const DEEPEST: usize = 64;

impl<'a> Pieces<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Pieces { bytes, at: 0, open: Vec::new(), names: false, after_value: false }
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next piece; `Ok(None)` at the end of the bytes.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, ()> {
        loop {
            let Some(byte) = self.bytes.get(self.at) else { return Ok(None) };
            match byte {
                byte if is_space(*byte) => self.at += 1,
                b',' => {
                    self.at += 1;
                    self.after_value = false;
                    self.names = self.open.last() == Some(&false);
                }
                b':' => {
                    self.at += 1;
                    self.names = false;
                }
                b'{' | b'[' if self.open.len() < DEEPEST && !self.after_value && !self.names => {
                    let list = *byte == b'[';
                    self.open.push(list);
                    self.at += 1;
                    self.names = !list;
                    return Ok(Some(Piece::Open { list }));
                }
                b'}' | b']' => {
                    if self.open.pop() != Some(*byte == b']') {
                        return Err(());
                    }
                    self.at += 1;
                    (self.names, self.after_value) = (false, true);
                    return Ok(Some(Piece::Close));
                }
                b'"' if !self.after_value => {
                    let from = self.at + 1;
                    let mut scan = Scan::default();
                    let Some(length) = scan.end(&self.bytes[self.at..]) else { return Ok(None) };
                    self.at += length;
                    let text = from..self.at - 1;
                    if self.names {
                        return Ok(Some(Piece::Key(text)));
                    }
                    self.after_value = true;
                    return Ok(Some(Piece::String(text)));
                }
                _ if !self.after_value && !self.names => {
                    let from = self.at;
                    let rest = &self.bytes[from..];
                    let ends = |byte: &u8| {
                        is_space(*byte) || matches!(byte, b',' | b']' | b'}' | b'"' | b':' | b'{' | b'[')
                    };
                    let Some(length) = rest.iter().position(ends) else { return Ok(None) };
                    if length == 0 {
                        return Err(());
                    }
                    self.at += length;
                    self.after_value = true;
                    return Ok(Some(Piece::Bare(from..self.at)));
                }
                _ => return Err(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_wherever_their_bytes_are_cut() {
        for (text, want) in [
            (r#"{"a":"}\"","b":[1,{}]},x"#, 22),
            (r#""a,\\",1"#, 6),
            ("12,3", 2),
            ("null]", 4),
            ("[[],[]] ", 7),
        ] {
            assert_eq!(Scan::default().end(text.as_bytes()), Some(want), "{text}");
            let mut scan = Scan::default();
            let found = (1..=text.len()).find_map(|length| scan.end(&text.as_bytes()[..length]));
            assert_eq!(found, Some(want), "{text}");
        }
        assert_eq!(Scan::default().end(b"{\"a\":\"}"), None);
    }

    #[test]
    fn what_is_no_json_is_known() {
        for broken in ["{\"a\":1]", "[1 2]", "{\"a\" {}}", "{a:1}", "[}"] {
            let mut pieces = Pieces::new(broken.as_bytes());
            let ended = loop {
                match pieces.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(()) => break Err(()),
                }
            };
            assert_eq!(ended, Err(()), "{broken}");
        }
    }
}
