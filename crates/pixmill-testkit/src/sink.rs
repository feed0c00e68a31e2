//! A webhook's receiver that keeps what it hears and answers as it is told to.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest head that is read, bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The status that it was answered with.
    pub status: u16,
}

impl Heard {
    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// A running receiver. It stops when it is dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    more: Condvar,
    over: AtomicBool,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// Listens on loopback. `answer` gives the status of the nth call, from 0, and what else is said: header lines and
    /// body.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(answer: impl Fn(usize) -> Reply + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let hearing = shared.clone();
        let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if hearing.over.load(Ordering::SeqCst) {
                    return;
                }
                // A caller that hangs up early has said nothing.
                let _ = hear(stream, &hearing, &answer);
            }
        })?;
        Ok(Sink { address, shared, thread: Some(thread) })
    }

    /// The address of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All calls so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard().clone()
    }

    /// All calls once there are so many of them, or after a while.
    pub fn wait_for(&self, calls: usize, at_most: Duration) -> Vec<Heard> {
        let heard = self.shared.heard();
        let waited = self.shared.more.wait_timeout_while(heard, at_most, |heard| heard.len() < calls);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a call is answered with.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header lines, each with its line end.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Reply { status, headers: String::new(), body: String::new() }
    }
}

fn hear(mut stream: TcpStream, shared: &Shared, answer: &impl Fn(usize) -> Reply) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (mut heard, head_bytes) = loop {
        read_some(&mut stream, &mut bytes)?;
        if let Some(parsed) = head(&bytes)? {
            break parsed;
        }
        if bytes.len() > HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let body_bytes: usize = heard.header("content-length").parse().map_err(io::Error::other)?;
    while bytes.len() < head_bytes + body_bytes {
        read_some(&mut stream, &mut bytes)?;
    }
    heard.bytes = bytes.split_off(head_bytes);
    heard.body = String::from_utf8_lossy(&heard.bytes).into_owned();
    let reply = answer(shared.heard().len());
    heard.status = reply.status;
    // Kept before it is answered: whoever has the answer may look at once.
    shared.heard().push(heard);
    shared.more.notify_all();
    stream.write_all(
        format!(
            "HTTP/1.1 {} said\r\ncontent-length: {}\r\nconnection: close\r\n{}\r\n{}",
            reply.status,
            reply.body.len(),
            reply.headers,
            reply.body
        )
        .as_bytes(),
    )
}

fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 8192];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            bytes.extend_from_slice(&buffer[..read]);
            Ok(())
        }
    }
}

/// The head and its length; `None` until it is whole.
fn head(bytes: &[u8]) -> io::Result<Option<(Heard, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes).map_err(io::Error::other)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let headers = request.headers.iter().map(|header| {
                (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            });
            let path = request.path.unwrap_or_default().to_owned();
            Ok(Some((
                Heard { path, headers: headers.collect(), body: String::new(), bytes: Vec::new(), status: 0 },
                length,
            )))
        }
    }
}
