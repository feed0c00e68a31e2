//! What an origin answered, as the engine's port has it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER};
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Body};

use super::failure;

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

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is nought when it is past.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_from_seconds_and_from_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let date = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(retry_after("0", now), Some(Duration::ZERO));
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&date(1_700_000_090), now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after(&date(1_600_000_000), now), Some(Duration::ZERO));
        for unreadable in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(unreadable, now), None, "{unreadable}");
        }
    }
}
