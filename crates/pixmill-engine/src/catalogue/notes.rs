//! What is known of each record of a catalogue that came as something else than text, while it is read as text.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Notes on records that were handed out and not taken yet, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(Arc<Mutex<VecDeque<Note>>>);

/// What is known of one record.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// Its line or row in the file, from 1.
    pub(super) line: u64,
    /// Why it can't be used.
    pub(super) fault: Option<&'static str>,
    /// It holds addresses under names that the columns were not made of.
    pub(super) unread: bool,
    /// Its text in the file, where it is to be written again.
    pub(super) raw: Option<Box<Raw>>,
}

/// A record's text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// What stands before it.
    pub(super) before: Vec<u8>,
    /// The record.
    pub(super) text: Vec<u8>,
    /// Where its strings are, quotes left out, and the column of each.
    pub(super) strings: Vec<(usize, Range<usize>)>,
}

impl Notes {
    pub(super) fn push(&self, note: Note) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(note);
    }

    /// The note on the next record.
    pub(super) fn take(&self) -> Note {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default()
    }

    /// The line of the record that is so many records ahead.
    pub(super) fn line_of(&self, ahead: usize) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(ahead).map(|note| note.line)
    }
}
