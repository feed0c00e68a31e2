//! Cookies of one fetch (RFC 6265): kept from hop to hop, and forgotten with it.

use url::{Host, Url};

/// Cookies that are kept, and the longest of them, bytes.
const COOKIES_MAX: usize = 64;
const COOKIE_MAX: usize = 4096;

/// What hops have set so far.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Hosts below the domain get it too.
    below: bool,
    path: String,
    secure: bool,
}

impl Cookies {
    /// Keeps what the answer of `from` sets, each as `Set-Cookie` has it.
    pub(super) fn keep(&mut self, from: &Url, set: &[String]) {
        for line in set.iter().filter(|line| line.len() <= COOKIE_MAX) {
            let Some((cookie, over)) = Cookie::parse(line, from) else { continue };
            self.0.retain(|known| !known.is_same(&cookie));
            if !over && self.0.len() < COOKIES_MAX {
                self.0.push(cookie);
            }
        }
    }

    /// What is sent to `url`, as `Cookie` has it.
    pub(super) fn of(&self, url: &Url) -> Option<String> {
        let meant = self.0.iter().filter(|cookie| cookie.is_for(url));
        let pairs: Vec<_> = meant.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    /// The cookie of a line, and whether the line says that it is over.
    fn parse(line: &str, from: &Url) -> Option<(Self, bool)> {
        let mut parts = line.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let host = from.host_str()?;
        if name.is_empty() || [name, value].iter().any(|text| text.contains(char::is_control)) {
            return None;
        }
        let mut cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.to_owned(),
            below: false,
            path: folder(from.path()).to_owned(),
            secure: false,
        };
        let mut over = false;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "domain" if !value.is_empty() => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if !may_set(from, &domain) {
                        return None;
                    }
                    cookie.below = matches!(from.host(), Some(Host::Domain(_)));
                    cookie.domain = domain;
                }
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "secure" => cookie.secure = true,
                // A fetch is over sooner than any cookie but one that is taken back.
                "max-age" => over = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
                _ => {}
            }
        }
        Some((cookie, over))
    }

    fn is_same(&self, other: &Cookie) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
    }

    fn is_for(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let of_host = host == self.domain || (self.below && is_below(host, &self.domain));
        let of_path = url
            .path()
            .strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        of_host && of_path && (!self.secure || url.scheme() == "https")
    }
}

/// Whether a host may set cookies for a domain: its own, or one above it that is no top level.
fn may_set(from: &Url, domain: &str) -> bool {
    match from.host() {
        Some(Host::Domain(host)) => host == domain || (is_below(host, domain) && domain.contains('.')),
        Some(_) => from.host_str() == Some(domain),
        None => false,
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The folder of a path (RFC 6265, section 5.1.4).
fn folder(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn sent(from: &str, line: &str, to: &str) -> Option<String> {
        let mut cookies = Cookies::default();
        cookies.keep(&url(from), &[line.to_owned()]);
        cookies.of(&url(to))
    }

    #[test]
    fn a_cookie_goes_where_it_is_meant_to_go_and_nowhere_else() {
        let from = "https://img.shop.example/a/b.jpg";
        for (line, to, goes) in [
            ("k=1", "https://img.shop.example/a/c.jpg", true),
            ("k=1", "https://img.shop.example/c.jpg", false),
            ("k=1; Path=/", "https://img.shop.example/c.jpg", true),
            ("k=1; path=/c", "https://img.shop.example/cd.jpg", false),
            ("k=1; path=/c", "https://img.shop.example/c/d.jpg", true),
            ("k=1; Path=/", "https://shop.example/", false),
            ("k=1; Path=/; Domain=.shop.example", "https://cdn.shop.example/", true),
            ("k=1; Path=/; Domain=shop.example", "https://evilshop.example/", false),
            ("k=1; Path=/; Domain=example", "https://other.example/", false),
            ("k=1; Path=/; Domain=other.example", "https://other.example/", false),
            ("k=1; Path=/; Secure", "http://img.shop.example/", false),
            ("k=1; Path=/; Max-Age=0", "https://img.shop.example/", false),
            ("k", "https://img.shop.example/a/", false),
            ("k=1\u{1}", "https://img.shop.example/a/", false),
        ] {
            let wanted = goes.then(|| "k=1".to_owned());
            assert_eq!(sent(from, line, to), wanted, "{line} to {to}");
        }
        assert_eq!(sent("http://127.0.0.1/", "k=1; Domain=0.0.1", "http://127.0.0.1/"), None);
    }

    #[test]
    fn a_later_cookie_takes_the_place_of_one_of_its_name() {
        let (mut cookies, here) = (Cookies::default(), url("http://a.example/"));
        let set = ["a=1", "b=2", "a=3", "b=4; max-age=-1"].map(str::to_owned);
        cookies.keep(&here, &set);
        assert_eq!(cookies.of(&here).as_deref(), Some("a=3"));
    }

    #[test]
    fn the_cookies_of_a_fetch_are_bounded() {
        let (mut cookies, here) = (Cookies::default(), url("http://a.example/"));
        let many: Vec<_> = (0..10_000).map(|number| format!("k{number}={}", "v".repeat(number))).collect();
        cookies.keep(&here, &many);
        assert!(cookies.of(&here).unwrap().len() < COOKIES_MAX * COOKIE_MAX);
    }
}
