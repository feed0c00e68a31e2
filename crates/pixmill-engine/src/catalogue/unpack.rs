//! What kind of file a catalogue came in, and the text that is in it.

use std::io::{self, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::encoding::{Source, is_text};
use super::json::Json;
use super::package::MOST_BYTES;
use super::refusal::{OpenError, Refusal};
use super::sheet::{Book, Sheet};
use crate::code::Code;

/// How much is looked at, in bytes.
const SAMPLE_BYTES: usize = 64 * 1024;

/// What was packed may become so many times larger, and this much in any case: catalogues become ten times larger, bombs a
/// thousand times.
const MOST_TIMES_LARGER: u64 = 200;
const BYTES_IN_ANY_CASE: u64 = 64 << 20;

/// A reader whose first bytes were looked at.
type Seen<R> = Chain<Cursor<Vec<u8>>, R>;

/// The text of a catalogue.
pub(super) enum Unpacked<R> {
    /// As it came.
    Plain(Seen<R>),
    /// Out of gzip.
    Gzip(Box<Bounded<R>>),
    /// A sheet's rows.
    Sheet(Box<Sheet>),
    /// Records of JSON.
    Json(Box<Json<Unpacked<R>>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(plain) => plain.read(room),
            Unpacked::Gzip(packed) => packed.read(room),
            Unpacked::Sheet(sheet) => sheet.read(room),
            Unpacked::Json(json) => json.read(room),
        }
    }
}

/// What a catalogue came as.
pub(super) enum Opened<R> {
    /// Rows of text.
    Text(Unpacked<R>),
    /// Records of JSON.
    Json(Unpacked<R>),
    /// A spreadsheet.
    Book(Box<Book>),
}

/// Unpacks a catalogue, as far as it is packed; says whether it came in gzip.
///
/// # Errors
/// `catalogue.encoding` for what is no catalogue, `catalogue.too_large`; the reader's errors.
pub(super) fn unpack<R: Read>(mut reader: R) -> Result<(Opened<R>, bool), OpenError> {
    let sample = sample(&mut reader)?;
    if sample.starts_with(b"\x1f\x8b") {
        let mut inner = Bounded::new(Cursor::new(sample).chain(reader));
        inner.look().map_err(|error| {
            refused(format!(
                "It is a gzip file that can't be unpacked ({error}): pack it again or send it as it is."
            ))
        })?;
        let seen = inner.seen.clone();
        return Ok((opened(Unpacked::Gzip(Box::new(inner)), &seen, "a gzip file with ")?, true));
    }
    let seen = sample.clone();
    Ok((opened(Unpacked::Plain(Cursor::new(sample).chain(reader)), &seen, "")?, false))
}

fn opened<R: Read>(unpacked: Unpacked<R>, sample: &[u8], within: &str) -> Result<Opened<R>, OpenError> {
    if sample.starts_with(b"PK\x03\x04") || sample.starts_with(b"PK\x05\x06") {
        return book(unpacked, within);
    }
    judge(sample, within)?;
    Ok(if is_json(sample) { Opened::Json(unpacked) } else { Opened::Text(unpacked) })
}

/// A spreadsheet, which is held in memory: its directory stands at its end.
fn book<R: Read>(reader: impl Read, within: &str) -> Result<Opened<R>, OpenError> {
    let mut bytes = Vec::new();
    reader.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused(format!(
            "The catalogue is {within}a spreadsheet of more than 64 MiB: save the sheet as CSV."
        )));
    }
    let book = Book::open(bytes).map_err(|what| refused(format!("The catalogue is {within}{what}.")))?;
    Ok(Opened::Book(Box::new(book)))
}

fn sample(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut sample = Vec::new();
    reader.take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
    Ok(sample)
}

fn refused(reason: String) -> OpenError {
    OpenError::Refused(Refusal { code: Code::CatalogueEncoding, line: 1, reason })
}

/// Refuses what is no text of rows, as what it is.
fn judge(sample: &[u8], within: &str) -> Result<(), OpenError> {
    if let Some((_, what, advice)) = SIGNATURES.iter().find(|(bytes, ..)| sample.starts_with(bytes)) {
        return Err(refused(format!("The catalogue is {within}{what}: {advice}.")));
    }
    if let Some((what, advice)) = markup(sample) {
        return Err(refused(format!("The catalogue is {within}{what}: {advice}.")));
    }
    if !is_text(sample) {
        return Err(refused(format!("The catalogue is {within}not text: export it as CSV.")));
    }
    Ok(())
}

const AS_CSV: &str = "export it as CSV";
const UNPACK: &str = "unpack it and hand in what is in it";
const A_PICTURE: &str = "`pixmill image` works on single pictures";

const SIGNATURES: [(&[u8], &str, &str); 16] = [
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ", "an xz file", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file", UNPACK),
    (b"Rar!", "a RAR file", UNPACK),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel or Word file (.xls), or one with a password",
        "save it as .xlsx or CSV",
    ),
    (b"\x89PNG", "a PNG picture", A_PICTURE),
    (b"\xff\xd8\xff", "a JPEG picture", A_PICTURE),
    (b"GIF8", "a GIF picture", A_PICTURE),
    (b"RIFF", "a WebP picture or a recording", A_PICTURE),
    (b"II*\0", "a TIFF picture", A_PICTURE),
    (b"MM\0*", "a TIFF picture", A_PICTURE),
    (b"%PDF-", "a PDF document", AS_CSV),
    (b"{\\rtf", "an RTF document", AS_CSV),
    (b"PAR1", "a Parquet file", AS_CSV),
    (b"SQLite format 3", "an SQLite database", AS_CSV),
];

/// A list or an object, or a line of one each.
fn is_json(sample: &[u8]) -> bool {
    let mut text = vec![0; 4096];
    let length = Source::open(sample, None).and_then(|mut source| source.read(&mut text)).unwrap_or(0);
    let text = text[..length].trim_ascii_start();
    let after = |from: usize| text.get(from..).unwrap_or_default().trim_ascii_start();
    match text.first() {
        Some(b'{') => match after(1).first() {
            Some(b'"') => memchr::memmem::find(text, b":").is_some(),
            byte => byte == Some(&b'}'),
        },
        Some(b'[') => match after(1) {
            [b'{', rest @ ..] => matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')),
            [b'[', rest @ ..] => matches!(rest.trim_ascii_start().first(), Some(b'"' | b'{' | b'[')),
            [b']', rest @ ..] => rest.trim_ascii_start().is_empty(),
            [b'"', ..] => text.len() == 4096 || text.trim_ascii_end().ends_with(b"]"),
            _ => false,
        },
        _ => false,
    }
}

/// HTML, which shops call .xls, and other markup.
fn markup(sample: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = encoding_rs::Encoding::for_bom(sample).map_or(sample, |(_, length)| &sample[length..]);
    let text = text.trim_ascii_start();
    if !text.starts_with(b"<") {
        return None;
    }
    let start: Vec<u8> = text.iter().take(4096).map(u8::to_ascii_lowercase).collect();
    let holds = |word: &[u8]| memchr::memmem::find(&start, word).is_some();
    let html = [
        &b"<!doctype html"[..],
        b"<html",
        b"<head",
        b"<body",
        b"<table",
        b"<meta",
        b"<div",
        b"<script",
        b"<!--",
    ];
    match () {
        () if start.starts_with(b"<?xml") && holds(b"schemas-microsoft-com:office:spreadsheet") => {
            Some(("an Excel 2003 XML file", "save it as CSV"))
        }
        () if start.starts_with(b"<svg") || (start.starts_with(b"<?xml") && holds(b"<svg")) => {
            Some(("an SVG picture", AS_CSV))
        }
        () if html.iter().any(|tag| start.starts_with(tag))
            || (start.starts_with(b"<?xml") && holds(b"<html")) =>
        {
            Some(("an HTML page, whatever its name", "open it in a spreadsheet and save it as CSV"))
        }
        () if start.starts_with(b"<?xml")
            || start.starts_with(b"<rss")
            || start.starts_with(b"<feed")
            || start.starts_with(b"<!doctype") =>
        {
            Some(("an XML file", AS_CSV))
        }
        () => None,
    }
}

/// A gzip file's content, which ends with an error where it becomes too large.
pub(super) struct Bounded<R> {
    decoder: MultiGzDecoder<Counted<Seen<R>>>,
    /// What was looked at, and how much of it was handed out.
    seen: Vec<u8>,
    handed: usize,
    written: u64,
}

struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(room)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl<R: Read> Bounded<R> {
    fn new(inner: Seen<R>) -> Self {
        let decoder = MultiGzDecoder::new(Counted { inner, read: 0 });
        Bounded { decoder, seen: Vec::new(), handed: 0, written: 0 }
    }

    /// Unpacks the beginning.
    fn look(&mut self) -> io::Result<()> {
        (&mut self.decoder).take(SAMPLE_BYTES as u64).read_to_end(&mut self.seen)?;
        self.written = self.seen.len() as u64;
        Ok(())
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.handed < self.seen.len() {
            let count = room.len().min(self.seen.len() - self.handed);
            room[..count].copy_from_slice(&self.seen[self.handed..self.handed + count]);
            self.handed += count;
            return Ok(count);
        }
        let read = self.decoder.read(room)?;
        self.written += read as u64;
        if self.written > BYTES_IN_ANY_CASE && self.written / MOST_TIMES_LARGER > self.decoder.get_ref().read
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LARGE));
        }
        Ok(read)
    }
}

const TOO_LARGE: &str =
    "the gzip file becomes more than 200 times larger, as no catalogue does; unpack it first";

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let (opened, _) = unpack(bytes).map_err(|error| error.to_string())?;
        let Opened::Text(mut unpacked) = opened else { return Err("no text".to_owned()) };
        let mut all = Vec::new();
        unpacked.read_to_end(&mut all).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn gzip_is_unpacked_whatever_its_length() {
        for length in [0, 1, 100, SAMPLE_BYTES, SAMPLE_BYTES * 5 + 3] {
            let text: Vec<u8> = (0..length).map(|at| b'a' + (at * 7 % 26) as u8).collect();
            assert!(unpacked(&gzip(&text)) == Ok(text), "{length}");
        }
        let two = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(unpacked(&two), Ok(b"ab".to_vec()));
    }

    #[test]
    fn bombs_and_broken_files_are_refused() {
        let bomb = gzip(&vec![b'a'; (BYTES_IN_ANY_CASE + (1 << 20)) as usize]);
        assert!(unpacked(&bomb).unwrap_err().contains("200 times"));
        let broken = unpacked(b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc").unwrap_err();
        assert!(broken.contains("gzip file that can't be unpacked"), "{broken}");
    }

    #[test]
    fn other_files_are_refused_as_what_they_are() {
        for (bytes, what) in [
            (&b"%PDF-1.7 x"[..], "PDF"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
            (b"<html><body><table>", "HTML"),
            (b"\xef\xbb\xbf \n<!DOCTYPE html><p>", "HTML"),
            (b"PK\x03\x04", "a ZIP file"),
            (b"<?xml version=\"1.0\"?><rss>", "XML"),
            (b"\0\x01\x02\x03\x04\x05\x06\x07\x08", "not text"),
        ] {
            let refused = unpacked(bytes).unwrap_err();
            assert!(refused.contains(what), "{refused}");
        }
        let page = unpacked(&gzip(b"<html>")).unwrap_err();
        assert!(page.contains("gzip file with an HTML page"), "{page}");
        assert_eq!(unpacked(b"<b>,url\n"), Ok(b"<b>,url\n".to_vec()));
    }

    #[test]
    fn json_is_known_whatever_its_encoding() {
        let is = |bytes: &[u8]| matches!(unpack(bytes), Ok((Opened::Json(_), _)));
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for text in [
            "[{\"name\": \"Cap\"}]",
            "{\"a\":1}\n{\"a\":2}\n",
            "[\n \"http://a/1.png\"\n]",
            "[[\"a\"]]",
            "[]",
        ] {
            assert!(is(text.as_bytes()) && is(&wide(text)) && is(&gzip(text.as_bytes())), "{text}");
            assert!(is(format!("\u{feff}{text}").as_bytes()), "{text}");
        }
        for text in ["{name},url\n", "[name],url\n", "[\"http://a/1.png\"],x\n"] {
            assert!(!is(text.as_bytes()), "{text}");
        }
    }
}
