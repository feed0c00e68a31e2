//! Which legacy encoding a text is in that names none.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1250, WINDOWS_1252};

/// With fewer bytes beyond ASCII than this, how well letters fit their neighbours counts before how often they come.
const ENOUGH_TO_GUESS: usize = 64;

/// Guesses from the first bytes, which are all there are if `ended`.
pub(super) fn legacy(sample: &[u8], ended: bool) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, ended);
    let guessed = detector.guess(None, Utf8Detection::Deny);
    let beyond_ascii = sample.iter().filter(|byte| !byte.is_ascii()).count();
    let old_mac = memchr::memchr(b'\n', sample).is_none() && memchr::memchr(b'\r', sample).is_some();
    let usual = match () {
        () if beyond_ascii >= ENOUGH_TO_GUESS || is_foreign(sample) => guessed,
        () => WINDOWS_1252,
    };
    let order: &[&'static Encoding] = match (old_mac, beyond_ascii >= ENOUGH_TO_GUESS) {
        (true, _) => &[MACINTOSH, usual, guessed, WINDOWS_1250],
        (false, true) => &[guessed, MACINTOSH],
        (false, false) => &[usual, guessed, MACINTOSH, WINDOWS_1250],
    };
    let mut best = (order[0], oddity(sample, order[0]));
    for encoding in &order[1..] {
        let odd = oddity(sample, encoding);
        if odd < best.1 {
            best = (encoding, odd);
        }
    }
    best.0
}

/// Whether most words that hold bytes beyond ASCII hold nothing else, as in scripts that are not Latin.
fn is_foreign(sample: &[u8]) -> bool {
    let words = sample.split(|byte| byte.is_ascii() && !byte.is_ascii_alphabetic());
    let (mut foreign, mut mixed) = (0usize, 0usize);
    for word in words.filter(|word| word.len() > 1) {
        match word.iter().filter(|byte| !byte.is_ascii()).count() {
            0 => {}
            all if all == word.len() => foreign += 1,
            _ => mixed += 1,
        }
    }
    foreign > mixed
}

/// How many signs stand where they hardly ever do: marks and controls within words, capitals after small letters.
fn oddity(sample: &[u8], encoding: &'static Encoding) -> usize {
    let (text, _) = encoding.decode_without_bom_handling(sample);
    let mut odd = 0;
    let (mut before, mut current) = (' ', ' ');
    for next in text.chars().chain([' ']) {
        if !current.is_ascii() {
            let within = before.is_alphabetic() && next.is_alphabetic();
            odd += match current {
                '\u{fffd}' | '\u{80}'..='\u{9f}' => 4,
                '\u{2b0}'..='\u{2ff}' => 3,
                '¹' | 'º' | 'ª' if before.is_alphabetic() => 2,
                '–' | '—' | '’' | '‘' | '“' | '”' | '„' | '«' | '»' | '€' | '£' | '°' | '²' | '³' | '®'
                | '™' | '©' | '½' | '¼' | '…' | '•' | '\u{a0}' => {
                    usize::from(
                        before.is_lowercase()
                            && next.is_lowercase()
                            && !matches!(current, '’' | '‘' | '–' | '—' | '\u{a0}'),
                    ) * 3
                }
                c if !c.is_alphabetic() && within => 3,
                c if c.is_uppercase() && before.is_lowercase() => 2,
                _ => 0,
            };
        } else if current.is_ascii_uppercase() && !before.is_ascii() && before.is_lowercase() {
            odd += 1;
        }
        (before, current) = (current, next);
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_read(encoding: &'static Encoding, text: &str) {
        let (bytes, _, lossy) = encoding.encode(text);
        assert!(!lossy, "{text}");
        let read = legacy(&bytes, true).decode_without_bom_handling(&bytes).0.into_owned();
        assert_eq!(read, text, "{}", encoding.name());
    }

    #[test]
    fn short_texts_in_their_languages_are_read() {
        use encoding_rs::{WINDOWS_1251, WINDOWS_1253};
        is_read(WINDOWS_1252, "name,url\nTasse à café – “grand” €,x\n");
        is_read(WINDOWS_1252, "name,url\nGroße Tasse für Süßes,x\n");
        is_read(WINDOWS_1252, "nombre;foto\nCañón español;x\n");
        is_read(WINDOWS_1253, "Κωδικός;Όνομα;image url\n1;Καπέλο μεγάλο κόκκινο;x\n");
        is_read(WINDOWS_1250, "nazwa;zdjęcie\nŻółta łódź;x\n");
        is_read(WINDOWS_1251, "Название;Фото\nКрасная шапка;x\n");
        is_read(encoding_rs::WINDOWS_1255, "שם,תמונה\nכובע אדום,x\n");
    }

    #[test]
    fn texts_of_old_macs_are_read() {
        let mut text = "name;image url;note\r".to_owned();
        text.extend(
            (1..9).map(|number| format!("Pão de açúcar {number};http://a/{number};Sítio São José\r")),
        );
        is_read(MACINTOSH, &text);
        is_read(MACINTOSH, "name;image url\nPão de açúcar;x\n");
    }
}
