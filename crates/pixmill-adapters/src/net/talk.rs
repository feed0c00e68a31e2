//! HTTP for who has a thread to wait on: the commands that ask a server, and what tells a collector. Addresses come from
//! whoever runs them and are not guarded.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::{Builder, Runtime};

use super::backend::in_words;
use super::headers::NAME;
use super::trust::Trust;

/// Bytes of a file that are sent at a time.
const PIECE: usize = 64 * 1024;

/// A client that keeps its connections. It follows no redirects.
#[derive(Clone)]
pub struct Talk {
    runtime: Arc<Runtime>,
    client: Client<HttpsConnector<HttpConnector>, Said>,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Talk")
    }
}

impl Talk {
    /// A client that gives a connection so much time to be made.
    ///
    /// # Errors
    /// A machine that has no room for it.
    pub fn new(connect: Duration) -> io::Result<Talk> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Trust::default().client(&[]))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Talk {
            runtime: Arc::new(runtime),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Asks, and waits for the answer's head. Must not be called by a task.
    ///
    /// # Errors
    /// A sentence on why there is none.
    pub fn ask(&self, mut request: Request<Said>) -> Result<Response<Heard>, String> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(NAME));
        let answer = self.runtime.block_on(self.client.request(request));
        let answer = answer.map_err(|error| in_words(&error))?;
        Ok(answer.map(|body| Heard { runtime: self.runtime.clone(), body, left: Bytes::new() }))
    }

    /// Asks, and waits for the whole answer, for so long at most.
    ///
    /// # Errors
    /// Those of [`Talk::ask`].
    pub fn ask_within(&self, limit: Duration, request: Request<Said>) -> Result<Response<Bytes>, String> {
        let exchange = async {
            let (head, body) =
                self.client.request(request).await.map_err(|error| in_words(&error))?.into_parts();
            let body = body.collect().await.map_err(|error| in_words(&error))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let told = self.runtime.block_on(async { tokio::time::timeout(limit, exchange).await });
        told.unwrap_or_else(|_| Err(format!("no whole answer within {} s", limit.as_secs_f32())))
    }
}

/// What is said with a request.
pub enum Said {
    /// These bytes; none where they are empty.
    Whole(Bytes),
    /// What is read from a file, piece by piece, however long it is.
    Read(Box<dyn Read + Send + Unpin>),
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Said::Whole(_) => "Whole",
            Said::Read(_) => "Read",
        })
    }
}

impl Said {
    /// Nothing.
    pub fn nothing() -> Said {
        Said::Whole(Bytes::new())
    }
}

impl Body for Said {
    type Data = Bytes;
    type Error = io::Error;

    /// Reading blocks, which holds up nobody: the thread has nothing else to do.
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.get_mut() {
            Said::Whole(bytes) => Ok(std::mem::take(bytes)),
            Said::Read(file) => piece(file),
        };
        Poll::Ready(match piece {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => Some(Ok(Frame::data(piece))),
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Said::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Said::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Said::Read(_) => SizeHint::default(),
        }
    }
}

fn piece(file: &mut impl Read) -> io::Result<Bytes> {
    let mut piece = BytesMut::zeroed(PIECE);
    loop {
        match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map(|length| piece.split_to(length).freeze()),
        }
    }
}

/// An answer's body, as it comes.
pub struct Heard {
    runtime: Arc<Runtime>,
    body: Incoming,
    left: Bytes,
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heard")
    }
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.runtime.block_on(self.body.frame()) {
                None => return Ok(0),
                Some(frame) => {
                    self.left = frame.map_err(io::Error::other)?.into_data().unwrap_or_default();
                }
            }
        }
        let length = self.left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.left.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A server that hears one request to its end and gives this answer; its address, and what it heard.
    fn server(answer: &'static str, end: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/a", listener.local_addr().unwrap());
        let hearing = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(end.as_bytes()) {
                let mut buffer = [0; 65_536];
                let length = stream.read(&mut buffer).unwrap();
                heard.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(heard).unwrap()
        });
        (address, hearing)
    }

    #[test]
    fn a_file_of_unknown_length_is_sent_whole_and_the_answer_read_as_it_comes() {
        let (address, hearing) =
            server("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nheard", "\r\n0\r\n\r\n");
        let file = io::repeat(b'a').take(200_000);
        let request = Request::post(address).body(Said::Read(Box::new(file))).unwrap();
        let talk = Talk::new(Duration::from_secs(10)).unwrap();
        let mut answer = talk.ask(request).unwrap();
        let mut text = String::new();
        answer.body_mut().read_to_string(&mut text).unwrap();
        assert_eq!((answer.status().as_u16(), text.as_str()), (201, "heard"));
        let heard = hearing.join().unwrap();
        assert!(heard.contains("user-agent: pixmill/"), "{}", &heard[..200]);
        assert_eq!(heard.split_once("\r\n\r\n").unwrap().1.matches('a').count(), 200_000);
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_whole_one() {
        let (address, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf", "\r\n\r\n");
        let request = Request::get(address).body(Said::nothing()).unwrap();
        let mut answer = Talk::new(Duration::from_secs(10)).unwrap().ask(request).unwrap();
        assert!(answer.body_mut().read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn who_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let request = Request::post(address).body(Said::Whole(Bytes::from_static(b"spans"))).unwrap();
        let talk = Talk::new(Duration::from_secs(10)).unwrap();
        let told = talk.ask_within(Duration::from_millis(50), request).unwrap_err();
        assert!(told.contains("within 0.05 s"), "{told}");
    }

    #[test]
    fn nobody_there_is_told_in_words() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let request = Request::get(format!("http://{address}/")).body(Said::nothing()).unwrap();
        let told = Talk::new(Duration::from_secs(10)).unwrap().ask(request).unwrap_err();
        assert_eq!(told, "nobody listens there");
    }
}
