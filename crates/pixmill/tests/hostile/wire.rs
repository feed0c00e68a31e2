//! Calls as they go over the wire, for what no client of good manners sends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::caller::Caller;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A connection to a server.
pub(crate) fn connect(caller: &Caller) -> TcpStream {
    let stream = TcpStream::connect(address(caller)).expect("the server listens");
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Where it listens.
pub(crate) fn address(caller: &Caller) -> &str {
    caller.url.trim_start_matches("http://")
}

/// Begins a call: a head as it is, and some of its body.
pub(crate) fn begin(caller: &Caller, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = connect(caller);
    stream.write_all(head.replace('\n', "\r\n").as_bytes()).unwrap();
    // A server may have refused already.
    let _ = stream.write_all(body);
    stream
}

/// The status and the text of an answer, read to the connection's end.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let (mut read, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(more) => read.extend_from_slice(&part[..more]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&read)),
        }
    }
    let text = String::from_utf8_lossy(&read).into_owned();
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, text)
}

/// The answer to a call that is whole.
pub(crate) fn ask(caller: &Caller, head: &str) -> (u16, String) {
    let head = head.replace("\n\n", "\nconnection: close\n\n");
    answer(begin(caller, &head, b""))
}

/// Whether a server has ended a connection, once that has happened.
pub(crate) fn is_ended(stream: &mut TcpStream, patience: Duration) -> bool {
    let (began, mut part) = (Instant::now(), vec![0; 64 << 10]);
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    while began.elapsed() < patience {
        match stream.read(&mut part) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}
