//! What an origin answered, as the engine's port has it.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, LOCATION, SET_COOKIE, TRANSFER_ENCODING,
};
use hyper::{Response, StatusCode};
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Answer, Body};

use super::failure;
use super::unpack::{Coding, Unpacked};
use crate::net::retry_after::Allowance;

/// `Set-Cookie` headers that are looked at.
const COOKIES_MAX: usize = 64;

/// The answer of `place`, `scheme://host:port`, which faults of its body will name.
pub(super) fn from_response(response: Response<Incoming>, place: String) -> Answer {
    let (head, incoming) = response.into_parts();
    let headers = &head.headers;
    let allowance = Allowance::of(head.status.as_u16(), headers, SystemTime::now());
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let codings: Vec<_> = codings.flat_map(|value| Coding::listed(&lossy(value.as_bytes()))).collect();
    let told = length_of_identity(headers);
    let is_part = head.status == StatusCode::PARTIAL_CONTENT && is_part(headers);
    let content_length = incoming.size_hint().exact().or(told).filter(|_| codings.is_empty() && !is_part);
    Answer {
        status: head.status.as_u16(),
        location: headers.get(LOCATION).map(|value| address(value.as_bytes())),
        retry_after: allowance.wait,
        spent: allowance.spent,
        cookies: headers.get_all(SET_COOKIE).iter().take(COOKIES_MAX).map(|c| lossy(c.as_bytes())).collect(),
        content_length,
        unpacking_bytes: codings.iter().map(|coding| coding.memory_bytes()).sum(),
        body: unpacked(
            Box::new(IncomingBody { incoming, left: told, is_part, place: place.clone() }),
            codings,
            place,
        ),
    }
}

/// Whether the answer says that it holds a part of the file alone: servers do so unasked.
fn is_part(headers: &HeaderMap) -> bool {
    let numbers = |value: &str| {
        let (range, length) =
            value.trim().strip_prefix("bytes")?.trim_start_matches([' ', '=']).split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        Some((number(first)?, number(last)?, number(length)))
    };
    let range = headers.get(CONTENT_RANGE).and_then(|value| numbers(&lossy(value.as_bytes())));
    range.is_some_and(|(first, last, length)| {
        first > 0 || length.is_some_and(|length| last.saturating_add(1) < length)
    })
}

/// The last encoding that was applied is undone first. Where none is told, one is looked for.
fn unpacked(packed: Box<dyn Body>, codings: Vec<Coding>, place: String) -> Box<dyn Body> {
    let layer = |packed, told| -> Box<dyn Body> { Box::new(Unpacked::new(packed, told, place.clone())) };
    match codings.as_slice() {
        [] => layer(packed, None),
        codings => codings.iter().rev().fold(packed, |packed, coding| layer(packed, Some(*coding))),
    }
}

/// The length of a body whose transfer encoding is named but changes nothing: `identity` was a name for that once, and
/// a connection that is kept does not end where such a body does.
fn length_of_identity(headers: &HeaderMap) -> Option<u64> {
    let codings = headers.get_all(TRANSFER_ENCODING).iter().map(|value| lossy(value.as_bytes()));
    let codings = codings.collect::<Vec<_>>().join(",");
    let is_identity = |coding: &str| matches!(coding.trim().to_ascii_lowercase().as_str(), "" | "identity");
    if codings.is_empty() || !codings.split(',').all(is_identity) {
        return None;
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| lossy(value.as_bytes()));
    let length = lengths.next()?.trim().parse().ok()?;
    lengths.all(|other| other.trim().parse() == Ok(length)).then_some(length)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `Location` as an address. Origins send UTF-8 in it although they should not, and bytes of other encodings, which then
/// mean themselves: they come back as they were sent.
fn address(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => {
            let plain = |byte: &u8| match byte {
                0..0x80 => char::from(*byte).to_string(),
                other => format!("%{other:02X}"),
            };
            bytes.trim_ascii().iter().map(plain).collect()
        }
    }
}

struct IncomingBody {
    incoming: Incoming,
    /// Bytes that are still to come, where the protocol doesn't count them.
    left: Option<u64>,
    /// It is not the whole file.
    is_part: bool,
    place: String,
}

impl IncomingBody {
    /// What of a piece belongs to the body.
    fn counted(&mut self, mut piece: Bytes) -> Bytes {
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        piece
    }
}

#[async_trait]
impl Body for IncomingBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        while self.left != Some(0) {
            let Some(frame) = self.incoming.frame().await else { break };
            let frame = frame.map_err(|error| failure::within_a_body(&error, &self.place))?;
            if let Ok(data) = frame.into_data() {
                let piece = self.counted(data);
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
        }
        match self.left {
            Some(left) if left > 0 => Err(failure::cut(&self.place)),
            _ if self.is_part => Err(failure::in_part(&self.place)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        lines.collect()
    }

    #[test]
    fn an_address_in_another_encoding_leads_where_its_bytes_do() {
        assert_eq!(address(b"/caf\xE9.jpg"), "/caf%E9.jpg");
        assert_eq!(address("/café.jpg".as_bytes()), "/café.jpg");
        assert_eq!(address(b"  /a%20b.jpg\t"), "/a%20b.jpg");
    }

    #[test]
    fn a_part_of_a_file_is_told_from_the_whole() {
        for (range, part) in [
            ("bytes 0-99/100", false),
            ("bytes 0-99/*", false),
            ("bytes 0-49/100", true),
            ("bytes=0-49/100", true),
            ("bytes 50-99/100", true),
            ("bytes */100", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_part(&headers(&[("content-range", range)])), part, "{range}");
        }
    }

    #[test]
    fn identity_is_no_transfer_encoding() {
        let length = |lines: &[(&'static str, &'static str)]| length_of_identity(&headers(lines));
        assert_eq!(length(&[("transfer-encoding", "identity"), ("content-length", "5")]), Some(5));
        assert_eq!(length(&[("transfer-encoding", "Identity")]), None);
        assert_eq!(length(&[("transfer-encoding", "chunked"), ("content-length", "5")]), None);
        assert_eq!(length(&[("content-length", "5")]), None);
        let twice = [("transfer-encoding", "identity"), ("content-length", "5"), ("content-length", "6")];
        assert_eq!(length(&twice), None);
    }
}
