//! What the catalogue's cell says an image is: a URL or a path.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use url::Url;

use crate::code::Code;
use crate::fault::Fault;

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An http or https URL, without its fragment.
    Web(Url),
    /// A path relative to the base folder.
    File(String),
    /// The picture itself: a `data:` URL, checked but not decoded.
    Data(String),
}

impl Source {
    /// Reads what stands in a cell. What begins with `scheme:` is a URL, anything else a path.
    ///
    /// # Errors
    /// `url.invalid` or `url.scheme`.
    pub fn parse(input: &str) -> Result<Source, Fault> {
        let trimmed = input.trim();
        if trimmed.is_empty() {
            return Err(Fault::permanent(Code::UrlInvalid, "the address is empty"));
        }
        // A path may begin or end with white space.
        let input = if scheme(trimmed).is_some() || trimmed.starts_with("//") { trimmed } else { input };
        if is_drive(input) {
            return Ok(Source::File(input.to_owned()));
        }
        let Some(scheme) = scheme(input) else {
            return if input.starts_with("//") {
                Err(Fault::permanent(Code::UrlInvalid, "the address lacks http: or https: at its beginning"))
            } else {
                Ok(Source::File(input.to_owned()))
            };
        };
        if scheme.eq_ignore_ascii_case("data") {
            return match data_parts(input) {
                Some(_) => Ok(Source::Data(input.to_owned())),
                // What is left is a scheme that nothing is fetched from.
                None => Err(Fault::permanent(Code::UrlScheme, "the data: address holds no data")),
            };
        }
        if scheme.eq_ignore_ascii_case("file") {
            let message = "a file: address is a path of another machine; only http and https are fetched";
            return Err(Fault::permanent(Code::UrlScheme, message));
        }
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(Fault::permanent(
                Code::UrlScheme,
                format!(
                    "'{}' addresses are not fetched; only http and https are",
                    scheme.to_ascii_lowercase()
                ),
            ));
        }
        let mut url = Url::parse(input).map_err(|error| {
            Fault::permanent(Code::UrlInvalid, format!("the address can't be parsed: {error}"))
        })?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Fault::permanent(Code::UrlInvalid, "the address names no host"));
        }
        url.set_fragment(None);
        Ok(Source::Web(url))
    }

    /// The origin (scheme, host and port) that is asked, or `file:`.
    pub fn origin(&self) -> String {
        match self {
            Source::Web(url) => url.origin().ascii_serialization(),
            Source::File(_) => "file:".to_owned(),
            Source::Data(_) => "data:".to_owned(),
        }
    }

    /// The last part of its path, decoded, which names outputs so that people recognise them.
    pub fn file_name(&self) -> String {
        let (path, escaped) = match self {
            Source::Web(url) => (url.path(), true),
            Source::File(path) => (path.as_str(), false),
            Source::Data(_) => return String::new(),
        };
        let last = path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or("");
        if escaped {
            percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()
        } else {
            last.to_owned()
        }
    }
}

/// Whether a path begins with a drive of Windows, as in `C:\a.jpg`.
pub fn is_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'\\' | b'/')
        && !path[3..].starts_with('/')
}

/// What a `data:` URL holds, and whether in base 64 (RFC 2397).
fn data_parts(input: &str) -> Option<(&str, bool)> {
    let (head, data) = input.get(5..)?.split_once(',')?;
    let is_base64 = head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    (!data.is_empty()).then_some((data, is_base64))
}

/// The bytes of a `data:` URL.
///
/// # Errors
/// `url.invalid`.
pub fn decode_data(input: &str) -> Result<Vec<u8>, Fault> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    let wrong = || Fault::permanent(Code::UrlInvalid, "the data: address can't be decoded");
    let (data, is_base64) = data_parts(input).ok_or_else(wrong)?;
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(data).collect();
    if !is_base64 {
        return Ok(bytes);
    }
    let letters = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let text: Vec<u8> = bytes.into_iter().filter(|byte| !byte.is_ascii_whitespace()).map(letters).collect();
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(text).map_err(|_| wrong())
}

/// The scheme that a text begins with (RFC 3986 section 3.1), when it begins with one.
fn scheme(input: &str) -> Option<&str> {
    let (scheme, _) = input.split_once(':')?;
    let mut bytes = scheme.bytes();
    let first = bytes.next()?;
    (first.is_ascii_alphabetic()
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
    .then_some(scheme)
}

/// Tells equal inputs from unequal ones in 64 bits, under a secret so that nobody can make two collide
/// (SipHash-1-3). Equal means equal after URL parsing, without the fragment.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint {
    secret: (u64, u64),
}

impl Fingerprint {
    /// Under a new secret.
    pub fn new() -> Self {
        Fingerprint { secret: uuid::Uuid::new_v4().as_u64_pair() }
    }

    /// The fingerprint of an input.
    pub fn of(&self, input: &str) -> i64 {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        match Source::parse(input) {
            Ok(Source::Web(url)) => hasher.write(url.as_str().as_bytes()),
            Ok(Source::File(_) | Source::Data(_)) | Err(_) => hasher.write(input.as_bytes()),
        }
        hasher.finish() as i64
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint::new()
    }
}

/// Whether two inputs are equal: the judge where fingerprints agree.
pub fn equal_inputs(one: &str, other: &str) -> bool {
    one == other || matches!((Source::parse(one), Source::parse(other)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(input: &str) -> Code {
        Source::parse(input).expect_err(input).code
    }

    #[test]
    fn white_space_around_an_address_is_none_of_it_and_an_empty_one_is_told() {
        let spaced = Source::parse(" https://a.example/1.jpg\r\n").unwrap();
        assert_eq!(spaced, Source::parse("https://a.example/1.jpg").unwrap());
        for empty in ["", " \t\n"] {
            assert_eq!(Source::parse(empty).unwrap_err().code, Code::UrlInvalid);
        }
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for input in [
            "ftp://a/b.jpg",
            "file:///etc/passwd",
            "gopher://127.0.0.1:70/x",
            "data:image/png;base64",
            "data:,",
        ] {
            assert_eq!(code(input), Code::UrlScheme, "{input}");
        }
    }

    #[test]
    fn broken_addresses_are_invalid() {
        for input in ["http://[::1/a.jpg", "http://127.0.0.1:99999/a.jpg", "http://", "//host/a.jpg"] {
            assert_eq!(code(input), Code::UrlInvalid, "{input}");
        }
    }

    #[test]
    fn addresses_as_people_write_them_are_asked_for_as_browsers_do() {
        for (input, asked) in [
            ("https://bücher.example/a.jpg", "https://xn--bcher-kva.example/a.jpg"),
            ("https://BÜCHER.example:443/a.jpg", "https://xn--bcher-kva.example/a.jpg"),
            ("https://faß.example/a.jpg", "https://xn--fa-hia.example/a.jpg"),
            ("https://例え.example/絵.jpg", "https://xn--r8jz45g.example/%E7%B5%B5.jpg"),
            ("https://a。example/b.jpg", "https://a.example/b.jpg"),
            ("https://h.example/100%.jpg", "https://h.example/100%.jpg"),
            ("https://h.example/a%zz%2.jpg?q=50%", "https://h.example/a%zz%2.jpg?q=50%"),
            ("https://h.example/a b|c.jpg", "https://h.example/a%20b|c.jpg"),
            ("https://h.example\\pics\\a.jpg", "https://h.example/pics/a.jpg"),
        ] {
            match Source::parse(input) {
                Ok(Source::Web(url)) => assert_eq!(url.as_str(), asked, "{input}"),
                other => panic!("{input}: {other:?}"),
            }
        }
        for input in ["https://xn--a.example/a.jpg", "https://a b.example/a.jpg", "https://%zz.example/a.jpg"]
        {
            assert_eq!(code(input), Code::UrlInvalid, "{input}");
        }
    }

    #[test]
    fn data_is_decoded_in_any_spelling() {
        let gif = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
        assert!(matches!(Source::parse(gif), Ok(Source::Data(_))));
        assert!(decode_data(gif).unwrap().starts_with(b"GIF89a"));
        assert_eq!(decode_data("data:;base64,_-8").unwrap(), [0xff, 0xef]);
        assert_eq!(decode_data("data:,a%20b").unwrap(), b"a b");
        assert_eq!(decode_data("data:;base64,!").unwrap_err().code, Code::UrlInvalid);
    }

    #[test]
    fn drives_of_windows_are_paths() {
        for path in ["C:\\caps\\a.jpg", "d:/a.jpg"] {
            assert_eq!(Source::parse(path).unwrap(), Source::File(path.into()));
        }
        assert!(!is_drive("c://a/b") && !is_drive("C:a") && !is_drive("é:/"));
    }

    #[test]
    fn what_has_no_scheme_is_a_path() {
        assert_eq!(Source::parse("good/a b.jpg").unwrap(), Source::File("good/a b.jpg".into()));
    }

    #[test]
    fn equal_after_parsing_means_one_fingerprint() {
        let fingerprint = Fingerprint::new();
        for (one, other) in [
            ("HTTP://Example.com/a.jpg#top", "http://example.com:80/a.jpg"),
            ("http://example.com", "http://example.com/"),
        ] {
            assert_eq!(fingerprint.of(one), fingerprint.of(other));
            assert!(equal_inputs(one, other));
        }
        assert_ne!(fingerprint.of("http://example.com/a"), fingerprint.of("http://example.com/b"));
        assert!(!equal_inputs("http://example.com/a", "http://example.com/b"));
    }

    #[test]
    fn names_come_from_the_end_of_the_path() {
        for (input, name) in [
            ("http://h/p/caf%C3%A9.jpg?x=1", "café.jpg"),
            ("http://h/p/..%2f..%2fevil.jpg", "../../evil.jpg"),
            ("pics/a%20b.jpg", "a%20b.jpg"),
            ("http://h/", ""),
        ] {
            assert_eq!(Source::parse(input).unwrap().file_name(), name);
        }
    }
}
