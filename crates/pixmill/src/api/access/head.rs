//! What a call's head says of where it comes from: its host, the proxies before it, and the page that made it.

use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use ipnet::IpNet;
use url::{Host, Url};

use super::super::problem::Problem;

/// What proxies add. A client that comes directly sends none of them.
const OF_PROXIES: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// A call names one host, and the same in both places where it can.
///
/// # Errors
/// `query.invalid` for none, several, or one that is not a host.
pub(in crate::api) fn one_host(parts: &Parts) -> Result<(), Problem> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let wrong = |message| Err(Problem::parameter("Host", message));
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_10 && parts.uri.authority().is_none() => Ok(()),
        (None, _) => wrong("a call names the host that it is for"),
        (_, Some(_)) => wrong("a call names one host"),
        (Some(host), None) => match (host.to_str().ok(), parts.uri.authority()) {
            (None, _) => wrong("that is no host"),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority.as_str()) => {
                wrong("the address and this header name different hosts")
            }
            _ => Ok(()),
        },
    }
}

/// Who made a call, as far as that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// It came directly.
    Direct(IpAddr),
    /// A proxy that is trusted says for whom it asks.
    Forwarded(IpAddr),
    /// A proxy that nobody vouches for, or one that does not say, named by the header that told of it.
    Hidden(&'static str),
}

/// Reads who made a call. A client may send such headers itself, so all that are there must say the same kind of thing:
/// `fits` judges each address.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpNet],
    fits: impl Fn(IpAddr) -> bool,
) -> Client {
    let Some(told_by) = OF_PROXIES.into_iter().find(|name| headers.contains_key(*name)) else {
        return Client::Direct(peer);
    };
    let is_proxy = |address: &IpAddr| proxies.iter().any(|range| range.contains(address));
    if !is_proxy(&peer) {
        return Client::Hidden(told_by);
    }
    let told = ["forwarded", "x-forwarded-for", "x-real-ip"].into_iter().filter_map(|name| {
        let addresses = addresses(name, headers)?;
        // Each proxy adds at the end; what stands before the first that is not ours could be anything.
        Some((name, addresses.iter().rev().find(|one| !one.is_some_and(|one| is_proxy(&one))).copied()))
    });
    let mut found = None;
    for (name, address) in told {
        // Only proxies of ours, or the one nearest: it asks for itself.
        match address.unwrap_or(Some(peer)) {
            Some(address) if fits(address) => found = Some(address),
            _ => return Client::Hidden(name),
        }
    }
    found.map_or(Client::Hidden(told_by), Client::Forwarded)
}

/// The address of whoever proxies say a call is for, to count by.
pub(super) fn counted(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    match client(peer, headers, proxies, |_| true) {
        Client::Direct(address) | Client::Forwarded(address) => address,
        Client::Hidden(_) => peer,
    }
}

/// The addresses in a header of a proxy's, in their order; `None` where it is not there, and in place of what is none.
fn addresses(name: &str, headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    if lines.is_empty() {
        return None;
    }
    let texts = lines.iter().map(|line| line.to_str().unwrap_or_default());
    let parts = texts.flat_map(|text| text.split(','));
    Some(parts.map(|part| if name == "forwarded" { forwarded_for(part) } else { address(part) }).collect())
}

/// RFC 7239: `for=192.0.2.60;proto=http`, `for="[2001:db8::1]:4711"`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let found: Option<IpAddr> = text.parse().ok().or_else(with_port).or_else(bracketed);
    found.map(|address| address.to_canonical())
}

/// Names under which callers without a key find this server: a page whose own name leads here has none of them.
pub(super) fn is_own_host(host: &str, local: Option<IpAddr>, public: Option<&Url>) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let Some(host) = url.host().filter(|_| plain) else { return false };
    let own = |address: IpAddr| address.is_loopback() || local == Some(address);
    let literal = match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => own(address.into()),
        Host::Ipv6(address) => own(IpAddr::from(address).to_canonical()),
    };
    literal || public.and_then(Url::host).is_some_and(|public| public == host)
}

/// Whether what came with a cookie may be another site's doing: nothing says that a page of ours sent it. Browsers that
/// talk plain http to a named host say where a call comes from by its origin alone.
pub(super) fn is_forged(method: &Method, headers: &HeaderMap, own: &[String]) -> bool {
    let told = ["sec-fetch-site", "origin"].into_iter().any(|name| headers.contains_key(name));
    !method.is_safe() && (!told || is_from_another_site(method, headers, own))
}

/// Somebody follows a link: what is answered is shown to them, and the page with the link can't read it.
fn is_followed_link(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| {
        let mut said = headers.get_all(name).iter();
        said.next().is_some_and(|said| said.as_bytes() == value.as_bytes()) && said.next().is_none()
    };
    method == Method::GET && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document")
}

/// A page of another site, in the browser of somebody on a trusted network, must not act in their name.
pub(super) fn is_from_another_site(method: &Method, headers: &HeaderMap, own: &[String]) -> bool {
    if is_followed_link(method, headers) {
        return false;
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
        (Some(b"same-origin" | b"none"), None) => return false,
        (Some(_), _) => return true,
        (None, _) => {}
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => !own.iter().any(|own| origin.as_bytes() == own.as_bytes()),
        (Some(_), Some(_)) => true,
        // No browser: one says where a page's unsafe call comes from.
        (None, _) => !method.is_safe() && headers.contains_key("sec-fetch-mode"),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        pairs.iter().map(pair).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn a_call_names_one_host() {
        let judged = |version, uri: &str, hosts: &[&'static str]| {
            let mut request = Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            one_host(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(judged(Version::HTTP_11, "/", &["h:1"]));
        assert!(judged(Version::HTTP_11, "http://h:1/", &["H:1"]));
        assert!(judged(Version::HTTP_10, "/", &[]));
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["h:1", "h:1"]),
            ("http://other/", &["h:1"]),
            ("http://h:1/", &["other"]),
            ("http://h:1/", &[]),
            ("/", &["h\u{e9}"]),
        ] {
            assert!(!judged(Version::HTTP_11, uri, hosts), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn our_hosts_are_told_from_those_of_others() {
        let public = Url::parse("https://Shop.example/pixmill").unwrap();
        let local = Some("192.0.2.7".parse().unwrap());
        for own in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1:3000",
            "127.9.9.9",
            "[::1]:3000",
            "192.0.2.7:3000",
            "shop.example",
            "shop.example:8443",
        ] {
            assert!(is_own_host(own, local, Some(&public)), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:3000",
            "10.0.0.1",
            "192.0.2.8",
            "[::2]",
            "x.shop.example",
            "localhost@evil.example",
            "evil.example/localhost",
            "localhost/x",
            "evil.example#localhost",
            "a b",
        ] {
            assert!(!is_own_host(other, local, Some(&public)), "{other}");
        }
    }

    #[test]
    fn whom_a_proxy_asks_for_is_known_only_where_it_is_trusted() {
        let proxies = ["127.0.0.1/32".parse().unwrap(), "192.0.2.0/24".parse().unwrap()];
        let peer = "127.0.0.1".parse().unwrap();
        let inside = |address: IpAddr| address.is_loopback() || address == IpAddr::from([10, 0, 0, 5]);
        let of = |pairs: &[_], proxies: &[IpNet]| client(peer, &headers(pairs), proxies, inside);
        let known = Client::Forwarded("10.0.0.5".parse().unwrap());
        assert_eq!(of(&[], &[]), Client::Direct(peer));
        for pairs in [
            &[("x-forwarded-for", "10.0.0.5")][..],
            &[("x-forwarded-for", "8.8.8.8, 10.0.0.5, 192.0.2.9")],
            &[("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "10.0.0.5:1234")],
            &[("forwarded", "for=10.0.0.5;proto=https, for=\"192.0.2.1\"")],
            &[("forwarded", "by=1;for=\"10.0.0.5:99\""), ("x-forwarded-for", "10.0.0.5"), ("via", "1.1 p")],
        ] {
            assert_eq!(of(pairs, &proxies), known, "{pairs:?}");
            assert!(matches!(of(pairs, &[]), Client::Hidden(_)), "{pairs:?}");
        }
        for pairs in [
            &[("via", "1.1 p")][..],
            &[("x-forwarded-for", "10.0.0.5, 8.8.8.8")],
            &[("x-forwarded-for", "10.0.0.5, elephant")],
            &[("x-forwarded-for", "")],
            &[("forwarded", "for=127.0.0.1"), ("x-forwarded-for", "8.8.8.8")],
            &[("forwarded", "for=_hidden"), ("x-forwarded-for", "10.0.0.5")],
            &[("x-real-ip", "8.8.8.8"), ("x-forwarded-for", "10.0.0.5")],
        ] {
            assert!(matches!(of(pairs, &proxies), Client::Hidden(_)), "{pairs:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_told_from_our_own() {
        let own = ["http://h:1".to_owned(), "https://shop.example".to_owned()];
        let judged = |method, pairs: &[_]| is_from_another_site(&method, &headers(pairs), &own);
        for pairs in [
            &[][..],
            &[("origin", "http://h:1")],
            &[("origin", "https://shop.example")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!judged(Method::POST, pairs), "{pairs:?}");
        }
        for pairs in [
            &[("origin", "http://evil")][..],
            &[("origin", "https://h:1")],
            &[("origin", "null")],
            &[("origin", "http://h:1"), ("origin", "http://evil")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://h:1")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-mode", "cors")],
        ] {
            assert!(judged(Method::POST, pairs), "{pairs:?}");
        }
    }
    #[test]
    fn links_of_other_sites_lead_here_and_their_forms_do_not() {
        let own = ["http://h:1".to_owned()];
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(!is_from_another_site(&Method::GET, &headers(&link), &own));
        assert!(is_from_another_site(&Method::POST, &headers(&link), &own));
        let frame =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert!(is_from_another_site(&Method::GET, &headers(&frame), &own));
    }

    #[test]
    fn what_comes_with_a_cookie_must_say_that_it_is_ours() {
        let own = ["http://h:1".to_owned()];
        let forged = |method, pairs: &[_]| is_forged(&method, &headers(pairs), &own);
        assert!(!forged(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(!forged(Method::POST, &[("origin", "http://h:1")]), "plain http on a named host");
        assert!(!forged(Method::POST, &[("sec-fetch-site", "same-origin")]));
        for pairs in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://evil")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://h:1")],
            &[("referer", "http://h:1/requests")],
        ] {
            assert!(forged(Method::POST, pairs) && forged(Method::DELETE, pairs), "{pairs:?}");
        }
    }
}
