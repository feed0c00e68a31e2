//! What a catalogue came as, and what was passed of it.

use encoding_rs::Encoding;

use super::encoding::Source;
use super::notes::{Note, Notes, Raw};

/// What a catalogue came as.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// What it is called.
    pub(super) name: &'static str,
    /// It came in gzip.
    pub(super) gzip: bool,
    /// The sheet that is read.
    pub(super) sheet: Option<String>,
    /// The sheets there are.
    pub(super) sheets: Vec<String>,
    /// What its text is in, where that is not what its records are read from.
    pub(super) encoding: Option<String>,
    pub(super) notes: Option<Notes>,
    /// What JSON is in that is to be written again, and whether a mark says so.
    pub(super) again: Option<(&'static Encoding, bool)>,
    /// What was passed of it and is to be written again.
    pub(super) passed: Vec<u8>,
    pub(super) raw: Option<Box<Raw>>,
}

impl Form {
    /// Whether it came as rows of text.
    pub(super) fn is_text(&self) -> bool {
        self.notes.is_none()
    }

    /// What is known of the record that was read last, where it is no text.
    pub(super) fn take_note(&mut self) -> Note {
        let Some(notes) = &self.notes else { return Note::default() };
        let mut note = notes.take();
        if let Some(raw) = note.raw.take() {
            self.pass();
            self.passed.extend_from_slice(&raw.before);
            self.raw = Some(raw);
        }
        note
    }

    /// The text of the record that was read last.
    pub(super) fn raw_mut(&mut self) -> Option<&mut Raw> {
        self.raw.as_deref_mut()
    }

    /// Hands on all that was passed.
    pub(super) fn hand_on(&mut self, out: &mut Vec<u8>) {
        self.pass();
        out.append(&mut self.passed);
    }

    /// Hands on what was passed before the record that was read last.
    pub(super) fn hand_on_before(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.passed);
    }

    fn pass(&mut self) {
        if let Some(raw) = &mut self.raw {
            self.passed.append(&mut raw.text);
            raw.strings.clear();
        }
    }
}

/// What a source's text is in, as people read it.
pub(super) fn encoding<R>(source: &Source<R>) -> String {
    let name = source.encoding.name();
    if source.marked { format!("{name} with a byte order mark") } else { name.to_owned() }
}
