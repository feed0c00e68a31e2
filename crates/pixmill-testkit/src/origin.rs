//! A web server that serves pictures well, and below `/x/` as badly as real ones do.
//!
//! ```text
//! /x/status/CODE      that status               /x/hang           never answers
//! /x/flaky/N/PATH     503, Retry-After 1,       /x/reset          connection reset
//!                     N times, then PATH        /x/empty          200 and no byte
//! /x/slow/MS/PATH     PATH after a wait         /x/html           a page, 200
//! /x/drip/PATH        a byte a second           /x/endless        never stops
//! /x/truncated/PATH   closes half-way           /x/cut-chunks     chunks without their end
//! /x/garbage          an answer that is no HTTP /x/gzipbomb       1 MB that inflates to 1 GB
//! /x/redirect/N/PATH  N redirects, then PATH    /x/redirect-loop  to itself
//! /x/redirect-to/URL-ENCODED                    /x/wrongtype/PATH PATH called text/html
//! /x/odd-header/PATH  PATH with a header that is none
//! /x/storm/N/PATH     PATH to N requests a second, else 429
//! ```
//! PATH is any other path of the server, nested ones included.

pub mod conformance;
mod exchange;
mod log;
mod tricks;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use self::exchange::Exchange;
pub use self::log::Entry;
use self::log::Log;
use self::tricks::Tricks;

/// What an origin serves.
#[derive(Debug, Clone)]
pub enum Pictures {
    /// The files below a folder, by their paths.
    Folder(PathBuf),
    /// Bytes by paths without the leading slash.
    Memory(BTreeMap<String, Bytes>),
}

/// How an origin is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it serves.
    pub pictures: Pictures,
    /// The addresses that it listens on, all on one port.
    pub hosts: Vec<IpAddr>,
    /// The port, 0 for any that is free.
    pub port: u16,
    /// A file to which each request is appended as a line of JSON when it has ended.
    pub log: Option<PathBuf>,
}

impl Settings {
    /// On 127.0.0.1 and any free port, without a log file.
    pub fn serving(pictures: Pictures) -> Self {
        Settings { pictures, hosts: vec![Ipv4Addr::LOCALHOST.into()], port: 0, log: None }
    }
}

/// A running origin, in a thread of its own, so that tests without a runtime can have one. It stops when
/// it is dropped, cutting what is under way.
pub struct Origin {
    host: IpAddr,
    port: u16,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// Starts to serve.
    ///
    /// # Errors
    /// When an address or the log file can't be had.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let log = Arc::new(Log::new(settings.log.as_deref())?);
        let host = *settings.hosts.first().ok_or(io::ErrorKind::InvalidInput)?;
        let (stop, stopped) = oneshot::channel();
        let (ready, port) = mpsc::channel();
        let server = Server { tricks: Tricks::new(settings.pictures), log: Arc::clone(&log) };
        let thread = std::thread::Builder::new().name("origin".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let serving = runtime.and_then(|runtime| {
                let listeners = runtime.block_on(listen(&settings.hosts, settings.port))?;
                Ok((runtime, listeners))
            });
            match serving {
                Ok((runtime, (port, listeners))) => {
                    let _ = ready.send(Ok(port));
                    runtime.block_on(server.run(listeners, stopped));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        let port = port.recv().map_err(io::Error::other)??;
        Ok(Origin { host, port, log, stop: Some(stop), thread: Some(thread) })
    }

    /// The port of all its addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path, which begins with a slash, on its first address.
    pub fn url(&self, path: &str) -> String {
        self.at(self.host, path)
    }

    /// The URL of a path on any of its addresses.
    pub fn at(&self, host: IpAddr, path: &str) -> String {
        format!("http://{}{path}", SocketAddr::new(host, self.port))
    }

    /// The requests so far, in the order in which they came.
    pub fn log(&self) -> Vec<Entry> {
        self.log.entries()
    }

    /// How many connections were ever accepted, with or without a request.
    pub fn connections(&self) -> usize {
        self.log.accepted()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.log.open()
    }

    /// The most connections that were open at once.
    pub fn open_connections_peak(&self) -> usize {
        self.log.open_peak()
    }

    /// The most requests that were under way at once on one of its addresses.
    pub fn peak(&self, host: IpAddr) -> usize {
        self.log.peak(host)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listeners on one port of each host. A port that was free on the first may be taken on another.
async fn listen(hosts: &[IpAddr], port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..if port == 0 { 20 } else { 1 } {
        match listen_once(hosts, port).await {
            Ok(found) => return Ok(found),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn listen_once(hosts: &[IpAddr], port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut port = port;
    for host in hosts {
        let listener = TcpListener::bind((*host, port)).await?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((port, listeners))
}

struct Server {
    tricks: Tricks,
    log: Arc<Log>,
}

impl Server {
    async fn run(self, listeners: Vec<TcpListener>, stopped: oneshot::Receiver<()>) {
        let server = Arc::new(self);
        for listener in listeners {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                loop {
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(Arc::clone(&server).connection(stream));
                    }
                }
            });
        }
        let _ = stopped.await;
    }

    /// Requests of one connection until it ends.
    async fn connection(self: Arc<Self>, mut stream: TcpStream) {
        let connection = self.log.connected();
        let _ = stream.set_nodelay(true);
        let mut unread = Vec::new();
        while let Ok(Some(request)) = exchange::read(&mut stream, &mut unread).await {
            let Ok(host) = stream.local_addr() else { return };
            let ongoing = self.log.begin(&connection, host.ip(), &request);
            let mut exchange = Exchange::new(&mut stream, request, ongoing);
            if self.tricks.answer(&mut exchange).await.is_err() || !exchange.keep {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn settings() -> Settings {
        Settings::serving(Pictures::Memory(BTreeMap::from([(
            "a b.jpg".to_owned(),
            Bytes::from_static(b"picture"),
        )])))
    }

    /// Asks for a path and leaves; all that came back until the origin hung up.
    fn ask(origin: &Origin, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect((origin.host, origin.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_log_file_outlives_the_origin_and_goes_on_in_the_next() {
        let file = std::env::temp_dir().join(format!("pixmill-testkit-log-{}", std::process::id()));
        let first = Origin::start(Settings { log: Some(file.clone()), ..settings() }).unwrap();
        let port = first.port();
        assert!(ask(&first, "/a%20b.jpg?1").ends_with("\r\n\r\npicture"));
        drop(first);
        let second = Origin::start(Settings { log: Some(file.clone()), port, ..settings() }).unwrap();
        assert!(ask(&second, "/none.jpg").starts_with("HTTP/1.1 404 "));
        drop(second);
        let lines = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let entries: Vec<Entry> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.status, e.bytes, e.complete)).collect();
        assert_eq!(told, [("/a%20b.jpg?1", 200, 7, true), ("/none.jpg", 404, 9, true)]);
    }

    #[test]
    fn requests_at_once_are_counted_by_address() {
        let other = Ipv4Addr::new(127, 0, 0, 9).into();
        let hosts = vec![Ipv4Addr::LOCALHOST.into(), other];
        let origin = Origin::start(Settings { hosts, ..settings() }).unwrap();
        let asking: Vec<_> = (0..3)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect((origin.host, origin.port)).unwrap();
                stream.write_all(b"GET /x/hang HTTP/1.1\r\n\r\n").unwrap();
                stream
            })
            .collect();
        while origin.log().len() < 3 {
            std::thread::yield_now();
        }
        drop(asking);
        while origin.log().iter().any(|entry| entry.ended.is_none()) {
            std::thread::yield_now();
        }
        ask(&origin, "/x/empty");
        assert_eq!((origin.peak(origin.host), origin.peak(other), origin.log().len()), (3, 0, 4));
    }

    #[test]
    fn pictures_outside_the_folder_are_not_served() {
        let origin = Origin::start(Settings::serving(Pictures::Folder("src/origin".into()))).unwrap();
        assert!(ask(&origin, "/log.rs").starts_with("HTTP/1.1 200 "));
        assert!(ask(&origin, "/../origin.rs").starts_with("HTTP/1.1 404 "));
        assert!(ask(&origin, "/%2e%2e/origin.rs").starts_with("HTTP/1.1 404 "));
    }
}
