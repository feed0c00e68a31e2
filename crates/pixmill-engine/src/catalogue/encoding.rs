//! From whatever encoding a catalogue came in to UTF-8, streamed.

use std::io::{self, Chain, Cursor, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How much is looked at before deciding, in bytes.
const SAMPLE_BYTES: usize = 64 * 1024;
/// With fewer bytes beyond ASCII than this, a guess among legacy encodings is worth less than the usual one.
const ENOUGH_TO_GUESS: usize = 64;
/// The least room that is asked to be filled, in bytes: a decoder needs space for a character.
pub(super) const LEAST_ROOM: usize = 64;

/// A reader's bytes as UTF-8. What was taken for UTF-8 is passed on as it is, broken sequences included.
pub(super) struct Source<R> {
    raw: Chain<Cursor<Vec<u8>>, R>,
    decoding: Option<Decoding>,
}

struct Decoding {
    decoder: Decoder,
    input: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    finished: bool,
}

/// What the first bytes of a catalogue show.
enum Sniffed {
    /// After so many bytes of byte order mark.
    Utf8 {
        mark: usize,
    },
    Other(&'static Encoding),
    Binary(&'static str),
}

impl<R: Read> Source<R> {
    /// Looks at the first bytes. The inner error says what the file is, if not text.
    pub(super) fn open(mut reader: R) -> io::Result<Result<Self, &'static str>> {
        let mut sample = Vec::new();
        reader.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
        let (mark, encoding) = match sniff(&sample) {
            Sniffed::Binary(what) => return Ok(Err(what)),
            Sniffed::Utf8 { mark } => (mark, None),
            Sniffed::Other(encoding) => (0, Some(encoding)),
        };
        let mut head = Cursor::new(sample);
        head.set_position(mark as u64);
        Ok(Ok(Source { raw: head.chain(reader), decoding: encoding.map(Decoding::new) }))
    }

    /// Fills some of `room`, which has at least [`LEAST_ROOM`] bytes. Zero is the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoding {
            None => read_some(&mut self.raw, room),
            Some(decoding) => decoding.read(&mut self.raw, room),
        }
    }
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
    fn new(encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
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
            if written > 0 {
                return Ok(written);
            }
            if self.ended && result == CoderResult::InputEmpty {
                self.finished = true;
                return Ok(0);
            }
        }
        Ok(0)
    }
}

const SIGNATURES: [(&[u8], &str); 10] = [
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file or a spreadsheet"),
    (b"PK\x05\x06", "an empty ZIP file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet or document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF-", "a PDF document"),
];

fn sniff(sample: &[u8]) -> Sniffed {
    if let Some((_, what)) = SIGNATURES.iter().find(|(bytes, _)| sample.starts_with(bytes)) {
        return Sniffed::Binary(what);
    }
    if let Some((encoding, mark)) = Encoding::for_bom(sample) {
        return if encoding == UTF_8 { Sniffed::Utf8 { mark } } else { Sniffed::Other(encoding) };
    }
    if let Some(encoding) = utf16_without_mark(sample) {
        return Sniffed::Other(encoding);
    }
    let controls = sample.iter().filter(|byte| **byte < 0x20 && !is_white_space(**byte)).count();
    if controls >= 4 && controls * 20 > sample.len() {
        return Sniffed::Binary("not text");
    }
    if is_mostly_utf8(sample) { Sniffed::Utf8 { mark: 0 } } else { Sniffed::Other(legacy(sample)) }
}

/// White space as C's `isspace` has it: databases export line breaks inside a field as vertical tabs.
fn is_white_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
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

fn legacy(sample: &[u8]) -> &'static Encoding {
    if sample.iter().filter(|byte| !byte.is_ascii()).count() < ENOUGH_TO_GUESS {
        return WINDOWS_1252;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() < SAMPLE_BYTES);
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut source = Source::open(bytes).expect("slices can be read")?;
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
    fn what_is_not_text_is_named() {
        assert_eq!(decoded(b"PK\x03\x04rest"), Err("a ZIP file or a spreadsheet"));
        assert_eq!(decoded(b"\x1f\x8b\x08\0"), Err("a gzip file"));
        assert_eq!(decoded(&(0..=255).collect::<Vec<u8>>()), Err("not text"));
        assert_eq!(decoded(&[0; 4096]), Err("not text"));
        assert_eq!(decoded(b""), Ok(Vec::new()));
        assert_eq!(decoded(b"name,url\nMu\0g,x\n"), Ok(b"name,url\nMu\0g,x\n".to_vec()));
    }
}
