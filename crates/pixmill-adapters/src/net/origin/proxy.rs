//! A forward proxy, where the operator names one: it is told whole addresses where requests are in the clear
//! (RFC 9112, section 3.2.2), and asked for a tunnel where they are encrypted (RFC 9110, section 9.3.6).
//!
//! The guard has judged the target before, by this machine's own resolver. A tunnel is asked for by an address that was
//! judged, so that the proxy can't be made to look the name up again and find another.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::link::Stream;

/// Most bytes of a proxy's answer.
const ANSWER_MAX: usize = 16 << 10;

/// A proxy over HTTP.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// `Proxy-Authorization`.
    pub(super) credentials: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy at an address such as `http://user:password@host:3128`.
    ///
    /// # Errors
    /// A sentence on what is no address of a proxy.
    pub fn at(url: &Url) -> Result<Self, String> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if url.scheme() != "http" || host.is_empty() {
            return Err(
                "allowed are proxies at http://HOST:PORT and http://USER:PASSWORD@HOST:PORT".to_owned()
            );
        }
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Proxy { host: host.to_owned(), port, credentials: basic(url) })
    }

    /// Asks for a tunnel to an address, over a connection to the proxy.
    ///
    /// # Errors
    /// `fetch.connect`, which names the proxy.
    pub(super) async fn tunnel(&self, stream: &mut dyn Stream, to: SocketAddr) -> Result<(), Fault> {
        let mut ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(credentials) = &self.credentials {
            ask.extend_from_slice(b"Proxy-Authorization: ");
            ask.extend_from_slice(credentials.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        let told = async {
            stream.write_all(&ask).await?;
            let mut head = Vec::new();
            // A byte at a time: what follows the head belongs to whoever is at the other end.
            while !head.ends_with(b"\r\n\r\n") && head.len() < ANSWER_MAX {
                head.push(stream.read_u8().await?);
            }
            Ok(status(&head))
        };
        match told.await {
            Ok(Some(200..=299)) => Ok(()),
            Ok(Some(407)) => Err(self.wants_credentials()),
            Ok(Some(status)) => Err(self.fault(&format!("refuses a connection to {to} ({status})"))),
            Ok(None) => Err(self.fault("answers with something that is not HTTP")),
            Err(error) => {
                let error: std::io::Error = error;
                Err(self.fault(&format!("made no connection to {to}: {}", super::failure::in_words(&error))))
            }
        }
    }

    /// It lets nobody through that it doesn't know.
    pub(super) fn wants_credentials(&self) -> Fault {
        let fault = self.fault("asks for a user and a password: --proxy http://USER:PASSWORD@HOST:PORT");
        Fault::permanent(fault.code, fault.message)
    }

    pub(super) fn fault(&self, reason: &str) -> Fault {
        let message = format!("The proxy {}:{} {reason}.", self.host, self.port);
        Fault::transient(Code::FetchConnect, message)
    }
}

/// Basic credentials (RFC 7617) from the user and password of an address.
pub(in crate::net) fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The status of an answer's head.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let digits = rest.get(..3).filter(|_| version.starts_with("HTTP/1."))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_told_by_its_address() {
        let at = |text: &str| Proxy::at(&Url::parse(text).unwrap());
        let proxy = at("http://me:p%40ss@proxy.example:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
        assert_eq!(proxy.credentials.as_ref().unwrap(), "Basic bWU6cEBzcw==");
        assert!(!format!("{proxy:?}").contains("bWU6"), "{proxy:?}");
        assert_eq!(at("http://[::1]").unwrap().host, "::1");
        for wrong in ["https://proxy.example", "socks5://proxy.example:1080", "data:a"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_tunnel_is_open_once_the_proxy_says_so() {
        let proxy = Proxy::at(&Url::parse("http://me:you@proxy.example:3128").unwrap()).unwrap();
        let to: SocketAddr = "192.0.2.1:443".parse().unwrap();
        for (answer, open) in [
            ("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhello", true),
            ("HTTP/1.0 200 OK\r\n\r\nhello", true),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", false),
            ("HTTP/1.1 407 Who?\r\n\r\n", false),
            ("SSH-2.0-x\r\n\r\n", false),
            ("", false),
        ] {
            let (mut here, mut there) = tokio::io::duplex(4096);
            there.write_all(answer.as_bytes()).await.unwrap();
            if answer.is_empty() {
                there.shutdown().await.unwrap();
            }
            let tunnel = proxy.tunnel(&mut here, to).await;
            assert_eq!(tunnel.is_ok(), open, "{answer}");
            if open {
                let mut rest = [0; 5];
                here.read_exact(&mut rest).await.unwrap();
                assert_eq!(&rest, b"hello", "what follows the head is left");
                drop(here);
                let mut asked = String::new();
                there.read_to_string(&mut asked).await.unwrap();
                assert_eq!(
                    asked,
                    "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\
                     Proxy-Authorization: Basic bWU6eW91\r\n\r\n"
                );
            }
        }
    }
}
