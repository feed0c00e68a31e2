//! A body as it comes: bounded in bytes and in time, and handed to a thread that reads.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body as HttpBody, BodyDataStream, Bytes};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use http::StatusCode;
use pixmill_engine::code::Code;
use tokio::sync::mpsc;

use super::super::problem::Problem;
use super::memory::{Charge, Memory};
use super::pace::Pace;

/// Chunks that may wait for the thread that reads.
const WAITING: usize = 4;

/// Most bytes that are read of a body nobody wants any more, so that its connection can go on.
const POLITE_BYTES: usize = 256 << 10;

/// A body.
pub(in crate::api) struct Body {
    chunks: BodyDataStream,
    most: u64,
    left: u64,
    pace: Arc<Pace>,
    /// A chunk that was looked at and is still to come.
    seen: Option<Bytes>,
}

impl Body {
    pub(in crate::api) fn new(body: HttpBody, most: u64, pace: Arc<Pace>) -> Self {
        Body { chunks: body.into_data_stream(), most, left: most, pace, seen: None }
    }

    /// The next chunk, `None` at the honest end.
    ///
    /// # Errors
    /// `body.malformed` when it breaks off, stands still or drips, `body.too_large`.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        match self.seen.take() {
            Some(seen) => Ok(Some(seen)),
            None => self.come().await,
        }
    }

    /// What it begins with, white space and a byte order mark aside; it comes all the same.
    ///
    /// # Errors
    /// Those of `next`.
    pub(super) async fn first(&mut self) -> Result<Option<u8>, Problem> {
        self.seen = self.next().await?;
        let text = self.seen.as_deref().unwrap_or_default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Ok(text.trim_ascii_start().first().copied())
    }

    async fn come(&mut self) -> Result<Option<Bytes>, Problem> {
        let patience = self.pace.wait(Instant::now());
        let next = tokio::time::timeout(patience, self.chunks.next()).await;
        let chunk = match next {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                return Err(Problem::new(Code::BodyMalformed, format!("the body broke off: {error}")));
            }
            Ok(Some(Ok(chunk))) => chunk,
        };
        if !self.pace.came(chunk.len() as u64, Instant::now()) {
            return Err(too_slow());
        }
        match self.left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                self.left = left;
                Ok(Some(chunk))
            }
            None => Err(too_large(self.most)),
        }
    }

    /// All of it, in memory that is charged as it comes.
    ///
    /// # Errors
    /// Those of `next` and of the memory.
    pub(in crate::api) async fn whole(mut self, memory: &Memory) -> Result<(Vec<u8>, Charge), Problem> {
        let (mut whole, mut charge) = (Vec::new(), Charge::default());
        while let Some(chunk) = self.next().await? {
            memory.charge(&mut charge, &chunk)?;
            whole.extend_from_slice(&chunk);
        }
        Ok((whole, charge))
    }

    /// As a stream.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Bytes, Problem>> {
        let next = |mut body: Body| async move { Ok(body.next().await?.map(|chunk| (chunk, body))) };
        stream::try_unfold(self, next).boxed()
    }
}

fn too_slow() -> Problem {
    let detail = "too little of the body came for too long";
    Problem::new(Code::BodyMalformed, detail).with_status(StatusCode::REQUEST_TIMEOUT)
}

fn too_large(most: u64) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body may have {most} bytes here"))
}

/// A pipe from here to a thread that reads.
pub(super) fn pipe() -> (Chunks, Reader) {
    let (chunks, coming) = mpsc::channel(WAITING);
    (Chunks(chunks), Reader { coming, current: Bytes::new(), ended: false })
}

/// Where chunks go in; the honest end is an empty one.
pub(super) struct Chunks(mpsc::Sender<Bytes>);

impl Chunks {
    /// The honest end, said by a thread.
    pub(super) fn end(self) {
        // Whoever read has its own reason for being gone.
        let _ = self.0.blocking_send(Bytes::new());
    }
}

/// For threads, which may wait. Each write is a chunk.
impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a thread reads. When the other end is gone before the honest end, reading fails.
pub(in crate::api) struct Reader {
    coming: mpsc::Receiver<Bytes>,
    current: Bytes,
    ended: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended {
            self.current = self.coming.blocking_recv().ok_or(io::ErrorKind::UnexpectedEof)?;
            self.ended = self.current.is_empty();
        }
        let read = self.current.len().min(buffer.len());
        buffer[..read].copy_from_slice(&self.current.split_to(read));
        Ok(read)
    }
}

/// Moves chunks into a pipe until their end. When nobody reads any more, the rest is passed over, up to a bound; whether
/// their end was reached.
///
/// # Errors
/// Those of the chunks; the pipe ends dishonestly then.
pub(super) async fn pump(
    pipe: Chunks,
    mut chunks: impl Stream<Item = Result<Bytes, Problem>> + Send + Unpin,
) -> Result<bool, Problem> {
    let mut passed_over = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let bytes = chunk.len();
        if bytes > 0 && pipe.0.send(chunk).await.is_err() {
            passed_over += bytes;
            if passed_over > POLITE_BYTES {
                return Ok(false);
            }
        }
    }
    // Whoever read has its own reason for being gone.
    let _ = pipe.0.send(Bytes::new()).await;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut reader: Reader) -> io::Result<Vec<u8>> {
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_and_ends() {
        let (pipe, reader) = pipe();
        let parts = [&b"ab"[..], b"", b"cde"].map(|part| Ok(Bytes::from_static(part)));
        let (read, pumped) = tokio::join!(read_all(reader), pump(pipe, stream::iter(parts)));
        pumped.unwrap();
        assert_eq!(read.unwrap(), b"abcde");
    }

    #[tokio::test]
    async fn half_a_body_is_no_body() {
        let (pipe, reader) = pipe();
        let parts = stream::iter([Ok(Bytes::from_static(b"ab")), Err(too_large(2))]);
        let (read, pumped) = tokio::join!(read_all(reader), pump(pipe, parts));
        assert_eq!(pumped.unwrap_err().code(), Code::BodyTooLarge);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_was_looked_at_comes_all_the_same() {
        for (text, first) in
            [(&b"\xef\xbb\xbf \n[1]"[..], Some(b'[')), (b"{}", Some(b'{')), (b" ", None), (b"", None)]
        {
            let mut body = Body::new(HttpBody::from(text), 99, Arc::default());
            assert_eq!(body.first().await.unwrap(), first);
            assert_eq!(body.whole(&Memory::new(1 << 20)).await.unwrap().0, text);
        }
    }

    #[tokio::test]
    async fn a_body_has_a_bound() {
        let memory = Memory::new(0);
        let body = |most| Body::new(HttpBody::from("12345"), most, Arc::default()).whole(&memory);
        assert_eq!(body(5).await.unwrap().0, b"12345");
        assert_eq!(body(4).await.err().unwrap().code(), Code::BodyTooLarge);
    }
}
