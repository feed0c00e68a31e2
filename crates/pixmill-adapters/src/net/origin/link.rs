//! A connection to a judged peer, and what became of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mend::Heads;

/// Bytes both ways, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A place among the open connections, given back when its connection is closed.
pub(super) struct Seat {
    open: Arc<AtomicUsize>,
    pub(super) number: usize,
}

impl Seat {
    pub(super) fn take(open: &Arc<AtomicUsize>) -> Self {
        Seat { number: open.fetch_add(1, Ordering::Relaxed), open: Arc::clone(open) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What passed over a connection.
#[derive(Debug, Default)]
struct Passed {
    /// Requests that were begun to be sent: bytes after the other side's last.
    requests: AtomicU32,
    /// Whether something has come since the last was.
    answered: AtomicBool,
}

/// Whether the request went over a connection that had served before and that ended without a byte of an answer. The
/// other side had closed it meanwhile, or lost it: that says nothing about the request.
pub(super) fn died_unanswered(error: &legacy::Error) -> bool {
    let mut extras = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extras);
    }
    extras.get::<Arc<Passed>>().is_some_and(|passed| {
        passed.requests.load(Ordering::Relaxed) > 1 && !passed.answered.load(Ordering::Relaxed)
    })
}

/// A stream that notes what passes, and puts heads of answers right.
struct Noted {
    stream: Box<dyn Stream>,
    passed: Arc<Passed>,
    /// None where heads are not text.
    heads: Option<Heads>,
    /// What has come and is still to be read.
    ready: Bytes,
}

impl Noted {
    fn sent(&mut self, outcome: &Poll<io::Result<usize>>) {
        if matches!(outcome, Poll::Ready(Ok(1..))) {
            let answered = self.passed.answered.swap(false, Ordering::Relaxed);
            if answered || self.passed.requests.load(Ordering::Relaxed) == 0 {
                self.passed.requests.fetch_add(1, Ordering::Relaxed);
                self.heads.iter_mut().for_each(Heads::expect);
            }
        }
    }

    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let piece = self.ready.split_to(self.ready.len().min(buf.remaining()));
        buf.put_slice(&piece);
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let came = buf.filled().len() > before;
            if came {
                self.passed.answered.store(true, Ordering::Relaxed);
            }
            let Some(heads) = self.heads.as_mut().filter(|heads| heads.is_due()) else {
                return Poll::Ready(Ok(()));
            };
            let ready = match came {
                true => heads.take(&buf.filled()[before..]),
                false => Ok(heads.rest()),
            };
            buf.set_filled(before);
            self.ready = ready.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?.into();
            if !came && self.ready.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        self.hand_over(buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.sent(&outcome);
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.sent(&outcome);
        outcome
    }
}

/// A connection to a judged peer.
pub(in crate::net) struct Link {
    io: TokioIo<Noted>,
    passed: Arc<Passed>,
    http_2: bool,
    proxied: bool,
    keep: bool,
    _seat: Seat,
}

impl Link {
    /// Over a stream that may be kept for more than one request, or not.
    pub(super) fn new(stream: Box<dyn Stream>, keep: bool, seat: Seat) -> Self {
        let passed = Arc::<Passed>::default();
        let io = TokioIo::new(Noted {
            stream,
            passed: Arc::clone(&passed),
            heads: Some(Heads::default()),
            ready: Bytes::new(),
        });
        Link { io, passed, http_2: false, proxied: false, keep, _seat: seat }
    }

    /// Speaks HTTP/2.
    pub(super) fn in_http_2(mut self, http_2: bool) -> Self {
        if http_2 {
            self.io.inner_mut().heads = None;
        }
        Link { http_2, ..self }
    }

    /// Leads to a proxy that is told whole addresses.
    pub(super) fn by_a_proxy(self) -> Self {
        Link { proxied: true, ..self }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let mut connected = Connected::new().proxy(self.proxied).extra(Arc::clone(&self.passed));
        if self.http_2 {
            connected = connected.negotiated_h2();
        }
        if !self.keep {
            connected.poison();
        }
        connected
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
