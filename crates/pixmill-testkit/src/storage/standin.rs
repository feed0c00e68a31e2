//! A stand-in for a web service, on loopback, which can be told to misbehave.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What a stand-in answers when nothing is amiss.
pub trait StandIn: Send + Sync + 'static {
    /// Does what is asked.
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes>;
}

/// A way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is done; a status is answered, with headers.
    Refused(u16, Vec<(&'static str, String)>),
    /// Nothing is done, and the connection is cut.
    CutBefore,
    /// What is asked is done, and the connection is cut before the answer.
    CutAfter,
    /// What is asked is done, and nothing is ever answered.
    Silent,
    /// It takes a while.
    Slow(Duration),
}

type Plan = Box<dyn FnMut(u64) -> Option<Trouble> + Send>;

/// A running service, in a thread of its own. It stops when it is dropped, cutting what is under way.
pub struct Running<S> {
    service: Arc<S>,
    address: SocketAddr,
    writes: Arc<Mutex<Writes>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Requests that change something, and what befalls them.
struct Writes {
    count: u64,
    plan: Plan,
}

impl<S: StandIn> Running<S> {
    /// Starts to serve on any free port.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub fn start(service: S) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (service, writes) = (Arc::new(service), Arc::new(Mutex::new(Writes::well())));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, began) = mpsc::channel();
        let serving = (Arc::clone(&service), Arc::clone(&writes));
        let thread = std::thread::Builder::new().name("service".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = ready.send(runtime.as_ref().map(drop).map_err(io::Error::kind));
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener can be watched");
                tokio::select! {
                    () = accept(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        })?;
        began.recv().map_err(io::Error::other)??;
        Ok(Running { service, address, writes, stop: Some(stop), thread: Some(thread) })
    }

    /// The service.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on, what befalls each request that changes something, by its number, which begins at 0 again.
    pub fn misbehave(&self, plan: impl FnMut(u64) -> Option<Trouble> + Send + 'static) {
        *self.writes() = Writes { count: 0, plan: Box::new(plan) };
    }

    /// From now on all is well.
    pub fn behave(&self) {
        *self.writes() = Writes::well();
    }

    /// Requests since then that would change something.
    pub fn asked(&self) -> u64 {
        self.writes().count
    }

    fn writes(&self) -> std::sync::MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Writes {
    fn well() -> Self {
        Writes { count: 0, plan: Box::new(|_| None) }
    }

    fn next(&mut self) -> Option<Trouble> {
        self.count += 1;
        (self.plan)(self.count - 1)
    }
}

type Serving<S> = (Arc<S>, Arc<Mutex<Writes>>);

async fn accept<S: StandIn>(listener: TcpListener, serving: Serving<S>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, serving.clone()));
        }
    }
}

async fn connection<S: StandIn>(stream: TcpStream, (service, writes): Serving<S>) {
    let _ = stream.set_nodelay(true);
    let answering = service_fn(|request: Request<Incoming>| exchange(&*service, &writes, request));
    // An error is a connection that was cut, by either side.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answering).await;
}

/// An error cuts the connection.
async fn exchange<S: StandIn>(
    service: &S,
    writes: &Mutex<Writes>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(head, body);
    let trouble = match *request.method() {
        Method::GET | Method::HEAD => None,
        _ => writes.lock().unwrap_or_else(PoisonError::into_inner).next(),
    };
    let cut = || io::Error::from(io::ErrorKind::ConnectionReset);
    let answered = match trouble {
        None => service.answer(&request),
        Some(Trouble::Refused(status, headers)) => refusal(status, &headers),
        Some(Trouble::CutBefore) => return Err(cut()),
        Some(Trouble::CutAfter) => {
            service.answer(&request);
            return Err(cut());
        }
        Some(Trouble::Silent) => {
            service.answer(&request);
            std::future::pending().await
        }
        Some(Trouble::Slow(while_)) => {
            tokio::time::sleep(while_).await;
            service.answer(&request)
        }
    };
    Ok(answered.map(Full::new))
}

fn refusal(status: u16, headers: &[(&'static str, String)]) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Bytes::new()).expect("plans name statuses and headers that exist")
}
