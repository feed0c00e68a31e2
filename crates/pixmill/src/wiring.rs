//! The only module that picks adapters.

mod adopt;
mod api;
mod backends;
mod beats;
mod configured;
mod doctor;
mod folder;
mod keys;
mod optional;
mod orphans;
mod presence;
mod reach;
pub(crate) mod records_file;
mod run;
mod sandbox;
mod serve;
mod signing;
mod stacks;
mod traces;
mod webhook;

use std::path::Path;
use std::sync::Arc;

use pixmill_adapters::net::files::LocalFiles;
pub(crate) use pixmill_adapters::queue::strangers::Strangers;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::origin::Files;

pub(crate) use adopt::{Adopted, Asked, adopt};
pub(crate) use doctor::examine;
pub(crate) use keys::{KeyRing, keys};
pub(crate) use orphans::orphans;
pub(crate) use pixmill_adapters::net::talk;
pub(crate) use reach::origin;
pub(crate) use run::run;
pub(crate) use sandbox::{decoding, sandbox};
pub(crate) use serve::serve;
pub(crate) use signing::kept_secret;
pub(crate) use traces::Telling;
pub(crate) use webhook::try_out;

/// Files below a base folder.
///
/// # Errors
/// `file.missing` when there is no such folder.
pub(crate) fn files(base: &Path) -> Result<Arc<dyn Files>, Fault> {
    Ok(Arc::new(LocalFiles::new(base)?))
}
