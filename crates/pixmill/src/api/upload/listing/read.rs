//! JSON as it comes, an entry at a time: as much of it is in memory as its longest entry has.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::rc::Rc;

use http::StatusCode;
use pixmill_engine::code::Code;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::super::super::options::is_option;
use super::super::super::problem::{FieldError, Problem};
use super::rows::Rows;

/// Most bytes of an entry, and of the options together.
const MOST_ENTRY_BYTES: u64 = 8 << 20;

/// Bytes that are read at a time.
const AT_A_TIME: usize = 64 << 10;

/// What a list says.
#[derive(Debug)]
pub(super) struct Listed<W> {
    /// Where the same was written as CSV.
    pub(super) catalogue: W,
    /// Options by name.
    pub(super) options: Vec<(String, String)>,
}

/// Reads a list to its end and writes it as CSV; none when nobody takes that any more, who then has a reason.
///
/// # Errors
/// `body.malformed` for what is no JSON or names something unknown; each entry that is none. `body.too_large`.
pub(super) fn read<W: Write>(json: impl Read, catalogue: W) -> Result<Option<Listed<W>>, Problem> {
    let left = Rc::new(Cell::new(MOST_ENTRY_BYTES));
    let metered = Metered { inner: BufReader::with_capacity(AT_A_TIME, json), left: left.clone() };
    let mut list = List { rows: Rows::new(catalogue), left };
    let mut reading = serde_json::Deserializer::from_reader(metered);
    let read = reading.deserialize_any(Whole(&mut list)).and_then(|body| reading.end().map(|()| body));
    let mut rows = list.rows;
    if rows.unheard {
        return Ok(None);
    }
    let options = options(read.map_err(|error| malformed(&error))?, &mut rows.errors);
    if !rows.errors.is_empty() {
        let detail = "the list holds entries that can't be used";
        let problem = Problem::new(Code::BodyMalformed, detail).with_status(StatusCode::UNPROCESSABLE_ENTITY);
        return Err(problem.because(rows.errors));
    }
    Ok(rows.end().map(|catalogue| Listed { catalogue, options }))
}

fn malformed(error: &serde_json::Error) -> Problem {
    if error.io_error_kind() == Some(io::ErrorKind::FileTooLarge) {
        let detail = format!("an entry may have {MOST_ENTRY_BYTES} bytes, and so may all options together");
        return Problem::new(Code::BodyTooLarge, detail);
    }
    let about = match error.classify() {
        Category::Data => "the body can't be used",
        Category::Io | Category::Syntax | Category::Eof => "the body is no JSON",
    };
    Problem::new(Code::BodyMalformed, format!("{about}: {error}"))
}

/// Counts what is read, until it is too much for one entry.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

/// Where entries go.
struct List<W: Write> {
    rows: Rows<W>,
    /// Bytes that the next entry may have.
    left: Rc<Cell<u64>>,
}

/// The whole body. Gives what stands beside the list.
struct Whole<'l, W: Write>(&'l mut List<W>);

impl<'de, W: Write> Visitor<'de> for Whole<'_, W> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list 'images' or a list 'products'")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut body: A) -> Result<Self::Value, A::Error> {
        let (mut lists, mut beside) = (0, Map::new());
        while let Some(name) = body.next_key::<String>()? {
            let entry: Entry<W> = match name.as_str() {
                "images" => Rows::image,
                "products" => Rows::product,
                _ => {
                    beside.insert(name, body.next_value()?);
                    continue;
                }
            };
            body.next_value_seed(Entries { list: self.0, entry })?;
            lists += 1;
        }
        match lists {
            1 => Ok(beside),
            _ => Err(A::Error::custom("it must hold a list 'images' or a list 'products'")),
        }
    }
}

/// Takes the entry at a place of a list.
type Entry<W> = fn(&mut Rows<W>, usize, &Value);

/// A list.
struct Entries<'l, W: Write> {
    list: &'l mut List<W>,
    entry: Entry<W>,
}

impl<'de, W: Write> DeserializeSeed<'de> for Entries<'_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_any(self)
    }
}

impl<'de, W: Write> Visitor<'de> for Entries<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut at = 0;
        while let Some(entry) = entries.next_element::<Value>()? {
            (self.entry)(&mut self.list.rows, at, &entry);
            if self.list.rows.unheard {
                return Err(A::Error::custom("nobody takes it any more"));
            }
            self.list.left.set(MOST_ENTRY_BYTES);
            at += 1;
        }
        Ok(())
    }
}

fn options(body: Map<String, Value>, errors: &mut Vec<FieldError>) -> Vec<(String, String)> {
    let mut options = Vec::new();
    for (name, value) in body {
        match value {
            Value::Null if name == "recipe" => {}
            Value::Object(recipe) if name == "recipe" => {
                recipe.into_iter().for_each(|(name, value)| option(name, &value, &mut options, errors));
            }
            value => option(name, &value, &mut options, errors),
        }
    }
    options
}

fn option(name: String, value: &Value, options: &mut Vec<(String, String)>, errors: &mut Vec<FieldError>) {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            return errors.push(FieldError::of_field(Code::BodyMalformed, name, "a single value is allowed"));
        }
    };
    if !is_option(&name) {
        return errors.push(FieldError::of_field(Code::BodyMalformed, name, "there is no such option"));
    }
    if !text.is_empty() {
        options.push((name, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Result<Listed<Vec<u8>>, Problem> {
        read(text.as_bytes(), Vec::new()).map(|listed| listed.expect("memory takes all"))
    }

    fn catalogue(text: &str) -> String {
        String::from_utf8(listed(text).unwrap().catalogue).unwrap()
    }

    #[test]
    fn lists_become_catalogues() {
        assert_eq!(
            catalogue(
                r#"{"images": ["http://h/w_1,h_2/a b.jpg", {"url": "http://h/2", "name": "Mug, blue"}]}"#
            ),
            "Product Name,Input Image Urls\n,http://h/w_1%2Ch_2/a%20b.jpg\n\"Mug, blue\",http://h/2\n"
        );
        assert_eq!(
            catalogue(
                r#"{"products": [{"name": "Mug", "images": ["http://h/1", "http://h/2"]}, {"images": []}]}"#
            ),
            "Product Name,Input Image Urls\nMug,\"http://h/1\nhttp://h/2\"\n,\n"
        );
    }

    #[test]
    fn options_stand_beside_or_in_the_recipe() {
        let text = r#"{"images": [], "recipe": {"quality": 40, "progressive": true}, "webhookUrl": "https://h/", "maxWidth": null}"#;
        let mut options = listed(text).unwrap().options;
        options.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("progressive", "true"), pair("quality", "40"), pair("webhookUrl", "https://h/")];
        assert_eq!(options, expected);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (text, field) in [
            (r#"{"images": [1]}"#, "images[0]"),
            (r#"{"images": [{"name": "x"}]}"#, "images[0]"),
            (r#"{"images": [{"url": "http://h/1", "name": 1}]}"#, "images[0]"),
            (r#"{"products": [{"images": [], "name": []}]}"#, "products[0].name"),
            (r#"{"products": [{"images": [" "]}]}"#, "products[0].images"),
            (r#"{"products": [{}]}"#, "products[0].images"),
            (r#"{"images": [], "qualty": 3}"#, "qualty"),
            (r#"{"images": [], "quality": [3]}"#, "quality"),
        ] {
            assert_eq!(listed(text).unwrap_err().fields(), [field], "{text}");
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"images": 1}"#,
            r#"{"images": null}"#,
            r#"{"images": [], "products": []}"#,
            r#"{"images": [], "images": []}"#,
            r#"{"images": []} x"#,
            r#"{"images": ["http://h/1"#,
        ] {
            assert_eq!(listed(text).unwrap_err().code(), Code::BodyMalformed, "{text}");
        }
    }

    const ENTRY: &[u8] = br#""http://h/1","#;

    /// Gives entries, and counts them.
    struct Long {
        left: usize,
        given: Rc<Cell<usize>>,
    }

    impl Read for Long {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let entries = self.left.min(buffer.len() / ENTRY.len());
            buffer.chunks_exact_mut(ENTRY.len()).take(entries).for_each(|part| part.copy_from_slice(ENTRY));
            self.left -= entries;
            self.given.set(self.given.get() + entries);
            Ok(entries * ENTRY.len())
        }
    }

    /// Counts rows, which must come soon after the entries that they are.
    struct Soon {
        rows: usize,
        given: Rc<Cell<usize>>,
    }

    impl Write for Soon {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.rows += bytes.iter().filter(|byte| **byte == b'\n').count();
            let held = (self.given.get() + 1).saturating_sub(self.rows) * ENTRY.len();
            assert!(held < 4 * AT_A_TIME, "{held} bytes are held back");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_list_of_any_length_is_held_in_constant_memory() {
        let given = Rc::new(Cell::new(0));
        let long = Long { left: 1_000_000, given: given.clone() };
        let list = br#"{"images": ["#.chain(long).chain(&br#""http://h/2"], "quality": 40}"#[..]);
        let listed = read(list, Soon { rows: 0, given }).unwrap().expect("all is taken");
        assert_eq!(listed.catalogue.rows, 1_000_002, "a header, and a row an entry");
        assert_eq!(listed.options, [("quality".to_owned(), "40".to_owned())]);
    }

    #[test]
    fn an_entry_has_a_bound() {
        let entry = |bytes: u64| format!(r#"{{"images": ["http://h/{}"]}}"#, "a".repeat(bytes as usize));
        assert!(listed(&entry(MOST_ENTRY_BYTES / 2)).is_ok());
        assert_eq!(listed(&entry(MOST_ENTRY_BYTES)).unwrap_err().code(), Code::BodyTooLarge);
        let options = format!(r#"{{"images": [], "name": "{}"}}"#, "a".repeat(MOST_ENTRY_BYTES as usize));
        assert_eq!(listed(&options).unwrap_err().code(), Code::BodyTooLarge);
    }

    #[test]
    fn reading_ends_with_whoever_takes_the_rows() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let list = format!(r#"{{"images": [{}"x"]}}"#, r#""http://h/1", "#.repeat(100_000));
        let mut rest = list.as_bytes();
        assert!(read(&mut rest, Gone).unwrap().is_none());
        assert!(!rest.is_empty(), "what nobody takes is not read");
    }
}
