//! The fields of one record as text.

use std::borrow::Cow;

use super::scan::{Escapes, Scan, Span};

/// Fields, borrowed from the record they are in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    /// The record without its line end.
    pub(super) text: &'a str,
    pub(super) spans: &'a [Span],
}

/// Where records go that had to be decoded on their own; its buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) text: String,
    pub(super) scan: Scan,
}

impl<'a> Fields<'a> {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A field's value, quotes undone; empty where the record has no such field.
    pub(super) fn value(&self, index: usize) -> Cow<'a, str> {
        let Some(span) = self.spans.get(index) else { return Cow::Borrowed("") };
        if span.escapes == Escapes::Nothing {
            return Cow::Borrowed(&self.text[span.start..span.end]);
        }
        let mut value = String::with_capacity(span.end - span.start);
        span.push_value(self.text, &mut value);
        Cow::Owned(value)
    }

    /// Whether the record is a blank line, or one of nothing but delimiters, white space and empty quotes.
    pub(super) fn is_blank(&self, delimiter: u8) -> bool {
        self.text.bytes().all(|byte| byte == delimiter || matches!(byte, b' ' | b'\t' | b'"'))
    }
}
