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
}

impl Source {
    /// Reads what stands in a cell. What begins with `scheme:` is a URL, anything else a path.
    ///
    /// # Errors
    /// `url.invalid` or `url.scheme`.
    pub fn parse(input: &str) -> Result<Source, Fault> {
        let Some(scheme) = scheme(input) else {
            return if input.starts_with("//") {
                Err(Fault::permanent(Code::UrlInvalid, "the address lacks http: or https: at its beginning"))
            } else {
                Ok(Source::File(input.to_owned()))
            };
        };
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
        }
    }

    /// The last part of its path, decoded, which names outputs so that people recognise them.
    pub fn file_name(&self) -> String {
        let (path, escaped) = match self {
            Source::Web(url) => (url.path(), true),
            Source::File(path) => (path.as_str(), false),
        };
        let last = path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or("");
        if escaped {
            percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()
        } else {
            last.to_owned()
        }
    }
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
            Ok(Source::File(_)) | Err(_) => hasher.write(input.as_bytes()),
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
    fn other_schemes_are_refused_by_name() {
        for input in
            ["ftp://a/b.jpg", "data:image/png;base64", "file:///etc/passwd", "gopher://127.0.0.1:70/x"]
        {
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
