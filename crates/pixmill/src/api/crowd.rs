//! So many at a time: in all, and of each tenant, so that none takes all the room.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use pixmill_engine::code::Code;

use super::problem::Problem;

/// When to come again.
const LATER: Duration = Duration::from_secs(2);

/// What a call takes beside time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer that is soon whole.
    Call,
    /// A body, which has a bound of its own.
    Upload,
    /// An answer that a thread makes while somebody reads it.
    Threaded,
    /// A picture that somebody else is asked for first.
    Look,
    /// An answer that goes on for as long as somebody listens.
    Stream,
}

/// How many a tenant may have under way.
pub(super) struct Crowds {
    calls: Crowd,
    threaded: Crowd,
    looks: Crowd,
    streams: Crowd,
}

impl Default for Crowds {
    fn default() -> Self {
        Crowds {
            calls: Crowd::new("calls", 96, 768),
            threaded: Crowd::new("downloads of catalogues", 8, 32),
            looks: Crowd::new("looks at originals", 24, 96),
            streams: Crowd::new("event streams", 256, 1024),
        }
    }
}

impl Crowds {
    /// Lets a call of a kind in.
    ///
    /// # Errors
    /// Those of [`Crowd::enter`].
    pub(super) fn enter(&self, kind: Kind, tenant: &Arc<str>) -> Result<Option<Place>, Problem> {
        match kind {
            Kind::Call => self.calls.enter(tenant).map(Some),
            Kind::Threaded => self.threaded.enter(tenant).map(Some),
            Kind::Look => self.looks.enter(tenant).map(Some),
            Kind::Stream => self.streams.enter(tenant).map(Some),
            Kind::Upload => Ok(None),
        }
    }
}

/// Whoever is let in holds a [`Place`].
struct Crowd {
    /// What they are, for those who are not let in.
    what: &'static str,
    each: usize,
    all: usize,
    inside: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// Left when dropped.
pub(super) struct Place {
    tenant: Arc<str>,
    inside: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

impl Crowd {
    fn new(what: &'static str, each: usize, all: usize) -> Self {
        Crowd { what, each, all, inside: Arc::default() }
    }

    /// Lets one of a tenant's in.
    ///
    /// # Errors
    /// `rate.limited`, with 503 where others take the room.
    fn enter(&self, tenant: &Arc<str>) -> Result<Place, Problem> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let own = inside.get(tenant).copied().unwrap_or_default();
        let (what, each) = (self.what, self.each);
        if own >= each {
            let detail = format!("{each} {what} of a tenant may be under way, and so many are");
            return Err(Problem::new(Code::RateLimited, detail).after(LATER));
        }
        if inside.values().sum::<usize>() >= self.all {
            let detail = format!("there is no room for more {what} now");
            return Err(Problem::new(Code::RateLimited, detail).unavailable().after(LATER));
        }
        inside.insert(tenant.clone(), own + 1);
        Ok(Place { tenant: tenant.clone(), inside: self.inside.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match inside.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(inside.remove(&self.tenant)),
        }
    }
}

/// An answer that something lives as long as.
pub(super) fn holding<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    response.map(|body| Body::new(Holding { body, _held: held }))
}

struct Holding<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_takes_all_the_room() {
        let crowd = Crowd::new("streams", 2, 3);
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let first = crowd.enter(&one).unwrap();
        let _second = crowd.enter(&one).unwrap();
        assert!(crowd.enter(&one).is_err(), "of a tenant");
        let third = crowd.enter(&other).unwrap();
        assert!(crowd.enter(&other).is_err(), "in all");
        drop(first);
        let _again = crowd.enter(&other).unwrap();
        drop(third);
        let _again = crowd.enter(&one).unwrap();
    }
}
