//! Connections: so many at a time, bounded in header and in patience, and ended in peace.

mod hall;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use pixmill_engine::serve::GRACE;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::access::Ends;
use super::crowd::holding;
use hall::{Hall, Taken};
use wire::Wire;

pub(super) use hall::Seat;

/// How long a client may take over a header; idle connections end after it too.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// Most bytes, and most lines, of a header.
const HEADER_BYTES: usize = 32 << 10;
const HEADER_LINES: usize = 64;

/// How long is waited after a connection could not be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Has the system give this process as many descriptors as it may have: many systems give 1,024, whoever needs more.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current < maximum.or(current) {
            // What can't be had is done without.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        }
    }
}

/// Answers until stopped, then waits for answers under way.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    raise_descriptors();
    let hall = Arc::new(Hall::default());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let ends = Ends { peer, local: stream.local_addr().ok() };
                // Whom there is no room for even to stand hears nothing.
                if let Some(taken) = hall.enter(peer.ip()) {
                    attend(stream, ends, router.clone(), &graceful, taken);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                hall.relieve();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(GRACE) => tracing::warn!("calls under way were broken off"),
    }
}

fn attend(stream: TcpStream, ends: Ends, router: Router, graceful: &GracefulShutdown, taken: Taken) {
    // Small answers are to leave at once.
    let _ = stream.set_nodelay(true);
    let seat = taken.seat.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        seat.is_busy();
        request.extensions_mut().insert(ends);
        request.extensions_mut().insert(seat.clone());
        let (answer, done) = (router.clone().call(request), Done(seat.clone()));
        async move { answer.await.map(|response| holding(response, done)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_LINES)
        .serve_connection(TokioIo::new(Wire::new(stream, taken.seat.clone())), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        tokio::select! {
            // A client that hung up has nobody left to tell.
            ended = watched => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
            }
            () = taken.seat.leaves() => tracing::debug!("a connection that did nothing made room"),
        }
    });
}

/// Dropped once an answer has been sent, or can't be.
struct Done(Arc<Seat>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.is_idle();
    }
}
