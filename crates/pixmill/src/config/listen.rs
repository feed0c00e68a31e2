//! Section listen: where a server is reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderValue;
use ipnet::IpNet;
use url::Url;

use super::bounds::{addresses, whole};
use super::environment;
use super::secret::Secret;

/// Where a server listens.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct AddressFlags {
    /// Address and port; a port alone means this machine only. A worker answers /healthz, /readyz and /metrics there, where
    /// it is told so [also read: PORT, unless by a worker] [default: 127.0.0.1:3000; a worker's: none]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
}

impl AddressFlags {
    /// Where a server that answers calls listens.
    pub(crate) fn address(self) -> SocketAddr {
        self.listen.unwrap_or(USUAL)
    }

    /// Where a worker does, which answers no calls: nowhere unless it is told. A port that platforms and shared environments
    /// name is meant for those that do.
    pub(crate) fn of_worker(self) -> Option<SocketAddr> {
        let of_others = environment::port().and_then(|port| address(&port).ok());
        self.listen.filter(|listen| Some(*listen) != of_others)
    }
}

/// Where a server listens unless it is told otherwise.
pub(crate) const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// Where a server listens, and how others reach it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ListenFlags {
    #[command(flatten)]
    at: AddressFlags,

    /// Address that links to this server begin with [default: http:// and the listening address]
    #[arg(long, value_name = "URL", value_parser = web_address)]
    public_url: Option<Url>,
}

/// Who may call a server, and with how much.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct AccessFlags {
    /// Networks whose callers need no key, as tenant 'default'; repeatable [default: loopback, while no key exists]
    #[arg(long, value_name = "CIDR", value_parser = addresses, action = clap::ArgAction::Append)]
    pub(crate) trust: Vec<IpNet>,

    /// Proxies whose X-Forwarded-For or Forwarded is believed; calls through any other proxy need a key; repeatable [default: none]
    #[arg(long, value_name = "CIDR", value_parser = addresses, action = clap::ArgAction::Append)]
    pub(crate) trust_proxy: Vec<IpNet>,

    /// Origin of web pages that may call the API from a browser with a key, such as https://shop.example; '*' for every origin; repeatable [default: none]
    #[arg(long, value_name = "ORIGIN", value_parser = origin, action = clap::ArgAction::Append)]
    pub(crate) cors_origin: Vec<HeaderValue>,

    /// Whoever shows it as a bearer may read /metrics, and nothing else [default: none]
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    pub(crate) metrics_token: Option<Secret>,

    /// Size of an uploaded catalogue at most, in MiB
    #[arg(long = "max-upload", value_name = "MIB", default_value_t = 4096, value_parser = whole::<u64>(1, 1 << 20))]
    pub(crate) max_upload_mib: u64,
}

impl ListenFlags {
    /// Where it listens.
    pub(crate) fn at(&self) -> AddressFlags {
        self.at
    }

    /// What links begin with when that was said, without a slash at its end.
    pub(crate) fn public_url_said(&self) -> Option<String> {
        self.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// What links begin with, without a slash at its end.
    pub(crate) fn public_url(&self) -> String {
        self.public_url_said().unwrap_or_else(|| format!("http://{}", self.at.address()))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port_alone = || text.parse::<u16>().ok().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    text.parse()
        .ok()
        .or_else(port_alone)
        .ok_or_else(|| "allowed are 127.0.0.1:3000, [::1]:3000 and a port alone".to_owned())
}

/// What can be sent as a bearer, and is not guessed.
fn token(text: &str) -> Result<Secret, String> {
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    match sendable && text.len() >= SHORTEST_TOKEN {
        true => Ok(text.into()),
        false => {
            Err(format!("allowed are {SHORTEST_TOKEN} or more letters, digits and signs without white space"))
        }
    }
}

/// As a key that is made of 96 random bits.
const SHORTEST_TOKEN: usize = 16;

/// An address that a browser or a webhook's sender can call.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "allowed are addresses that begin with http:// or https://".to_owned())
}

/// What a browser sends as Origin.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wanted =
        || "allowed are '*' and origins like https://shop.example or http://127.0.0.1:8080".to_owned();
    let of_a_page = |url: Url| Some(url.origin().ascii_serialization()).filter(|origin| origin == text);
    let said = if text == "*" { Some(text.to_owned()) } else { web_address(text).ok().and_then(of_a_page) };
    said.and_then(|origin| HeaderValue::from_str(&origin).ok()).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for right in ["*", "https://shop.example", "http://127.0.0.1:8080"] {
            assert_eq!(origin(right).unwrap(), right);
        }
        for wrong in
            ["", "shop.example", "https://shop.example/", "https://shop.example/a", "https://h:443", "null"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_alone_is_this_machine_only() {
        assert_eq!(address("8080"), Ok("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(address("0.0.0.0:80"), Ok("0.0.0.0:80".parse().unwrap()));
        assert_eq!(address("[::]:80"), Ok("[::]:80".parse().unwrap()));
        for wrong in ["", "host:80", "127.0.0.1", "70000", ":80"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_worker_listens_nowhere_unless_it_is_told() {
        let at = |listen: Option<&str>| AddressFlags { listen: listen.map(|at| at.parse().unwrap()) };
        assert_eq!((at(None).address(), at(None).of_worker()), (USUAL, None));
        let told = at(Some("127.0.0.1:9100"));
        assert_eq!((told.address(), told.of_worker()), (told.address(), Some(told.address())));
    }

    #[test]
    fn a_token_can_be_sent_and_is_not_guessed() {
        assert!(token("0123456789abcdef").is_ok());
        for wrong in ["", "short", "0123456789 abcdef", "0123456789abcdéf"] {
            assert!(token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_begin_with_the_public_url_or_the_listening_address() {
        let listen = "127.0.0.1:3000".parse().unwrap();
        let told = |public_url: Option<&str>| {
            let at = AddressFlags { listen: Some(listen) };
            ListenFlags { at, public_url: public_url.map(|url| url.parse().unwrap()) }.public_url()
        };
        assert_eq!(told(None), "http://127.0.0.1:3000");
        assert_eq!(told(Some("https://shop.example/pixmill/")), "https://shop.example/pixmill");
    }

    #[test]
    fn web_addresses_have_a_scheme_and_a_host() {
        assert!(web_address("https://h/hook?a=b").is_ok());
        for wrong in ["", "h/hook", "ftp://h", "http://", "javascript:alert(1)"] {
            assert!(web_address(wrong).is_err(), "{wrong}");
        }
    }
}
