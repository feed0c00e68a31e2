//! The XML in spreadsheets: elements and texts, one after the other.

use std::borrow::Cow;
use std::io::{self, BufReader};

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesEnd, BytesStart, Event};

use super::super::package::Part;

/// Reads a part as XML, of which it holds one piece at a time.
pub(super) struct Xml {
    reader: Reader<BufReader<Part>>,
    buffer: Vec<u8>,
}

/// A piece of XML.
pub(super) enum Token<'a> {
    /// An element begins.
    Start(BytesStart<'a>),
    /// An element ends.
    End(BytesEnd<'a>),
    /// A text, or a part of one.
    Text(Cow<'a, str>),
    /// Whatever else.
    Other,
    /// Nothing more.
    Finished,
}

impl Xml {
    pub(super) fn new(part: Part) -> Self {
        let mut reader = Reader::from_reader(BufReader::with_capacity(64 << 10, part));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        Xml { reader, buffer: Vec::new() }
    }

    /// The next piece.
    ///
    /// # Errors
    /// The part's, and `InvalidData` for what is no XML.
    pub(super) fn next(&mut self) -> io::Result<Token<'_>> {
        self.buffer.clear();
        self.reader.get_mut().get_mut().begin_piece();
        let event = self.reader.read_event_into(&mut self.buffer).map_err(broken)?;
        Ok(match event {
            Event::Start(start) | Event::Empty(start) => Token::Start(start),
            Event::End(end) => Token::End(end),
            Event::Text(text) => Token::Text(lossy(text.into_inner())),
            Event::CData(text) => Token::Text(lossy(text.into_inner())),
            Event::GeneralRef(reference) => {
                let letter = reference.resolve_char_ref().ok().flatten();
                let name = String::from_utf8_lossy(&reference).into_owned();
                match (letter, resolve_predefined_entity(&name)) {
                    (Some(letter), _) => Token::Text(Cow::Owned(letter.to_string())),
                    (None, Some(text)) => Token::Text(Cow::Borrowed(text)),
                    (None, None) => Token::Other,
                }
            }
            Event::Eof => Token::Finished,
            _ => Token::Other,
        })
    }
}

/// The value of an element's attribute of this name, whatever its prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name.as_bytes())?;
    let text = String::from_utf8_lossy(&found.value);
    Some(unescape(&text).map_or_else(|_| text.clone().into_owned(), Cow::into_owned))
}

fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn broken(error: quick_xml::Error) -> io::Error {
    match error {
        quick_xml::Error::Io(error) => io::Error::new(error.kind(), error.to_string()),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("its XML is broken: {other}")),
    }
}
