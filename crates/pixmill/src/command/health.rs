//! `pixmill health`: whether a server on this machine is ready, or lives, for whoever runs it in a container.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{End, Stop};
use crate::config::listen::AddressFlags;
use crate::display;

/// Ask the server on this machine whether it is ready
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = "\
Asks /readyz at the address where 'serve' listens, as it is configured here, for 3 seconds at most.

Examples:
  pixmill health                          is the server ready?
  pixmill health --live                   does it live? For what restarts it: a backend may be away
  pixmill health --listen 127.0.0.1:9100  of a worker that listens there

Exit codes: 0 it is, 1 it is not, 2 bad usage or configuration.")]
pub(super) struct HealthArgs {
    /// Ask whether it lives (/healthz) rather than whether it is ready
    #[arg(long)]
    live: bool,

    #[command(flatten)]
    at: AddressFlags,
}

/// How long is waited for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that is looked at, bytes.
const LONGEST: usize = 64 << 10;

/// Asks.
pub(super) fn run(args: HealthArgs) -> Result<End, Stop> {
    let address = reachable(args.at.address());
    if address.port() == 0 {
        return Err(Stop::Usage("port 0 is whichever is free, so nobody knows it: say --listen".to_owned()));
    }
    let path = if args.live { "/healthz" } else { "/readyz" };
    match asked(address, path) {
        Ok((200, _)) => Ok(End::Done),
        Ok((status, body)) => {
            display::error(format!("{address}{path} answers {status} {body}").trim_end());
            Ok(End::Refused)
        }
        Err(error) => {
            display::error(&format!("{address} does not answer: {error}"));
            Ok(End::Refused)
        }
    }
}

/// Where this machine reaches what listens at an address: all addresses are none that could be called.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// The status and the body of what answers.
fn asked(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let (began, mut answer) = (Instant::now(), Vec::new());
    let mut piece = [0; 4096];
    while answer.len() < LONGEST {
        let left = PATIENCE.saturating_sub(began.elapsed());
        // No time is not a time-out that could be set.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("what answers there is no HTTP server"))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
    Ok((status, body.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_this_machine() {
        for (listening, asked) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
