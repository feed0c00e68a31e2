//! Headers that are sent with requests for pictures, to all origins or to one.

use http::{HeaderName, HeaderValue};
use url::Url;

/// What the protocol and the guard need as they are.
const OURS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const ALLOWED: &str = "allowed are 'Name: value', and 'HOST:Name: value' for one origin";

/// A header, whose value never shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraHeader {
    /// The origin it is for; every one where there is none.
    pub(crate) only: Option<Place>,
    /// Its name.
    pub(crate) name: HeaderName,
    /// Its value, marked as sensitive.
    pub(crate) value: HeaderValue,
}

/// An origin, as far as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scheme: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

/// A header as it is set. What stands before its name is a host where it looks like one: with a dot, a port, brackets
/// or a scheme, or `localhost`.
pub(super) fn header(text: &str) -> Result<ExtraHeader, String> {
    let (only, line) = match place(text) {
        Some((place, line)) => (Some(place), line),
        None => (None, text),
    };
    let (name, value) = line.split_once(':').ok_or(ALLOWED)?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| ALLOWED)?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("{name} can't be set: requests have their own"));
    }
    let value = value.trim();
    if value.is_empty() {
        return Err(format!("{name} has no value: {ALLOWED}"));
    }
    Ok(ExtraHeader { only, value: value_of(value)?, name })
}

/// A value of a header, a name of a program above all.
pub(super) fn value_of(text: &str) -> Result<HeaderValue, String> {
    let refused = "allowed is text in one line, without control characters";
    if text.trim().is_empty() {
        return Err(refused.to_owned());
    }
    let mut value = HeaderValue::from_bytes(text.trim().as_bytes()).map_err(|_| refused)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The origin that a line begins with, and the rest of it.
fn place(text: &str) -> Option<(Place, &str)> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
        _ => (None, text),
    };
    let end = if rest.starts_with('[') { rest.find(']')? + 1 } else { rest.find(':')? };
    let (host, rest) = rest.split_at(end);
    let rest = rest.strip_prefix(':')?;
    let (port, line) = match rest.split_once(':') {
        Some((digits, line)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Some(digits.parse().ok()?), line)
        }
        _ => (None, rest),
    };
    let looks_like_one = scheme.is_some()
        || port.is_some()
        || host.contains('.')
        || host.starts_with('[')
        || host == "localhost";
    let names_a_header = line
        .split_once(':')
        .is_some_and(|(name, _)| !name.starts_with(' ') && HeaderName::from_bytes(name.as_bytes()).is_ok());
    if !looks_like_one || !names_a_header {
        return None;
    }
    let host = Url::parse(&format!("http://{host}/")).ok()?.host_str()?.to_owned();
    Some((Place { scheme, host, port }, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Only = (Option<String>, String, Option<u16>);

    fn read(text: &str) -> (Option<Only>, String, String) {
        let header = header(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let only = header.only.map(|place| (place.scheme, place.host, place.port));
        (only, header.name.to_string(), header.value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_header_is_for_all_origins_or_for_one() {
        let all = |name: &str, value: &str| (None, name.to_owned(), value.to_owned());
        let one = |scheme: Option<&str>, host: &str, port, name: &str, value: &str| {
            let only = (scheme.map(str::to_owned), host.to_owned(), port);
            (Some(only), name.to_owned(), value.to_owned())
        };
        for (text, wanted) in [
            ("Referer: http://shop.example/", all("referer", "http://shop.example/")),
            ("Referer:http://shop.example/", all("referer", "http://shop.example/")),
            ("Accept-Language:en", all("accept-language", "en")),
            ("X-Time: 12:30:59", all("x-time", "12:30:59")),
            ("Cookie: a=b; c=http://d.example:80/", all("cookie", "a=b; c=http://d.example:80/")),
            ("shop.example:X-Key: a:b", one(None, "shop.example", None, "x-key", "a:b")),
            ("Shop.Example:X-Key:a", one(None, "shop.example", None, "x-key", "a")),
            ("shop.example:8080:X-Key: a", one(None, "shop.example", Some(8080), "x-key", "a")),
            ("intranet:8080:X-Key: a", one(None, "intranet", Some(8080), "x-key", "a")),
            ("https://intranet:X-Key: a", one(Some("https"), "intranet", None, "x-key", "a")),
            ("[::1]:81:X-Key: a", one(None, "[::1]", Some(81), "x-key", "a")),
            ("127.0.0.1:Authorization: Bearer x", one(None, "127.0.0.1", None, "authorization", "Bearer x")),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_header_or_not_to_be_set_is_refused_without_telling_it() {
        for wrong in ["", "secret", ": secret", "X Y: secret", "X-Key:", "X-Key: a\nsecret", "Host: secret"] {
            let told = header(wrong).unwrap_err();
            assert!(!told.contains("secret"), "{told}");
        }
        let told = format!("{:?}", header("X-Key: secret").unwrap());
        assert!(!told.contains("secret"), "{told}");
    }
}
