//! Heads of answers as old and careless servers write them, put right before the parser sees them: it refuses what
//! browsers have always read.
//!
//! What is put right: versions but 1.0 and 1.1, and how they are spelt; lines with control characters, which are left
//! out; lengths that are none or contradict each other, without which a body ends with its connection; chunks in an
//! answer of HTTP/1.0.

use std::error::Error;
use std::fmt;

use super::HEAD_MAX;

/// More lines, or longer ones, than are read.
#[derive(Debug)]
pub(super) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the head of the answer is too long")
    }
}

impl Error for TooLong {}

/// What comes over a connection: heads, each put right as a whole, and bodies, passed on as they are.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// A head is due, or has come in part.
    due: bool,
    held: Vec<u8>,
    /// Where the next line of what is held begins.
    line: usize,
}

impl Heads {
    /// A request was sent, so a head comes next.
    pub(super) fn expect(&mut self) {
        *self = Heads { due: true, ..Heads::default() };
    }

    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Takes what came; gives what can be passed on, which is nothing while a head is not whole.
    ///
    /// # Errors
    /// A head that is longer than may be.
    pub(super) fn take(&mut self, came: &[u8]) -> Result<Vec<u8>, TooLong> {
        self.held.extend_from_slice(came);
        let mut ready = Vec::new();
        while self.due {
            if !may_be_a_head(&self.held) {
                self.due = false;
                break;
            }
            let Some(end) = self.end() else {
                return if self.held.len() > HEAD_MAX { Err(TooLong) } else { Ok(ready) };
            };
            if end > HEAD_MAX {
                return Err(TooLong);
            }
            let (mended, is_last) = mend(&self.held[..end], &self.held[end..]);
            ready.extend(mended);
            self.held.drain(..end);
            self.line = 0;
            self.due = !is_last;
        }
        ready.append(&mut self.rest());
        Ok(ready)
    }

    /// What is held of a head that was cut off.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        self.due = false;
        std::mem::take(&mut self.held)
    }

    /// The end of the first head: behind its first empty line that follows another.
    fn end(&mut self) -> Option<usize> {
        while let Some(length) = self.held[self.line..].iter().position(|byte| *byte == b'\n') {
            let line = &self.held[self.line..self.line + length];
            let is_blank = line.is_empty() || line == b"\r";
            let is_before = self.held[..self.line].iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            self.line += length + 1;
            if is_blank && !is_before {
                return Some(self.line);
            }
        }
        None
    }
}

/// Whether an answer of HTTP/1 may begin so: others are left to the parser.
fn may_be_a_head(bytes: &[u8]) -> bool {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let word = &bytes[begin..bytes.len().min(begin + 5)];
    let begins = |whole: &[u8]| word.len() <= whole.len() && word.eq_ignore_ascii_case(&whole[..word.len()]);
    begins(b"HTTP/") || word[..word.len().min(4)].eq_ignore_ascii_case(&b"ICY "[..word.len().min(4)])
}

/// A head put right, and whether the answer's body follows it. `after`: what came behind it.
fn mend(head: &[u8], after: &[u8]) -> (Vec<u8>, bool) {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').map(without_end).skip_while(|l| l.is_empty());
    let first = lines.next().unwrap_or_default();
    let Some(status) = Status::read(first) else { return (head.to_vec(), true) };
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut left_out = true;
    for line in lines.filter(|line| !line.is_empty()) {
        match line.first() {
            // It goes on with the line before.
            Some(b' ' | b'\t') if left_out => {}
            Some(b' ' | b'\t') if is_clean(line) => kept.push(line),
            Some(b' ' | b'\t') => {}
            _ => {
                left_out = !is_clean(line);
                kept.extend((!left_out).then_some(line));
            }
        }
    }
    let values = |name: &str| kept.iter().filter_map(move |line| value(line, name)).collect::<Vec<_>>();
    let is_chunked = values("transfer-encoding").last().is_some_and(|codings| ends_chunked(codings));
    let lengths = values("content-length");
    let is_vague = !lengths.is_empty() && agreed(&lengths).is_none();
    if is_vague {
        kept.retain(|line| value(line, "content-length").is_none());
    }
    let mut version = status.version;
    if version == "1.0" && is_chunked {
        // Servers that know nothing of chunks pass on that others sent some.
        if after.is_empty() || begins_chunk(after) {
            version = "1.1";
            kept.push(b"Connection: close");
        } else {
            kept.retain(|line| value(line, "transfer-encoding").is_none());
        }
    }
    let mut mended = format!("HTTP/{version} {} ", status.code).into_bytes();
    mended.extend(status.reason.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }));
    mended.extend_from_slice(b"\r\n");
    for line in kept {
        mended.extend_from_slice(line);
        mended.extend_from_slice(b"\r\n");
    }
    mended.extend_from_slice(b"\r\n");
    (mended, !matches!(status.code, 100 | 102..=199))
}

/// The first line of an answer.
struct Status<'a> {
    version: &'static str,
    code: u16,
    reason: &'a [u8],
}

impl<'a> Status<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let space = line.iter().position(u8::is_ascii_whitespace)?;
        let version = match &line[..space] {
            word if word.eq_ignore_ascii_case(b"ICY")
                || word.ends_with(b"/1.0")
                || word.ends_with(b"/0.9") =>
            {
                "1.0"
            }
            _ => "1.1",
        };
        let rest = line[space..].trim_ascii_start();
        let code = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok().filter(|code| *code >= 100)?;
        let reason = &rest[3..];
        (!reason.first().is_some_and(u8::is_ascii_digit)).then(|| Status {
            version,
            code,
            reason: reason.trim_ascii(),
        })
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_clean(line: &[u8]) -> bool {
    line.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t')
}

/// The value of a line that has this name.
fn value<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    line[..colon]
        .trim_ascii_end()
        .eq_ignore_ascii_case(name.as_bytes())
        .then(|| line[colon + 1..].trim_ascii())
}

fn ends_chunked(codings: &[u8]) -> bool {
    codings
        .rsplit(|byte| *byte == b',')
        .next()
        .is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The length that all lines say.
fn agreed(lengths: &[&[u8]]) -> Option<u64> {
    let mut all = lengths.iter().flat_map(|line| line.split(|byte| *byte == b',')).map(|length| {
        let digits = length.trim_ascii();
        let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| are_digits)?.parse::<u64>().ok()
    });
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// Whether a body begins with the size of a chunk.
fn begins_chunk(body: &[u8]) -> bool {
    let digits = body.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    (1..=16).contains(&digits)
        && matches!(body[digits..].first(), None | Some(b'\r' | b'\n' | b';' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is passed on of this, however it comes.
    fn passed_on(sent: &[u8]) -> String {
        let whole = taken(sent.chunks(sent.len()));
        assert_eq!(taken(sent.chunks(1)), whole, "byte by byte");
        assert_eq!(taken(sent.chunks(7)), whole);
        String::from_utf8_lossy(&whole).into_owned()
    }

    fn taken<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut heads = Heads::default();
        heads.expect();
        let mut out: Vec<u8> = pieces.flat_map(|piece| heads.take(piece).expect("short")).collect();
        out.extend(heads.rest());
        out
    }

    #[test]
    fn heads_are_put_right_and_bodies_left_as_they_are() {
        for (sent, wanted) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.2 x", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.2 x"),
            ("\r\nhttp/1.1 200\nA: b\n\n\n", "HTTP/1.1 200 \r\nA: b\r\n\r\n\n"),
            ("HTTP/1.2\t200  fine\r\n\r\n", "HTTP/1.1 200 fine\r\n\r\n"),
            ("HTTP/2 200 \x01\r\n\r\n", "HTTP/1.1 200  \r\n\r\n"),
            ("ICY 200 OK\r\n\r\nx", "HTTP/1.0 200 OK\r\n\r\nx"),
            (
                "HTTP/1.1 200 OK\r\nA: b\0c\r\n d\r\nE: f\r\n g\r\n\r\n",
                "HTTP/1.1 200 OK\r\nE: f\r\n g\r\n\r\n",
            ),
            ("HTTP/1.1 200 OK\r\n odd\r\nE: f\r\n\r\n", "HTTP/1.1 200 OK\r\nE: f\r\n\r\n"),
            (
                "HTTP/1.1 103 Hint\r\nA: \x02\r\n\r\nHTTP/1.3 200 OK\r\n\r\nx",
                "HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
            ),
            (
                "HTTP/1.1 101 Other\r\n\r\nHTTP/1.3 200 OK\r\n\r\n",
                "HTTP/1.1 101 Other\r\n\r\nHTTP/1.3 200 OK\r\n\r\n",
            ),
        ] {
            assert_eq!(passed_on(sent.as_bytes()), wanted, "{sent:?}");
        }
    }

    #[test]
    fn a_length_that_says_nothing_is_left_out() {
        for (lines, stays) in [
            ("Content-Length: 5\r\n", true),
            ("Content-Length: 5, 5\r\ncontent-length : 5\r\n", true),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", false),
            ("Content-Length: 5, 6\r\n", false),
            ("Content-Length: -1\r\n", false),
            ("Content-Length: +5\r\n", false),
            ("Content-Length: \r\n", false),
            ("Content-Length: 99999999999999999999999\r\n", false),
        ] {
            let told = passed_on(format!("HTTP/1.1 200 OK\r\n{lines}A: b\r\n\r\nx").as_bytes());
            assert_eq!(told.to_ascii_lowercase().contains("content-length"), stays, "{told}");
            assert!(told.ends_with("A: b\r\n\r\nx"), "{told}");
        }
    }

    #[test]
    fn chunks_of_http_1_0_are_chunks_where_they_look_like_them() {
        let head = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunked =
            String::from_utf8(taken([format!("{head}5\r\nhello\r\n0\r\n\r\n").as_bytes()].into_iter()))
                .unwrap();
        assert!(
            chunked
                .starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5"),
            "{chunked}"
        );
        let plain = taken([[head.as_bytes(), b"\xFF\xD8\xFF"].concat().as_slice()].into_iter());
        assert_eq!(plain, b"HTTP/1.0 200 OK\r\n\r\n\xFF\xD8\xFF");
    }

    #[test]
    fn what_is_no_answer_is_passed_on_at_once_and_what_never_ends_is_refused() {
        for sent in [&b"\xFF\xD8\xFF"[..], b"SSH-2.0-x\r\n", b"HTTX", b"IC\0"] {
            let mut heads = Heads::default();
            heads.expect();
            assert_eq!(heads.take(sent).unwrap(), sent);
        }
        assert_eq!(passed_on(b"HTTP/1.1 200 OK\r\nA"), "HTTP/1.1 200 OK\r\nA");
        let mut heads = Heads::default();
        heads.expect();
        assert!(heads.take(b"HTTP/1.1 200 OK\r\n").unwrap().is_empty());
        let line = [&b"A: "[..], &[b'a'; 1000], b"\r\n"].concat();
        let taken = (0..300).try_for_each(|_| heads.take(&line).map(drop));
        assert!(taken.is_err());
    }

    #[test]
    fn any_bytes_are_passed_on_or_refused() {
        const WORDS: [&[u8]; 16] = [
            b"HTTP/1.1 200 OK",
            b"http/1.0 ",
            b"ICY 200",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\0",
            b":",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked",
            b"5",
            b"-",
            b"\xFF",
            b"HTTP/1.1 103 x",
            b"a: b",
        ];
        let mut state = 7_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize
        };
        for _ in 0..20_000 {
            let bytes: Vec<u8> =
                (0..noise() % 24).flat_map(|_| WORDS[noise() % WORDS.len()]).copied().collect();
            let whole = taken([bytes.as_slice()].into_iter());
            assert!(whole.len() <= bytes.len() + 64, "{bytes:?}");
            assert!(taken(bytes.chunks(3)).len() <= bytes.len() + 64, "{bytes:?}");
        }
    }
}
