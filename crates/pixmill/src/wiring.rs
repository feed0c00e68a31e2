//! The only module that picks adapters.

mod api;
mod backends;
mod doctor;
mod folder;
mod keys;
mod run;
mod sandbox;
mod serve;
mod signing;
mod traces;
mod webhook;

use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use pixmill_adapters::net::files::LocalFiles;
use pixmill_adapters::net::guard::Guard;
use pixmill_adapters::net::origin::HttpOrigin;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::{Files, Origin};

pub(crate) use doctor::{Examined, examine};
pub(crate) use keys::{KeyRing, keys};
pub(crate) use run::run;
pub(crate) use sandbox::{decoding, sandbox};
pub(crate) use serve::serve;
pub(crate) use traces::Telling;
pub(crate) use webhook::try_out;

/// Origins over HTTP, with these ranges of addresses opened, for so many requests at a time.
pub(crate) fn origin(allow: &[IpNet], requests: usize) -> Arc<dyn Origin> {
    Arc::new(HttpOrigin::new(Guard::new(allow.to_vec()), requests))
}

/// Files below a base folder.
///
/// # Errors
/// `file.missing` when there is no such folder.
pub(crate) fn files(base: &Path) -> Result<Arc<dyn Files>, Fault> {
    Ok(Arc::new(LocalFiles::new(base)?))
}
