//! A connection's bytes: an answer that nobody reads ends it, and one that was given early is not cut off by what still
//! comes.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::hall::Seat;

/// How long an answer may stand still.
const UNREAD: Duration = Duration::from_secs(30);

/// How long, and for how many bytes, a client goes on being heard that was answered before it had said everything.
const LINGER: Duration = Duration::from_secs(20);
const LINGER_BYTES: usize = 512 << 20;

pub(super) struct Wire {
    stream: TcpStream,
    seat: Arc<Seat>,
    /// How long an answer may stand still.
    patience: Duration,
    /// Runs while nothing can be written.
    unread: Option<Pin<Box<Sleep>>>,
    /// Runs while the rest is passed over.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, seat: Arc<Seat>) -> Self {
        Wire { stream, seat, patience: UNREAD, unread: None, lingering: None }
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            if self.unread.take().is_some() {
                self.seat.is_busy();
            }
            return written;
        }
        let (seat, patience) = (&self.seat, self.patience);
        let timer = self.unread.get_or_insert_with(|| {
            seat.is_unread();
            Box::pin(sleep(patience))
        });
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Passes over what still comes.
    fn pass_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (timer, left) = self.lingering.get_or_insert_with(|| (Box::pin(sleep(LINGER)), LINGER_BYTES));
        let mut space = [0; 16 << 10];
        while timer.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() && *left >= buffer.filled().len() => {
                    *left -= buffer.filled().len();
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.seat.lingers() {
            ready!(self.pass_over(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::hall::Hall;
    use super::*;

    async fn pair() -> (Wire, TcpStream, super::super::hall::Taken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (stream, peer) = accepted.unwrap();
        let taken = Arc::new(Hall::default()).enter(peer.ip()).unwrap();
        (Wire::new(stream, taken.seat.clone()), client.unwrap(), taken)
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends_its_connection() {
        let (mut wire, client, _taken) = pair().await;
        wire.patience = Duration::from_millis(200);
        let error = wire.write_all(&vec![7; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn one_that_is_read_slowly_is_sent_to_its_end() {
        let (mut wire, mut client, _taken) = pair().await;
        wire.patience = Duration::from_secs(2);
        let reading = tokio::spawn(async move {
            let (mut read, mut part) = (0, vec![0; 1 << 20]);
            while read < 16 << 20 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                read += client.read(&mut part).await.unwrap();
            }
        });
        wire.write_all(&vec![7; 16 << 20]).await.unwrap();
        reading.await.unwrap();
    }
}
