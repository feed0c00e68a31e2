//! What an origin answered, as the engine's port has it.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER};
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Body};

use super::failure;
use crate::net::retry_after::retry_after;

/// The answer of `place`, `scheme://host:port`, which faults of its body will name.
pub(super) fn from_response(response: Response<Incoming>, place: String) -> Answer {
    let (head, incoming) = response.into_parts();
    Answer {
        status: head.status.as_u16(),
        location: text(&head.headers, LOCATION),
        retry_after: text(&head.headers, RETRY_AFTER)
            .and_then(|value| retry_after(value.trim(), SystemTime::now())),
        content_length: incoming.size_hint().exact(),
        body: Box::new(IncomingBody { incoming, place }),
    }
}

/// A header as text. Origins send UTF-8 in `Location` although they should not.
fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

struct IncomingBody {
    incoming: Incoming,
    place: String,
}

#[async_trait]
impl Body for IncomingBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        while let Some(frame) = self.incoming.frame().await {
            let frame = frame.map_err(|error| failure::within_a_body(&error, &self.place))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
