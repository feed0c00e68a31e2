//! One request and what is answered to it, byte by byte: a well-bred server's library can't misbehave.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::log::{Ongoing, Request};

const HEAD_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// The next request of a connection, `None` at its honest end. `unread` holds what came too early.
/// Requests have no bodies.
pub(super) async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(unread)? {
            unread.drain(..length);
            return Ok(Some(request));
        }
        if unread.len() > HEAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(unread).await? == 0 {
            return if unread.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// The request at the start of `bytes` and its length, if all of it has come.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(text).collect(),
    };
    Ok(Some((request, length)))
}

/// A request under way.
pub(super) struct Exchange<'a> {
    stream: &'a mut TcpStream,
    pub(super) request: Request,
    ongoing: Ongoing,
    /// Whether the connection goes on after this answer.
    pub(super) keep: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: &'a mut TcpStream, request: Request, ongoing: Ongoing) -> Self {
        let keep = request.headers.get("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        Exchange { stream, request, ongoing, keep }
    }

    /// Sends a status line and headers.
    pub(super) async fn head(&mut self, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
        let head = self.head_of(status, headers);
        self.stream.write_all(head.as_bytes()).await
    }

    fn head_of(&self, status: u16, headers: &[(&str, &str)]) -> String {
        self.ongoing.note(|entry| entry.status = status);
        let mut head = format!("HTTP/1.1 {status} Status\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(if self.keep { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" });
        head
    }

    /// Sends bytes of the body.
    pub(super) async fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.ongoing.note(|entry| entry.bytes += bytes.len() as u64);
        Ok(())
    }

    /// Sends a whole answer, a short one in one packet.
    pub(super) async fn answer(
        &mut self,
        status: u16,
        kind: &str,
        body: &[u8],
        more: &[(&str, &str)],
    ) -> io::Result<()> {
        let length = body.len().to_string();
        let mut headers = vec![("Content-Length", length.as_str()), ("Content-Type", kind)];
        headers.extend(more);
        let mut message = self.head_of(status, &headers).into_bytes();
        let body = if self.request.method == "HEAD" { &[] } else { body };
        message.extend_from_slice(body);
        self.stream.write_all(&message).await?;
        self.ongoing.note(|entry| entry.bytes += body.len() as u64);
        self.complete();
        Ok(())
    }

    /// Sends bytes that are no answer.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.keep = false;
        self.stream.write_all(bytes).await
    }

    /// Notes that the answer was whole and honest.
    pub(super) fn complete(&self) {
        self.ongoing.note(|entry| entry.complete = true);
    }

    /// Ends the connection by a reset.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.keep = false;
        self.stream.set_zero_linger()
    }

    /// Waits until the other side leaves.
    pub(super) async fn until_they_leave(&mut self) -> io::Result<()> {
        self.keep = false;
        let mut ignored = [0; 1024];
        while self.stream.read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
