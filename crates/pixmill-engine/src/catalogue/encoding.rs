//! From whatever encoding a catalogue came in to UTF-8, streamed.

use std::io::{self, Chain, Cursor, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::guess::legacy;
use super::trace::Trace;

/// How much is looked at before deciding, in bytes.
const SAMPLE_BYTES: usize = 64 * 1024;
/// The least room that is asked to be filled, in bytes: a decoder needs space for a character.
pub(super) const LEAST_ROOM: usize = 64;

/// A reader's bytes as UTF-8, without NUL bytes. What was taken for UTF-8 is passed on as it is, broken sequences included.
pub(super) struct Source<R> {
    raw: Chain<Cursor<Vec<u8>>, R>,
    decoding: Option<Decoding>,
    /// What they are in.
    pub(super) encoding: &'static Encoding,
    /// They begin with a byte order mark.
    pub(super) marked: bool,
    /// NUL bytes that were dropped.
    pub(super) nul_bytes: u64,
    /// Which bytes became which text, where that is asked for.
    pub(super) trace: Option<Trace>,
}

/// An encoding by one of its names: those of WHATWG, and what Macs and databases call them.
pub(super) fn by_label(label: &str) -> Option<&'static Encoding> {
    let plain: String = label.trim().to_lowercase().replace([' ', '_'], "-");
    let known = Encoding::for_label(plain.as_bytes())
        .or_else(|| Encoding::for_label(plain.replace('-', "").as_bytes()));
    known.or_else(|| match plain.replace('-', "").as_str() {
        "macroman" | "macosroman" | "macwestern" | "mac" => Some(encoding_rs::MACINTOSH),
        "utf16" | "ucs2" | "unicode" => Some(UTF_16LE),
        "utf8mb4" | "utf8bom" | "utf8sig" => Some(UTF_8),
        "ansi" | "western" => Some(encoding_rs::WINDOWS_1252),
        "gb2312" | "cp936" => Some(encoding_rs::GBK),
        "cp932" => Some(encoding_rs::SHIFT_JIS),
        _ => None,
    })
}

struct Decoding {
    decoder: Decoder,
    input: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    finished: bool,
}

impl<R: Read> Source<R> {
    /// Looks at the first bytes, unless the encoding is told.
    pub(super) fn open(reader: R, told: Option<&'static Encoding>) -> io::Result<Self> {
        Self::open_with(reader, told, None)
    }

    /// Opens and keeps in mind which bytes become which text.
    pub(super) fn open_traced(reader: R, told: Option<&'static Encoding>) -> io::Result<Self> {
        Self::open_with(reader, told, Some(Trace::default()))
    }

    fn open_with(
        mut reader: R,
        told: Option<&'static Encoding>,
        mut trace: Option<Trace>,
    ) -> io::Result<Self> {
        let mut sample = Vec::new();
        reader.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
        let mark = Encoding::for_bom(&sample);
        // Whoever tells another encoding than a mark knows less than the file.
        let (encoding, length) = mark.unwrap_or_else(|| (told.unwrap_or_else(|| sniff(&sample)), 0));
        let mut head = Cursor::new(sample);
        head.set_position(length as u64);
        if let Some(trace) = &mut trace {
            trace.push(&head.get_ref()[..length], 0);
        }
        let decoding = (encoding != UTF_8).then(|| Decoding::new(encoding));
        Ok(Source {
            raw: head.chain(reader),
            decoding,
            encoding,
            marked: mark.is_some(),
            nul_bytes: 0,
            trace,
        })
    }

    /// Fills some of `room`, which has at least [`LEAST_ROOM`] bytes. Zero is the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match (&mut self.decoding, &mut self.trace) {
                (None, None) => read_some(&mut self.raw, room)?,
                (None, Some(trace)) => {
                    let read = read_some(&mut self.raw, room)?;
                    trace.push_text(&room[..read]);
                    read
                }
                (Some(decoding), None) => decoding.read(&mut self.raw, room)?,
                (Some(decoding), Some(trace)) => decoding.read_traced(&mut self.raw, room, trace)?,
            };
            let left = without_nul(&mut room[..read]);
            self.nul_bytes += (read - left) as u64;
            if left > 0 || read == 0 {
                return Ok(left);
            }
        }
    }
}

/// Moves all but NUL bytes to the front, and says how many these are.
fn without_nul(bytes: &mut [u8]) -> usize {
    let Some(first) = memchr::memchr(0, bytes) else { return bytes.len() };
    let mut kept = first;
    for at in first..bytes.len() {
        if bytes[at] != 0 {
            bytes[kept] = bytes[at];
            kept += 1;
        }
    }
    kept
}

fn read_some(reader: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Decoding {
    /// Decodes byte by byte, so that it is known what each becomes.
    fn read_traced(&mut self, raw: &mut impl Read, room: &mut [u8], trace: &mut Trace) -> io::Result<usize> {
        let mut filled = 0;
        while !self.finished && room.len() - filled >= LEAST_ROOM / 2 {
            if self.start == self.end && !self.ended {
                if filled > 0 {
                    break;
                }
                self.start = 0;
                self.end = read_some(raw, &mut self.input)?;
                self.ended = self.end == 0;
            }
            let one = self.start..(self.start + 1).min(self.end);
            let byte = &self.input[one];
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(byte, &mut room[filled..], self.ended);
            let zeros = memchr::memchr_iter(0, &room[filled..filled + written]).count();
            match written {
                0 if read > 0 => trace.push_pending(byte),
                _ => trace.push(byte, written - zeros),
            }
            self.start += read;
            filled += written;
            self.finished = self.ended && self.start == self.end && result == CoderResult::InputEmpty;
        }
        Ok(filled)
    }

    fn new(encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Decoding { decoder, input: vec![0; SAMPLE_BYTES], start: 0, end: 0, ended: false, finished: false }
    }

    fn read(&mut self, raw: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
        // A decoder must not be used after its end.
        while !self.finished {
            if self.start == self.end && !self.ended {
                self.start = 0;
                self.end = read_some(raw, &mut self.input)?;
                self.ended = self.end == 0;
            }
            let input = &self.input[self.start..self.end];
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, room, self.ended);
            self.start += read;
            // What ends within a character is written as replaced, at the end itself.
            self.finished = self.ended && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

fn sniff(sample: &[u8]) -> &'static Encoding {
    match utf16_without_mark(sample) {
        Some(encoding) => encoding,
        None if is_mostly_utf8(sample) => UTF_8,
        None => legacy(sample, sample.len() < SAMPLE_BYTES),
    }
}

/// Whether bytes can be text at all. White space is as C's `isspace` has it: databases export line breaks inside a field as
/// vertical tabs.
pub(super) fn is_text(sample: &[u8]) -> bool {
    if Encoding::for_bom(sample).is_some() || utf16_without_mark(sample).is_some() {
        return true;
    }
    let is_control = |byte: u8| {
        byte < 0x20 && byte != 0 && !byte.is_ascii_whitespace() && !matches!(byte, 0x0b | 0x01 | 0x1f)
    };
    let controls = sample.iter().filter(|byte| is_control(**byte)).count();
    let zeros = memchr::memchr_iter(0, sample).count();
    let many_controls = controls >= 4 && controls * 20 > sample.len();
    let many_zeros = zeros >= 4 && zeros * 3 > sample.len();
    !many_controls && !many_zeros
}

/// A header in UTF-16 is mostly ASCII, so every other byte of it is zero.
fn utf16_without_mark(sample: &[u8]) -> Option<&'static Encoding> {
    let start = &sample[..sample.len().min(256)];
    let zeros = |parity: usize| start.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), start.len() / 2);
    match half >= 2 {
        true if odd * 10 >= half * 6 && even * 20 <= half => Some(UTF_16LE),
        true if even * 10 >= half * 6 && odd * 20 <= half => Some(UTF_16BE),
        _ => None,
    }
}

/// Legacy text hardly ever holds a valid sequence of several bytes; UTF-8 with a few broken ones holds many.
fn is_mostly_utf8(sample: &[u8]) -> bool {
    let (mut good, mut broken, mut seen) = (0usize, 0usize, 0usize);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        seen += chunk.valid().len() + chunk.invalid().len();
        let cut_off = seen == SAMPLE_BYTES && sample.len() == SAMPLE_BYTES;
        broken += usize::from(!chunk.invalid().is_empty() && !cut_off);
    }
    broken == 0 || good > broken
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut source = Source::open(bytes, None).expect("slices can be read");
        let (mut text, mut room) = (Vec::new(), [0; LEAST_ROOM]);
        loop {
            match source.read(&mut room).expect("slices can be read") {
                0 => break,
                count => text.extend_from_slice(&room[..count]),
            }
        }
        assert_eq!(source.read(&mut room).expect("slices can be read"), 0, "the end stays the end");
        Ok(text)
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    }

    const TEXT: &str = "S. No.,Product Name,Input Image Urls\n1,Tasse ☕ à café,http://a/1.png\n";

    #[test]
    fn a_file_that_ends_within_a_character_is_read_to_its_end() {
        let mut cut = utf16(&format!("\u{feff}{TEXT}"), false);
        cut.pop();
        let text = decoded(&cut).expect("text");
        assert!(text.ends_with("/a/1.png\u{fffd}".as_bytes()), "{}", String::from_utf8_lossy(&text));
        for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::GBK, encoding_rs::EUC_KR, encoding_rs::BIG5] {
            let mut source =
                Source::open(&b"name,url\n\x83"[..], Some(encoding)).expect("slices can be read");
            let mut room = [0; LEAST_ROOM];
            while source.read(&mut room).expect("slices can be read") > 0 {}
        }
    }

    #[test]
    fn marks_tell_the_encoding_and_are_dropped() {
        let mut marked = b"\xef\xbb\xbf".to_vec();
        marked.extend_from_slice(TEXT.as_bytes());
        assert_eq!(decoded(&marked), Ok(TEXT.as_bytes().to_vec()));
        for big in [false, true] {
            assert_eq!(decoded(&utf16(&format!("\u{feff}{TEXT}"), big)), Ok(TEXT.as_bytes().to_vec()));
        }
    }

    #[test]
    fn utf16_is_known_without_a_mark_and_over_many_reads() {
        let long = TEXT.repeat(5000);
        for big in [false, true] {
            assert!(decoded(&utf16(&long, big)) == Ok(long.as_bytes().to_vec()), "big: {big}");
        }
    }

    #[test]
    fn windows_1252_is_the_usual_legacy_encoding() {
        let (bytes, _, lossy) = WINDOWS_1252.encode("name,url\nTasse à café – “grand” €,x\n");
        assert!(!lossy);
        assert_eq!(decoded(&bytes), Ok("name,url\nTasse à café – “grand” €,x\n".as_bytes().to_vec()));
    }

    #[test]
    fn western_text_stays_windows_1252_when_there_is_enough_to_guess_from() {
        for line in [
            "Tasse à café – “grand” €",
            "Große Tasse für Süßes",
            "Cañón español, ¡qué niño!",
            "Blå kopp på høyde",
        ] {
            let text = format!("name,url\n{}", format!("{line};x\n").repeat(60));
            let (bytes, _, lossy) = WINDOWS_1252.encode(&text);
            assert!(!lossy);
            assert_eq!(decoded(&bytes).map(|text| String::from_utf8(text).unwrap()), Ok(text));
        }
    }

    #[test]
    fn other_legacy_encodings_are_guessed_from_enough_text() {
        let cases = [
            (encoding_rs::SHIFT_JIS, "マグカップ、青い"),
            (encoding_rs::WINDOWS_1251, "Большая синяя чашка"),
            (encoding_rs::GBK, "大号蓝色陶瓷杯子"),
        ];
        for (encoding, line) in cases {
            let text = format!("name,url\n{}", format!("{line},x\n").repeat(60));
            let (bytes, _, lossy) = encoding.encode(&text);
            assert!(!lossy);
            assert_eq!(
                decoded(&bytes).map(|text| String::from_utf8(text).unwrap()),
                Ok(text),
                "{}",
                encoding.name()
            );
        }
    }

    #[test]
    fn a_character_cut_by_the_samples_end_is_still_utf8() {
        let mut text = "url\n".to_owned();
        text.push_str(&"x".repeat(SAMPLE_BYTES - 1 - text.len()));
        text.push_str("é\n");
        assert!(decoded(text.as_bytes()) == Ok(text.clone().into_bytes()));
    }

    #[test]
    fn one_broken_byte_among_much_utf8_does_not_change_the_encoding() {
        let mut bytes = "name,url\nà café,x\n".as_bytes().to_vec();
        bytes.extend_from_slice(b"caf\xe9,y\n");
        assert_eq!(decoded(&bytes), Ok(bytes.clone()));
    }

    #[test]
    fn vertical_tabs_are_text() {
        let text = b"name,url\n\x0b\x0b\x0b,\x0b\n";
        assert_eq!(decoded(text), Ok(text.to_vec()));
    }

    #[test]
    fn nul_bytes_are_dropped_and_counted() {
        let mut source = Source::open(&b"name,url\nMu\0g,x\0\0\n"[..], None).unwrap();
        let mut room = [0; LEAST_ROOM];
        let read = source.read(&mut room).unwrap();
        assert_eq!((&room[..read], source.nul_bytes), (&b"name,url\nMug,x\n"[..], 3));
        assert_eq!(source.read(&mut room).unwrap(), 0);
    }

    #[test]
    fn what_is_not_text_is_known() {
        assert!(!is_text(&(0..=255).collect::<Vec<u8>>()));
        assert!(!is_text(&[0; 4096]));
        assert!(is_text(b"") && is_text(b"name,url\nMu\0g,x\n"));
        assert!(is_text(&utf16("name,url", false)));
    }

    #[test]
    fn what_is_told_of_the_encoding_counts_unless_a_mark_says_otherwise() {
        let told = by_label("Mac Roman");
        assert_eq!(told, Some(encoding_rs::MACINTOSH));
        assert_eq!(Source::open(&b"caf\x8e"[..], told).unwrap().encoding, encoding_rs::MACINTOSH);
        let marked = Source::open(&b"\xef\xbb\xbfx"[..], told).unwrap();
        assert_eq!((marked.encoding, marked.marked), (UTF_8, true));
        for label in ["UTF-8", "latin1", "cp1253", "windows 1251", "Shift_JIS", "utf16"] {
            assert!(by_label(label).is_some(), "{label}");
        }
    }
}
