//! What requests for pictures say of whoever asks: the name, and headers that the operator sets for all origins or for
//! one.

use hyper::header::{ACCEPT, COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use pixmill_engine::port::origin::Hop;

/// What a program is called, and where more is to be read of it: many servers turn away who doesn't tell.
pub const NAME: &str =
    concat!("pixmill/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// The original rather than a copy in another format: what converts on the fly looks for `image/webp` and `image/avif`.
const PICTURES: &str = "image/jpeg,image/png,image/gif,image/tiff,image/bmp,image/*;q=0.9,*/*;q=0.8";

/// Headers that hold nothing secret, and that other servers need as well where a redirect leads to them.
const HARMLESS: [&str; 7] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "dnt", "referer", "user-agent"];

/// A header of the operator's.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it goes; to every origin of the catalogue where that is not said.
    pub only: Option<Place>,
    /// Its name.
    pub name: HeaderName,
    /// Its value, which never shows.
    pub value: HeaderValue,
}

/// Origins that a header is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `http` or `https`; either where that is not said.
    pub scheme: Option<String>,
    /// The host as URLs have it.
    pub host: String,
    /// The port; any of the host where that is not said.
    pub port: Option<u16>,
}

impl Place {
    /// Whether a header for it is meant for this hop. Where a redirect leads to a port or a scheme that was not said,
    /// only the usual ports are, and nothing that is encrypted goes on in the clear.
    fn is_of(&self, hop: &Hop) -> bool {
        let url = &hop.url;
        let said = url.host_str() == Some(self.host.as_str())
            && self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && self.port.is_none_or(|port| Some(port) == url.port_or_known_default());
        let leads_down = || hop.first.scheme() == "https" && url.scheme() == "http" && self.scheme.is_none();
        let stays =
            || !hop.is_elsewhere() || ((self.port.is_some() || url.port().is_none()) && !leads_down());
        said && stays()
    }
}

/// All that is sent beside what the protocol needs.
#[derive(Debug, Clone)]
pub struct Headers {
    user_agent: HeaderValue,
    lines: Vec<Line>,
}

impl Default for Headers {
    fn default() -> Self {
        Headers { user_agent: HeaderValue::from_static(NAME), lines: Vec::new() }
    }
}

impl Headers {
    /// Those of the operator, under a name of their own where there is one.
    pub fn new(user_agent: Option<HeaderValue>, mut lines: Vec<Line>) -> Self {
        lines.iter_mut().for_each(|line| line.value.set_sensitive(true));
        Headers { user_agent: user_agent.unwrap_or(HeaderValue::from_static(NAME)), lines }
    }

    /// Adds what is meant for a hop. What is for one origin comes in the place of what is for all.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, hop: &Hop) {
        headers.insert(ACCEPT, HeaderValue::from_static(PICTURES));
        headers.insert(USER_AGENT, self.user_agent.clone());
        let for_all = self.lines.iter().filter(|line| line.only.is_none());
        let for_one = self.lines.iter().filter(|line| line.only.is_some());
        for line in for_all.chain(for_one) {
            let meant = match &line.only {
                None => !hop.is_elsewhere() || HARMLESS.contains(&line.name.as_str()),
                Some(place) => place.is_of(hop),
            };
            if meant {
                headers.insert(line.name.clone(), line.value.clone());
            }
        }
        self.add_cookies(headers, hop);
    }

    fn add_cookies(&self, headers: &mut HeaderMap, hop: &Hop) {
        let Some(cookies) = &hop.cookies else { return };
        let of_operator = headers.get(COOKIE).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        let both = match of_operator.is_empty() {
            true => cookies.clone().into_bytes(),
            false => [&of_operator[..], b"; ", cookies.as_bytes()].concat(),
        };
        if let Ok(mut value) = HeaderValue::from_bytes(&both) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn line(only: Option<(&str, Option<u16>)>, name: &'static str, value: &'static str) -> Line {
        let only = only.map(|(host, port)| Place { scheme: None, host: host.to_owned(), port });
        Line { only, name: HeaderName::from_static(name), value: HeaderValue::from_static(value) }
    }

    fn sent(headers: &Headers, first: &str, url: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        let (first, url) = (Url::parse(first).unwrap(), Url::parse(url).unwrap());
        headers.add_to(&mut map, &Hop { url, first, cookies: None });
        map
    }

    #[test]
    fn secrets_for_all_stay_behind_where_a_redirect_leads_elsewhere() {
        let headers = Headers::new(
            None,
            vec![
                line(None, "authorization", "a"),
                line(None, "x-api-key", "b"),
                line(None, "cookie", "c"),
                line(None, "referer", "http://shop.example/"),
                line(None, "accept-language", "en"),
            ],
        );
        let here = sent(&headers, "https://shop.example/a.jpg", "https://shop.example/b.jpg");
        assert_eq!(here.len(), 2 + 5);
        for elsewhere in ["https://cdn.example/b.jpg", "https://shop.example:444/", "http://shop.example/"] {
            let there = sent(&headers, "https://shop.example/a.jpg", elsewhere);
            let mut names: Vec<_> = there.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["accept", "accept-language", "referer", "user-agent"], "{elsewhere}");
        }
    }

    #[test]
    fn what_is_for_one_origin_goes_there_alone() {
        let headers = Headers::new(
            None,
            vec![
                line(Some(("shop.example", None)), "x-key", "any"),
                line(Some(("cdn.example", Some(8080))), "x-key", "one"),
                line(None, "x-key", "all"),
            ],
        );
        let key = |first: &str, url: &str| {
            sent(&headers, first, url).get("x-key").map(|value| value.to_str().unwrap().to_owned())
        };
        let straight = |url: &str| key(url, url);
        assert_eq!(straight("https://shop.example:444/a").as_deref(), Some("any"));
        assert_eq!(straight("http://cdn.example:8080/a").as_deref(), Some("one"));
        assert_eq!(straight("http://cdn.example/a").as_deref(), Some("all"));
        assert_eq!(key("https://other.example/", "https://shop.example/a").as_deref(), Some("any"));
        for redirected in ["http://shop.example/a", "https://shop.example:8443/a", "https://evil.example/a"] {
            assert_eq!(key("https://other.example/", redirected), None, "{redirected}");
        }
    }

    #[test]
    fn the_name_tells_where_to_read_more_and_can_be_another() {
        let named = |headers: &Headers| sent(headers, "http://a/", "http://a/")[USER_AGENT].clone();
        assert!(named(&Headers::default()).to_str().unwrap().contains("(+https://"));
        let browser = HeaderValue::from_static("Mozilla/5.0");
        assert_eq!(named(&Headers::new(Some(browser.clone()), Vec::new())), browser);
    }

    #[test]
    fn cookies_of_the_hops_stand_beside_the_operators() {
        let headers = Headers::new(None, vec![line(None, "cookie", "a=1")]);
        let url = Url::parse("http://a.example/").unwrap();
        let mut map = HeaderMap::new();
        let hop = Hop { cookies: Some("b=2".to_owned()), ..Hop::first(url) };
        headers.add_to(&mut map, &hop);
        assert_eq!(map[COOKIE], "a=1; b=2");
        assert!(!format!("{map:?}").contains("b=2"));
    }
}
