//! JSON and JSON Lines: their records, as text of comma-separated fields, which is read as any other. One record is held at
//! a time.

mod flat;
mod scan;
mod shape;

use std::io::{self, Read};

use super::cells::{push_field, record};
use super::encoding::{LEAST_ROOM, Source};
use super::notes::{Note, Notes, Raw};
use flat::{Columns, Flat, string, text};
use scan::{Piece, Pieces, Scan, is_space};
use shape::{Row, shape};

/// How much is looked at to know what columns there are, in bytes, and how much at most to see a first record whole.
const LOOK_BYTES: usize = 1 << 20;

/// A longer record costs only itself.
const MOST_RECORD_BYTES: usize = 4 << 20;

/// Records of JSON as comma-separated text.
pub(super) struct Json<R> {
    source: Source<R>,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
    /// The line at `start`.
    line: u64,
    row: Row,
    /// Records are objects, whose columns these are; else lists or strings.
    columns: Option<Columns>,
    flat: Flat,
    cell: String,
    text: String,
    handed: usize,
    finished: bool,
    /// What is to be written again before the next record, where anything is.
    before: Option<Vec<u8>>,
    notes: Notes,
}

impl<R: Read> Json<R> {
    /// Looks at the beginning. None where there is no record.
    ///
    /// # Errors
    /// The reader's.
    pub(super) fn open(source: Source<R>, traced: bool) -> io::Result<Option<Self>> {
        let mut json = Json {
            source,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            line: 1,
            row: Row::After,
            columns: None,
            flat: Flat::default(),
            cell: String::new(),
            text: String::new(),
            handed: 0,
            finished: false,
            before: traced.then(Vec::new),
            notes: Notes::default(),
        };
        while !json.ended && json.buffer.len() < LOOK_BYTES {
            json.fill()?;
        }
        let shape = shape(&json.buffer, json.ended);
        json.row = shape.row;
        json.pass(shape.from);
        let records = json.learn();
        if let Some(columns) = &json.columns {
            json.text = record(columns.names.iter().map(String::as_str)) + "\n";
            json.notes.push(Note::default());
        }
        Ok((records > 0 || !json.ended).then_some(json))
    }

    /// What is known of its records.
    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Whether the first record is the columns' names.
    pub(super) fn is_of_objects(&self) -> bool {
        self.columns.is_some()
    }

    /// Whether each record is a line.
    pub(super) fn is_of_lines(&self) -> bool {
        self.row == Row::Lines
    }

    /// What the text is in.
    pub(super) fn source(&self) -> &Source<R> {
        &self.source
    }

    /// Learns the columns of all records that are in sight; says how many these are.
    fn learn(&mut self) -> usize {
        let (mut columns, mut objects, mut count, mut at) = (Columns::default(), false, 0usize, self.start);
        while let Some(first) = next_value(&self.buffer, at) {
            let (rest, mut scan) = (&self.buffer[first..], Scan::default());
            match rest[0] {
                b']' | b'}' if self.row == Row::Within => break,
                // What was before it is a name.
                b':' => {
                    (at, count) = (first + 1, count.saturating_sub(1));
                    continue;
                }
                _ => {}
            }
            let Some(end) = self.end(&mut scan, rest).filter(|end| *end > 0) else { break };
            count += 1;
            if rest[0] == b'{' {
                objects = true;
                columns.learn(&rest[..end]);
            }
            at = first + end;
        }
        // A first record that is longer than what is looked at.
        if count == 0
            && self.buffer.get(self.start..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
        {
            objects = true;
            columns.learn(&self.buffer[self.start..]);
        }
        self.columns = (objects && !columns.names.is_empty()).then_some(columns);
        count
    }

    /// Where a record ends; none for want of bytes.
    fn end(&self, scan: &mut Scan, rest: &[u8]) -> Option<usize> {
        let end = match self.row {
            Row::Lines => memchr::memchr(b'\n', rest),
            _ => scan.end(rest),
        };
        end.or_else(|| (self.ended && (self.row == Row::Lines || scan.may_end())).then_some(rest.len()))
    }

    /// Moves on by so many bytes, which are kept where they are to be written again.
    fn pass(&mut self, bytes: usize) {
        let passed = &self.buffer[self.start..self.start + bytes];
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        if let Some(before) = &mut self.before {
            before.extend_from_slice(passed);
        }
        self.start += bytes;
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let from = self.buffer.len();
        self.buffer.resize(from + (256 << 10), 0);
        let mut filled = from;
        while self.buffer.len() - filled >= LEAST_ROOM {
            let read = self.source.read(&mut self.buffer[filled..])?;
            filled += read;
            if read == 0 {
                self.ended = true;
                break;
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    /// Writes the next record's text; nothing at the end.
    fn advance(&mut self) -> io::Result<()> {
        self.handed = 0;
        self.text.clear();
        if self.finished || !self.seek()? {
            self.finish()?;
            return Ok(());
        }
        let line = self.line;
        let mut scan = Scan::default();
        let end = loop {
            if let Some(end) = self.end(&mut scan, &self.buffer[self.start..]) {
                break end;
            }
            let length = self.buffer.len() - self.start;
            if self.ended {
                return self.bad(line, length, CUT);
            }
            if length > MOST_RECORD_BYTES {
                return self.skip(scan, line);
            }
            self.fill()?;
        };
        self.write(line, end)
    }

    /// Moves on to the next value; false where there is none.
    fn seek(&mut self) -> io::Result<bool> {
        loop {
            match next_value(&self.buffer, self.start) {
                Some(at) => {
                    if self.row == Row::Within && matches!(self.buffer[at], b']' | b'}') {
                        return Ok(false);
                    }
                    // The name of a member that is a record, or a string that is one.
                    if let Some(colon) = colon_after(&self.buffer, at) {
                        self.pass(colon + 1 - self.start);
                        continue;
                    }
                    self.pass(at - self.start);
                    if self.ended || self.buffer.len() - self.start > LEAST_AHEAD {
                        return Ok(true);
                    }
                    self.fill()?;
                    if self.buffer[self.start] != b'"' {
                        return Ok(true);
                    }
                }
                None if self.ended => {
                    self.pass(self.buffer.len() - self.start);
                    return Ok(false);
                }
                None => {
                    self.pass(self.buffer.len() - self.start);
                    self.fill()?;
                }
            }
        }
    }

    fn write(&mut self, line: u64, end: usize) -> io::Result<()> {
        let record = &self.buffer[self.start..self.start + end];
        let mut strings = Vec::new();
        let fault = match &self.columns {
            Some(columns) => {
                let laid = columns.lay(record, &mut self.flat);
                for column in 0..columns.names.len() {
                    self.flat.cell(record, column, &mut self.cell);
                    push_field(&mut self.text, column == 0, &self.cell);
                }
                if self.before.is_some() {
                    strings = self.flat.strings();
                }
                laid.err().map(|()| if record.starts_with(b"{") { BROKEN } else { NO_OBJECT })
            }
            None => list(record, &mut self.text, &mut strings).err().map(|()| BROKEN),
        };
        self.text.push('\n');
        let raw = self
            .before
            .as_mut()
            .map(|before| Box::new(Raw { before: std::mem::take(before), text: record.to_vec(), strings }));
        let unread = self.columns.is_some() && self.flat.unread;
        self.notes.push(Note { line, fault, unread, raw });
        self.line += memchr::memchr_iter(b'\n', record).count() as u64;
        self.start += end;
        Ok(())
    }

    /// A record of which nothing but its place is kept.
    fn bad(&mut self, line: u64, bytes: usize, fault: &'static str) -> io::Result<()> {
        self.text.push_str("-\n");
        self.notes.push(Note { line, fault: Some(fault), ..Note::default() });
        self.pass(bytes);
        Ok(())
    }

    /// Passes over a record that is too long to be held.
    fn skip(&mut self, mut scan: Scan, line: u64) -> io::Result<()> {
        self.text.push_str("-\n");
        self.notes.push(Note { line, fault: Some(TOO_LONG), ..Note::default() });
        loop {
            if let Some(end) = self.end(&mut scan, &self.buffer[self.start..]) {
                self.pass(end);
                return Ok(());
            }
            if self.ended {
                self.pass(self.buffer.len() - self.start);
                return Ok(());
            }
            let looked = if self.row == Row::Lines { self.buffer.len() - self.start } else { scan.at() };
            self.pass(looked);
            scan.forget(looked);
            self.fill()?;
        }
    }

    /// What follows the records, where it is to be written again.
    fn finish(&mut self) -> io::Result<()> {
        self.finished = true;
        if self.before.is_none() {
            return Ok(());
        }
        while !self.ended {
            self.pass(self.buffer.len() - self.start);
            self.fill()?;
        }
        self.pass(self.buffer.len() - self.start);
        if let Some(before) = self.before.take() {
            self.notes
                .push(Note { raw: Some(Box::new(Raw { before, ..Raw::default() })), ..Note::default() });
        }
        Ok(())
    }
}

/// How much is held at least where a record begins, so that a member's name is told from a string.
const LEAST_AHEAD: usize = 64 << 10;

const CUT: &str = "The file ends within this record.";
const TOO_LONG: &str = "The record is longer than 4 MiB: shorten it.";
const BROKEN: &str = "The record is not valid JSON.";
const NO_OBJECT: &str = "The record is no object as others are.";

/// Where the colon is after a member's name that begins here; none where it is no name.
fn colon_after(buffer: &[u8], at: usize) -> Option<usize> {
    if buffer[at] != b'"' {
        return None;
    }
    let end = at + Scan::default().end(&buffer[at..])?;
    let colon = end + buffer[end..].iter().position(|byte| !is_space(*byte))?;
    (buffer[colon] == b':').then_some(colon)
}

/// Where the next value begins, or what ends the list that it would be in.
fn next_value(buffer: &[u8], from: usize) -> Option<usize> {
    let passed = buffer.get(from..)?.iter().position(|byte| !is_space(*byte) && *byte != b',')?;
    Some(from + passed)
}

/// A list of values as fields, or one value alone.
fn list(
    record: &[u8],
    out: &mut String,
    strings: &mut Vec<(usize, std::ops::Range<usize>)>,
) -> Result<(), ()> {
    let (mut pieces, mut depth, mut column) = (Pieces::new(record), 0, 0);
    loop {
        match pieces.next()? {
            Some(Piece::Open { .. }) => depth += 1,
            Some(Piece::Close) => depth -= 1,
            Some(Piece::Key(_)) => {}
            Some(Piece::String(at)) => {
                push_field(out, column == 0, &string(&record[at.clone()]));
                strings.push((column, at));
                column += 1;
            }
            Some(Piece::Bare(at)) => {
                let bare = text(&record[at]);
                push_field(out, column == 0, if bare == "null" { "" } else { &bare });
                column += 1;
            }
            None => return if depth == 0 { Ok(()) } else { Err(()) },
        }
    }
}

impl<R: Read> Read for Json<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.handed == self.text.len() {
            self.advance()?;
        }
        let mut rest = &self.text.as_bytes()[self.handed..];
        let read = rest.read(room)?;
        self.handed += read;
        Ok(read)
    }
}
