//! What becomes of an answer of any bytes, without a network: for who tries many of them.

use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::Empty;
use hyper::{Request, Uri};
use pixmill_engine::fault::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

use super::link::{Link, Seat};
use super::{answer, builder, failure};

/// Bytes on their way to whoever reads the answer.
const ON_THE_WAY: usize = 64 << 10;

/// Reads an answer as if an origin had sent it and hung up: its status, and its body up to so many bytes or a piece more.
///
/// # Errors
/// Those of an origin.
///
/// # Panics
/// When a promise is broken that holds for any bytes at all.
pub async fn rehearse(sent: &[u8], most: usize) -> Result<(u16, Vec<u8>), Fault> {
    let (ours, mut theirs) = tokio::io::duplex(ON_THE_WAY);
    let link = Link::new(Box::new(ours), true, Seat::take(&Arc::default()));
    let client = builder().build(Once(Arc::new(Mutex::new(Some(link)))));
    let mut request = Request::new(Empty::<bytes::Bytes>::new());
    *request.uri_mut() = Uri::from_static("http://origin.example/a.jpg");
    let asking = async {
        let response = client.request(request).await;
        let response = response.map_err(|error| failure::before_an_answer(&error, "it"))?;
        let mut answer = answer::from_response(response, "it".to_owned());
        let mut body = Vec::new();
        while body.len() < most
            && let Some(piece) = answer.body.chunk().await?
        {
            assert!(!piece.is_empty(), "an empty piece is no piece");
            body.extend_from_slice(&piece);
        }
        Ok((answer.status, body))
    };
    let answering = async {
        // What comes before it is asked for is no answer; and whoever has read enough hangs up.
        let _ = theirs.read(&mut [0; 4096]).await;
        let _ = theirs.write_all(sent).await;
        let _ = theirs.shutdown().await;
        std::future::pending().await
    };
    tokio::select! {
        outcome = asking => outcome,
        () = answering => unreachable!("it waits"),
    }
}

/// Gives its one connection away.
#[derive(Clone)]
struct Once(Arc<Mutex<Option<Link>>>);

impl Service<Uri> for Once {
    type Response = Link;
    type Error = io::Error;
    type Future = Ready<io::Result<Link>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready(link.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()))
    }
}
