//! Entries of a list as rows of a catalogue.

use std::io::Write;

use pixmill_engine::code::Code;
use serde_json::{Map, Value};

use super::super::super::problem::FieldError;

/// Faults that are told.
const FAULTS: usize = 1_000;

/// Bytes that are written at a time.
const AT_A_TIME: usize = 64 << 10;

/// Writes rows until an entry is wrong, and goes on looking for others.
pub(super) struct Rows<W: Write> {
    writer: csv::Writer<W>,
    /// What is wrong.
    pub(super) errors: Vec<FieldError>,
    /// Nobody takes rows any more.
    pub(super) unheard: bool,
}

impl<W: Write> Rows<W> {
    /// Begins a catalogue.
    pub(super) fn new(catalogue: W) -> Self {
        let writer = csv::WriterBuilder::new().buffer_capacity(AT_A_TIME).from_writer(catalogue);
        let mut rows = Rows { writer, errors: Vec::new(), unheard: false };
        rows.write("Product Name", "Input Image Urls");
        rows
    }

    /// The catalogue, all of it written; none when nobody takes it.
    pub(super) fn end(self) -> Option<W> {
        self.writer.into_inner().ok().filter(|_| !self.unheard)
    }

    fn write(&mut self, name: &str, urls: &str) {
        if self.errors.is_empty() {
            self.unheard |= self.writer.write_record([name, urls]).is_err();
        }
    }

    fn wrong(&mut self, field: String, message: &str) {
        if self.errors.len() < FAULTS {
            self.errors.push(FieldError::of_field(Code::BodyMalformed, field, message));
        }
    }

    pub(super) fn image(&mut self, at: usize, image: &Value) {
        let (url, name) = match image {
            Value::String(url) => (Some(url.as_str()), Some("")),
            Value::Object(image) => (image.get("url").and_then(Value::as_str), name(image)),
            _ => (None, None),
        };
        match (url.filter(|url| !url.trim().is_empty()), name) {
            (Some(url), Some(name)) => self.write(name, &cell(url)),
            _ => self.wrong(
                format!("images[{at}]"),
                "allowed are an address, and an object with 'url' and 'name'",
            ),
        }
    }

    pub(super) fn product(&mut self, at: usize, product: &Value) {
        let Value::Object(product) = product else {
            return self.wrong(format!("products[{at}]"), "allowed are objects with 'name' and 'images'");
        };
        let Some(Value::Array(images)) = product.get("images") else {
            return self.wrong(format!("products[{at}].images"), "a list of addresses is needed");
        };
        let urls: Vec<String> = images.iter().filter_map(Value::as_str).map(cell).collect();
        if urls.len() < images.len() || urls.iter().any(String::is_empty) {
            return self.wrong(format!("products[{at}].images"), "allowed are addresses alone");
        }
        match name(product) {
            Some(name) => self.write(name, &urls.join("\n")),
            None => self.wrong(format!("products[{at}].name"), "allowed is text"),
        }
    }
}

/// The name of a product, which may have none; `None` for what is no text.
fn name(product: &Map<String, Value>) -> Option<&str> {
    match product.get("name") {
        None | Some(Value::Null) => Some(""),
        Some(name) => name.as_str(),
    }
}

/// An address so that a cell of many parts it from others only where it ends: what may part is written otherwise.
fn cell(url: &str) -> String {
    let mut cell = String::with_capacity(url.len());
    for letter in url.trim().chars() {
        match letter {
            ' ' => cell.push_str("%20"),
            ',' => cell.push_str("%2C"),
            '|' => cell.push_str("%7C"),
            '"' => cell.push_str("%22"),
            letter if letter.is_whitespace() || letter.is_control() => {}
            letter => cell.push(letter),
        }
    }
    cell
}
