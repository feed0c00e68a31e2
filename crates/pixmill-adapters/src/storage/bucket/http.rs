//! The HTTP client under the object stores: ours.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;

use crate::net::backend::Backend;
use crate::net::retry_after::retry_after;

/// Hands out the one client.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Backend);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// Faults that may pass leave as errors of ours, to be found again by `super::fault`: the crate's own errors keep
/// neither the status nor how long the store asked to be left alone.
#[async_trait]
impl HttpService for Backend {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let response = self.send(Request::from_parts(head, Full::new(body))).await;
        let response = response.and_then(|response| match not_ready(&response) {
            Some(fault) => Err(fault),
            None => Ok(response),
        });
        // `Unknown` is not tried again below: the engine has one policy for that.
        response
            .map(|response| response.map(Into::into))
            .map_err(|fault| HttpError::new(HttpErrorKind::Unknown, fault))
    }
}

fn not_ready(response: &Response<Bytes>) -> Option<Fault> {
    let status = response.status().as_u16();
    if !matches!(status, 408 | 425 | 429 | 500..) {
        return None;
    }
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| retry_after(value.trim(), SystemTime::now()));
    let message = format!("the bucket's server is not ready for the output ({status})");
    Some(Fault::transient(Code::StoreUnavailable, message).after(wait))
}
