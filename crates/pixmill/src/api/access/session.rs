//! Who signed in with a key: a cookie that any process can check, for it is sealed under the key's stored hash. Revoking
//! the key ends its sessions everywhere, and no table is needed.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use sha2::Sha256;
use url::Url;

/// How long a session lasts that nobody uses, how long one lasts at most, and after which time it is made to last longer.
const IDLE: u64 = 12 * 3600;
const LONGEST: u64 = 7 * 24 * 3600;
const OLD: u64 = 15 * 60;

/// The longest cookie that is read, bytes.
const LONGEST_COOKIE: usize = 512;

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How this server's cookies are called, and where browsers send them.
pub(super) struct Sessions {
    name: String,
    attributes: String,
}

impl Sessions {
    /// Secure is said where the public address is https, and never guessed from a connection: proxies hide it.
    pub(super) fn new(public: Option<&Url>) -> Self {
        let path = public.map_or("", |public| public.path().trim_end_matches('/'));
        let secure = public.is_some_and(|public| public.scheme() == "https");
        let name = match (secure, path) {
            (false, _) => "pixmill",
            (true, "") => "__Host-pixmill",
            (true, _) => "__Secure-pixmill",
        };
        let attributes =
            format!("; Path={path}/; HttpOnly; SameSite=Lax{}", if secure { "; Secure" } else { "" });
        Sessions { name: name.to_owned(), attributes }
    }

    /// The session that a call shows.
    pub(super) fn shown(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs =
            cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, text) = pairs.find(|(name, _)| *name == self.name)?;
        Session::parse(text)
    }

    /// What keeps a session in a browser.
    pub(super) fn cookie(&self, session: &Session) -> HeaderValue {
        let text = format!("{}={}{}; Max-Age={LONGEST}", self.name, session.text(), self.attributes);
        HeaderValue::from_str(&text).expect("names, numbers and base64")
    }

    /// What ends it there.
    pub(super) fn farewell(&self) -> HeaderValue {
        let text = format!("{}={}; Max-Age=0", self.name, self.attributes);
        HeaderValue::from_str(&text).expect("names alone")
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Session {
    /// The id of its key.
    pub(super) key: String,
    /// When somebody signed in, and when it was used last, seconds.
    began: u64,
    used: u64,
    nonce: String,
    seal: Vec<u8>,
}

impl Session {
    /// A new one.
    pub(super) fn begin(key: String, hash: &str, now: u64) -> Self {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        let session = Session { key, began: now, used: now, nonce: BASE64.encode(nonce), seal: Vec::new() };
        session.sealed(hash)
    }

    /// The same, used now.
    pub(super) fn renewed(&self, hash: &str, now: u64) -> Self {
        Session { used: now, ..self.clone() }.sealed(hash)
    }

    fn sealed(self, hash: &str) -> Self {
        let seal = self.mac(hash).finalize().into_bytes().to_vec();
        Session { seal, ..self }
    }

    fn mac(&self, hash: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(hash.as_bytes()).expect("any key fits");
        mac.update(b"pixmill session 1\0");
        mac.update(self.said().as_bytes());
        mac
    }

    /// What is sealed.
    fn said(&self) -> String {
        format!("{}.{}.{}.{}", self.key, self.began, self.used, self.nonce)
    }

    fn text(&self) -> String {
        format!("{}.{}", self.said(), BASE64.encode(&self.seal))
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_COOKIE {
            return None;
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [key, began, used, nonce, seal] = parts.as_slice() else { return None };
        let number = |text: &str| text.parse().ok();
        Some(Session {
            key: (*key).to_owned(),
            began: number(began)?,
            used: number(used)?,
            nonce: (*nonce).to_owned(),
            seal: BASE64.decode(seal).ok()?,
        })
    }

    /// Whether it was sealed under this hash and has not run out.
    pub(super) fn holds(&self, hash: &str, now: u64) -> bool {
        self.mac(hash).verify_slice(&self.seal).is_ok()
            && now.saturating_sub(self.used) < IDLE
            && now.saturating_sub(self.began) < LONGEST
    }

    /// Whether it is time to say that it was used.
    pub(super) fn is_old(&self, now: u64) -> bool {
        now.saturating_sub(self.used) > OLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sessions: &Sessions, cookie: &HeaderValue) -> Option<Session> {
        let mut headers = HeaderMap::new();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("a=b; {pair}").parse().unwrap());
        sessions.shown(&headers)
    }

    #[test]
    fn a_session_holds_under_its_keys_hash_until_it_runs_out() {
        let sessions = Sessions::new(None);
        let cookie = sessions.cookie(&Session::begin("id".into(), "hash", 1_000));
        let session = shown(&sessions, &cookie).unwrap();
        assert!(session.holds("hash", 1_000 + IDLE - 1));
        assert!(!session.holds("other", 1_000) && !session.holds("hash", 1_000 + IDLE));
        let renewed = session.renewed("hash", 1_000 + IDLE - 1);
        assert!(renewed.holds("hash", 1_000 + IDLE) && renewed.nonce == session.nonce);
        let kept = Session { used: 1_000 + LONGEST, ..session.clone() }.sealed("hash");
        assert!(!kept.holds("hash", 1_000 + LONGEST), "not for ever, however much it is used");
        let longer = Session { used: 9_000, ..session };
        assert!(!longer.holds("hash", 9_000), "nobody makes one last longer by himself");
    }

    #[test]
    fn cookies_say_secure_where_the_address_does() {
        let of = |url: &str| {
            let sessions = Sessions::new(Url::parse(url).ok().as_ref());
            sessions.cookie(&Session::begin("i".into(), "h", 1)).to_str().unwrap().to_owned()
        };
        let plain = of("http://h:3000/");
        assert!(plain.starts_with("pixmill=") && plain.contains("; Path=/;") && !plain.contains("Secure"));
        assert!(plain.contains("HttpOnly; SameSite=Lax"));
        assert!(of("https://h").starts_with("__Host-pixmill=") && of("https://h").contains("; Secure"));
        let below = of("https://h/pixmill/");
        assert!(below.starts_with("__Secure-pixmill=") && below.contains("; Path=/pixmill/;"), "{below}");
    }

    #[test]
    fn what_is_no_session_is_none() {
        for text in ["", "a.b.c.d.e", "i.1.2.n", "i.1.2.n.!", &"a".repeat(600)] {
            assert_eq!(Session::parse(text), None, "{text}");
        }
    }
}
