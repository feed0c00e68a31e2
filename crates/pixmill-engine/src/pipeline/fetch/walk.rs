//! The way of a fetch from hop to hop: redirects, and what hops set for those after them.

use url::Url;

use super::cookies::Cookies;
use super::share;
use crate::code::Code;
use crate::fault::{Fault, Pressure};
use crate::model::source::Source;
use crate::port::origin::{Answer, Hop};

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Where a fetch stands.
#[derive(Debug)]
pub struct Walk {
    url: Url,
    first: Url,
    cookies: Cookies,
    redirects: usize,
}

impl Walk {
    /// At the address of a catalogue, or at the file of the share page that it is.
    pub fn from(url: &Url) -> Self {
        let url = share::file_of(url).unwrap_or_else(|| url.clone());
        Walk { first: url.clone(), url, cookies: Cookies::default(), redirects: 0 }
    }

    /// What is asked for next.
    pub fn hop(&self) -> Hop {
        Hop { url: self.url.clone(), first: self.first.clone(), cookies: self.cookies.of(&self.url) }
    }

    /// Where it stands.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Goes on with what the hop answered: `true` where it brings the file.
    ///
    /// # Errors
    /// `fetch.status`, `fetch.redirects`, `url.*`.
    pub fn arrives(&mut self, answer: &Answer) -> Result<bool, Fault> {
        self.cookies.keep(&self.url, &answer.cookies);
        match (answer.status, &answer.location) {
            // Not made yet, and not to be asked for before it may be.
            (202, _) if answer.retry_after.is_some() => Err(self.refused(answer)),
            (200..=299, _) => Ok(true),
            (300..=303 | 307 | 308, Some(location)) => {
                self.redirects += 1;
                if self.redirects > REDIRECTS {
                    let message = format!("more than {REDIRECTS} redirects");
                    return Err(Fault::permanent(Code::FetchRedirects, message));
                }
                self.url = redirected(&self.url, location)?;
                Ok(false)
            }
            _ => Err(self.refused(answer)),
        }
    }

    /// What a status that brings no picture means.
    fn refused(&self, answer: &Answer) -> Fault {
        let place = self.url.origin().ascii_serialization();
        let message = format!("{place} answered {}{}", answer.status, meaning(answer.status));
        let waits = answer.spent || answer.retry_after.is_some();
        let pressure = match answer.status {
            429 => Pressure::Sure,
            403 | 503 if waits => Pressure::Sure,
            503 => Pressure::Perhaps,
            202 | 408 | 425 | 500..=599 => Pressure::None,
            _ => return Fault::permanent(Code::FetchStatus, message),
        };
        Fault::transient(Code::FetchStatus, message).after(answer.retry_after).under(pressure)
    }
}

/// What people should know of a status.
fn meaning(status: u16) -> &'static str {
    match status {
        202 => " (accepted, but not made yet)",
        401 => " (it wants a user and a password, or a token: see --header)",
        402 => " (it wants to be paid)",
        403 => " (forbidden; some servers want a browser's --user-agent, or a Referer by --header)",
        404 => " (not found)",
        406 => " (not acceptable; see --header 'Accept: …')",
        407 => " (it wants a proxy's password)",
        410 => " (gone)",
        429 => " (too many requests)",
        451 => " (unavailable for legal reasons)",
        500 => " (internal error)",
        502 => " (bad gateway)",
        503 => " (unavailable)",
        504 => " (its own server took too long)",
        _ => "",
    }
}

/// Where a redirect leads.
fn redirected(from: &Url, location: &str) -> Result<Url, Fault> {
    let to = from.join(location).map_err(|error| {
        Fault::permanent(Code::UrlInvalid, format!("redirected to an address that can't be parsed: {error}"))
    })?;
    match Source::parse(to.as_str())? {
        Source::Web(url) => Ok(url),
        Source::Data(_) => {
            Err(Fault::permanent(Code::UrlScheme, "redirected to a data: address, which is not followed"))
        }
        Source::File(_) => Err(Fault::permanent(Code::UrlInvalid, "redirected to no address")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::port::origin::Body;

    struct Nothing;

    #[async_trait]
    impl Body for Nothing {
        async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
            Ok(None)
        }
    }

    fn answer(status: u16) -> Answer {
        Answer { status, ..Answer::of_file(0, Box::new(Nothing)) }
    }

    fn to(location: &str) -> Answer {
        Answer { location: Some(location.to_owned()), ..answer(302) }
    }

    fn walk() -> Walk {
        Walk::from(&Url::parse("https://shop.example/a/b.jpg?key=secret").unwrap())
    }

    #[test]
    fn a_walk_knows_where_it_began_and_what_was_set_on_the_way() {
        let mut walk = walk();
        let set = Answer { cookies: vec!["k=1; Path=/".to_owned()], ..to("../c.jpg") };
        assert_eq!(walk.arrives(&set), Ok(false));
        let hop = walk.hop();
        assert_eq!((hop.url.as_str(), hop.cookies.as_deref()), ("https://shop.example/c.jpg", Some("k=1")));
        assert_eq!(walk.arrives(&to("https://cdn.example/d.jpg")), Ok(false));
        let hop = walk.hop();
        assert!(hop.is_elsewhere() && hop.cookies.is_none());
        assert_eq!(walk.arrives(&answer(200)), Ok(true));
    }

    #[test]
    fn five_redirects_are_followed_and_the_sixth_is_not() {
        let mut walk = walk();
        for _ in 0..5 {
            assert_eq!(walk.arrives(&to("/a")), Ok(false));
        }
        assert_eq!(walk.arrives(&to("/a")).unwrap_err().code, Code::FetchRedirects);
    }

    #[test]
    fn redirects_lead_to_web_addresses_alone() {
        for (location, code) in [
            ("file:///etc/passwd", Code::UrlScheme),
            ("ftp://a/", Code::UrlScheme),
            ("data:image/png;base64,AAAA", Code::UrlScheme),
            ("http://", Code::UrlInvalid),
        ] {
            assert_eq!(walk().arrives(&to(location)).unwrap_err().code, code, "{location}");
        }
    }

    #[test]
    fn what_may_be_there_later_is_asked_for_again() {
        let later = |status| Answer { retry_after: Some(Duration::from_secs(1)), ..answer(status) };
        for answer in [later(202), later(403), later(429), answer(429), answer(503), later(500)] {
            let fault = walk().arrives(&answer).unwrap_err();
            assert!(fault.transient && fault.retry_after == answer.retry_after, "{fault}");
            assert!(!fault.message.contains("secret"), "{fault}");
        }
        for answer in [answer(403), answer(404), answer(401), later(404), answer(304), answer(302)] {
            assert!(!walk().arrives(&answer).unwrap_err().transient, "{}", answer.status);
        }
    }
}
