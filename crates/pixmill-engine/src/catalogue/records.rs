//! Records out of a stream, in a buffer of bounded size.

use std::io::{self, Read};
use std::ops::Range;

use encoding_rs::WINDOWS_1252;

use super::encoding::{LEAST_ROOM, Source};
use super::fields::{Fields, Spare};
use super::sample::Dialect;
use super::scan::{Outcome, Place, Scan, count_breaks};
use super::trace::Trace;

/// The longest record that is read, in bytes of UTF-8, its line end not counted. A longer one costs only itself.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

const FIRST_BUFFER_BYTES: usize = 256 * 1024;
/// How much is looked at before deciding how records are read, at least.
const SAMPLE_BYTES: usize = 64 * 1024;
/// Above the longest record by what a scan may look ahead, so that a full buffer without an end means too long.
const MAX_BUFFER_BYTES: usize = MAX_RECORD_BYTES + 64 * 1024;

/// A record, or what is there instead of one. Offsets are those of the buffer.
#[derive(Debug)]
pub(super) enum Found {
    /// A record that starts at this line.
    Record { line: u64, content: Range<usize>, fused: bool },
    /// A record longer than the longest. `content` holds the fields that were whole within that length; the rest
    /// is still to be passed over by [`Records::skip`].
    TooLong { line: u64, content: Range<usize>, rest: Rest },
    /// A quote opened in the record that starts at this line is never closed.
    Unclosed { line: u64 },
    /// The end of the file.
    End,
}

/// What is left of a record that is too long.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    /// Nothing, its end was in the buffer.
    Nothing,
    /// All beyond the buffer, from this place on.
    From(Place),
}

/// Yields records.
pub(super) struct Records<R> {
    source: Source<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    /// The line at `start`, from 1.
    line: u64,
    scan: Scan,
    delimiter: u8,
    /// The place in the text of the buffer's first byte.
    base: u64,
    /// Where the record is that was taken last.
    last: Range<usize>,
}

impl<R: Read> Records<R> {
    pub(super) fn new(source: Source<R>) -> Self {
        let buffer = vec![0; FIRST_BUFFER_BYTES];
        Records {
            source,
            buffer,
            start: 0,
            end: 0,
            ended: false,
            line: 1,
            scan: Scan::default(),
            delimiter: b',',
            base: 0,
            last: 0..0,
        }
    }

    /// What the bytes are read from.
    pub(super) fn source(&self) -> &Source<R> {
        &self.source
    }

    /// The first bytes, before any record is taken, and whether they are all there are: enough for a first record.
    pub(super) fn sample(&mut self) -> io::Result<(&[u8], bool)> {
        while !self.ended && self.end < SAMPLE_BYTES {
            self.fill()?;
        }
        let holds_line = |bytes: &[u8]| memchr::memchr2(b'\n', b'\r', bytes).is_some();
        while !self.ended
            && !holds_line(&self.buffer[..self.end])
            && self.end + LEAST_ROOM <= MAX_BUFFER_BYTES
        {
            self.fill()?;
        }
        Ok((&self.buffer[self.start..self.end], self.ended))
    }

    /// Which bytes became which text.
    pub(super) fn trace_mut(&mut self) -> &mut Trace {
        self.source.trace.get_or_insert_default()
    }

    /// The place in the text at which the record starts that was taken last.
    pub(super) fn record_at(&self) -> u64 {
        self.base + self.last.start as u64
    }

    /// The place in the text at which the next record starts.
    pub(super) fn next_at(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The fields of the record that was taken last. None where it is not UTF-8.
    pub(super) fn last_fields(&self) -> Option<Fields<'_>> {
        let text = std::str::from_utf8(self.buffer.get(self.last.clone())?).ok()?;
        Some(Fields { text, spans: &self.scan.fields })
    }

    /// How records are read from now on.
    pub(super) fn read_as(&mut self, dialect: Dialect) {
        self.delimiter = dialect.delimiter;
        self.scan.backslash = dialect.backslash;
    }

    /// The fields of the record that was found last, as far as they are in `content`. Bytes that are not UTF-8 in
    /// a catalogue that otherwise is are read as Windows-1252: exports get concatenated.
    pub(super) fn fields<'a>(&'a self, content: Range<usize>, spare: &'a mut Spare) -> Fields<'a> {
        let bytes = &self.buffer[content];
        if let Ok(text) = std::str::from_utf8(bytes) {
            let within = self.scan.fields.partition_point(|span| span.end <= bytes.len());
            return Fields { text, spans: &self.scan.fields[..within] };
        }
        spare.text.clear();
        spare.text.push_str(&WINDOWS_1252.decode_without_bom_handling(bytes).0);
        spare.scan.backslash = self.scan.backslash;
        spare.scan.record(spare.text.as_bytes(), self.delimiter, true);
        Fields { text: &spare.text, spans: &spare.scan.fields }
    }

    /// Finds the next record and moves on to the one after it.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        let (found, next) = self.find()?;
        match &found {
            Found::Record { content, .. } => {
                self.last = content.clone();
                self.line += 1 + self.scan.breaks;
            }
            Found::TooLong { rest: Rest::Nothing, .. } => self.line += 1 + self.scan.breaks,
            Found::Unclosed { .. } | Found::End => {}
            Found::TooLong { .. } => return Ok(found),
        }
        self.start = next;
        Ok(found)
    }

    fn find(&mut self) -> io::Result<(Found, usize)> {
        let line = self.line;
        loop {
            let (start, end) = (self.start, self.end);
            if start == end && self.ended {
                return Ok((Found::End, end));
            }
            let place = match self.scan.record(&self.buffer[start..end], self.delimiter, self.ended) {
                Outcome::Whole { content, next } => {
                    let found = match content > MAX_RECORD_BYTES {
                        true => Found::TooLong { line, content: self.kept(), rest: Rest::Nothing },
                        false => {
                            Found::Record { line, content: start..start + content, fused: self.scan.fused }
                        }
                    };
                    return Ok((found, start + next));
                }
                Outcome::Unclosed => return Ok((Found::Unclosed { line }, end)),
                Outcome::More(place) => place,
            };
            if end - start + LEAST_ROOM > MAX_BUFFER_BYTES {
                return Ok((Found::TooLong { line, content: self.kept(), rest: Rest::From(place) }, end));
            }
            self.fill()?;
        }
    }

    /// Where the fields are that are whole within the longest record's length.
    fn kept(&self) -> Range<usize> {
        let kept = self.scan.fields.iter().rev().map(|span| span.end).find(|end| *end <= MAX_RECORD_BYTES);
        self.start..self.start + kept.unwrap_or(0)
    }

    /// Makes room and fills it as far as it goes, so that a slow reader's small pieces are scanned but once.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end * 2 > self.buffer.len() {
            let larger = (self.buffer.len() * 2).min(MAX_BUFFER_BYTES);
            self.buffer.resize(larger, 0);
        }
        while !self.ended && self.buffer.len() - self.end >= LEAST_ROOM {
            let count = self.source.read(&mut self.buffer[self.end..])?;
            self.end += count;
            self.ended = count == 0;
        }
        Ok(())
    }

    /// Passes over the rest of a record that is too long. False when it has no end: the file ended within quotes.
    pub(super) fn skip(&mut self, rest: Rest) -> io::Result<bool> {
        let Rest::From(place) = rest else { return Ok(true) };
        let mut skipping = Skipping::new(&self.buffer[self.start..self.end], place, self.delimiter);
        loop {
            self.start = self.end;
            self.fill()?;
            let passed = self.buffer[..self.end].iter().position(|byte| !skipping.passes(*byte));
            self.start = passed.unwrap_or(self.end);
            if passed.is_some() || self.ended {
                self.line += skipping.breaks;
                return Ok(passed.is_some() || skipping.place != Place::Quoted);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

/// Passes over bytes of a record that can't be kept.
struct Skipping {
    place: Place,
    delimiter: u8,
    breaks: u64,
    last: Option<u8>,
}

impl Skipping {
    fn new(seen: &[u8], place: Place, delimiter: u8) -> Self {
        let last = seen.last().copied();
        // A carriage return outside quotes has ended the record, whether or not a newline follows it.
        let ended = place == Place::Bare && last == Some(b'\r');
        let place = if ended { Place::FieldStart } else { place };
        Skipping { place, delimiter, breaks: count_breaks(seen), last }
    }

    /// False at the first byte of the next record.
    fn passes(&mut self, byte: u8) -> bool {
        let last = self.last.replace(byte);
        if self.place != Place::Quoted {
            let ended = last == Some(b'\n') || (last == Some(b'\r') && byte != b'\n');
            if ended && self.place == Place::FieldStart {
                return false;
            }
        }
        let breaks_line = byte == b'\n' || byte == b'\r';
        self.breaks += u64::from(byte == b'\r' || (byte == b'\n' && last != Some(b'\r')));
        self.place = match (self.place, byte) {
            (Place::Quoted, b'"') => Place::AfterQuote,
            (Place::Quoted, _) => Place::Quoted,
            (Place::AfterQuote | Place::FieldStart, b'"') => Place::Quoted,
            _ if breaks_line || byte == self.delimiter => Place::FieldStart,
            _ => Place::Bare,
        };
        true
    }
}
