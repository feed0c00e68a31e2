//! A stand-in for an object store: `PUT`, `GET` and `DELETE` of a path, which S3, Google Cloud Storage and Azure Blob
//! Storage have in common, and Azure's batches of deletions. Requests must be authorised, but who signed them is not
//! checked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use super::standin::StandIn;

/// An object and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: String,
    /// How long readers may keep it.
    pub cache_control: String,
}

/// Objects by their paths, without the leading slash.
#[derive(Debug, Default)]
pub struct Objects {
    objects: Mutex<BTreeMap<String, Object>>,
}

impl Objects {
    /// All objects.
    pub fn all(&self) -> BTreeMap<String, Object> {
        self.objects().clone()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, path: String, request: &Request<Bytes>) -> Response<Bytes> {
        // Azure keeps what an object says of itself apart from what the request does.
        let told = |own: &str, common: &str| {
            let value = request.headers().get(own).or_else(|| request.headers().get(common));
            value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let object = Object {
            bytes: request.body().clone(),
            media_type: told("x-ms-blob-content-type", CONTENT_TYPE.as_str()),
            cache_control: told("x-ms-blob-cache-control", CACHE_CONTROL.as_str()),
        };
        self.objects().insert(path, object);
        answer(201, "")
    }

    /// A request whose parts are requests, answered by parts that are answers, in the same order.
    fn delete_batch(&self, body: &Bytes) -> Response<Bytes> {
        let body = String::from_utf8_lossy(body);
        let deletions = body.lines().filter_map(|line| line.strip_prefix("DELETE ")?.split(' ').next());
        let mut told = String::new();
        for (number, path) in deletions.enumerate() {
            let status =
                if self.objects().remove(&decoded(path)).is_some() { "202 Accepted" } else { "404 None" };
            told.push_str(&format!(
                "--part\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nHTTP/1.1 {status}\r\n\r\n"
            ));
        }
        told.push_str("--part--\r\n");
        Response::builder()
            .status(202)
            .header(CONTENT_TYPE, "multipart/mixed; boundary=part")
            .body(told.into())
            .expect("the status and the header exist")
    }
}

/// The path of a URL's path, as text.
fn decoded(path: &str) -> String {
    percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy().into_owned()
}

impl StandIn for Objects {
    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = decoded(request.uri().path());
        match *request.method() {
            Method::GET => match self.objects().get(&path) {
                Some(object) => {
                    let mut response = Response::new(object.bytes.clone());
                    let media_type = object.media_type.parse().expect("it came as a header");
                    response.headers_mut().insert(CONTENT_TYPE, media_type);
                    response
                }
                None => answer(404, "NoSuchKey"),
            },
            _ if !request.headers().contains_key(AUTHORIZATION) => answer(403, "AccessDenied"),
            Method::PUT => self.put(path, request),
            Method::DELETE if self.objects().remove(&path).is_some() => answer(204, ""),
            Method::DELETE => answer(404, "NoSuchKey"),
            Method::POST if request.uri().query().is_some_and(|query| query.contains("comp=batch")) => {
                self.delete_batch(request.body())
            }
            _ => answer(405, "MethodNotAllowed"),
        }
    }
}

fn answer(status: u16, code: &str) -> Response<Bytes> {
    let body = match code {
        "" => String::new(),
        _ => format!("<Error><Code>{code}</Code><Message>It is so</Message></Error>"),
    };
    Response::builder()
        .status(status)
        .header(ETAG, "\"1\"")
        .body(body.into())
        .expect("these statuses and headers exist")
}
