//! The network as it is configured: who is asked how, and whom is believed.

use std::path::Path;
use std::sync::Arc;

use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::headers::{Headers, Line, Place};
use pixmill_adapters::net::origin::proxy::Proxy;
use pixmill_adapters::net::origin::{HttpOrigin, Manner};
use pixmill_adapters::net::trust::Trust;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::Origin;
use url::Url;

use crate::config::headers::ExtraHeader;
use crate::config::network::Reach;

/// Origins over HTTP, for so many requests at a time.
///
/// # Errors
/// `config.invalid`: certificates or a proxy that can't be used.
pub(crate) fn origin(reach: &Reach, requests: usize) -> Result<Arc<dyn Origin>, Fault> {
    let manner = Manner {
        guard: Guard::new(reach.allow.iter().copied()),
        headers: Headers::new(reach.user_agent.clone(), reach.headers.iter().map(line).collect()),
        trust: trust(reach.ca_file.as_deref())?,
        proxy: proxy(reach)?,
    };
    Ok(Arc::new(HttpOrigin::new(manner, requests)))
}

/// The public certificates, and those of a file.
///
/// # Errors
/// `config.invalid`.
pub(super) fn trust(ca_file: Option<&Path>) -> Result<Trust, Fault> {
    let Some(file) = ca_file else { return Ok(Trust::default()) };
    Trust::adding(&certificates(file)?).map_err(|reason| unusable(file, &reason))
}

/// What a file of certificates holds.
///
/// # Errors
/// `config.invalid`.
pub(super) fn certificates(file: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(file).map_err(|error| unusable(file, &error.to_string()))
}

fn unusable(file: &Path, reason: &str) -> Fault {
    let told = format!("the certificates in {} can't be used: {reason}", file.display());
    Fault::permanent(Code::ConfigInvalid, told)
}

fn proxy(reach: &Reach) -> Result<Option<Proxy>, Fault> {
    let Some(address) = &reach.proxy else { return Ok(None) };
    let url = Url::parse(address.reveal()).map_err(|error| error.to_string());
    let proxy = url.and_then(|url| Proxy::at(&url));
    proxy.map(Some).map_err(|reason| {
        Fault::permanent(Code::ConfigInvalid, format!("the proxy {address} can't be used: {reason}"))
    })
}

fn line(header: &ExtraHeader) -> Line {
    let only = header.only.clone();
    let only = only.map(|place| Place { scheme: place.scheme, host: place.host, port: place.port });
    Line { only, name: header.name.clone(), value: header.value.clone() }
}
