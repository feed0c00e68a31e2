//! The HTTP API on the backends that its configuration names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::doctor::OfServer;
use super::serve::Configured;
use super::{backends, webhook};
use crate::api::{self, Foundation};
use crate::command::run::folder_of;
use crate::command::serve::ServeOptions;
use crate::config::queue::QueueChoice;
use crate::config::records::RecordsChoice;
use crate::config::serve::Role;
use crate::config::storage::StorageChoice;

/// How long is waited before backends that could not be reached at the start are tried again.
const START_PAUSE: Duration = Duration::from_secs(2);

/// An address that is listened on.
pub(super) struct Door {
    listener: TcpListener,
    /// The address, its port known.
    pub(super) listening: SocketAddr,
}

/// Listens before anything else is done: a server that nobody can reach is not to begin. None where this process
/// answers no calls.
///
/// # Errors
/// `config.invalid` for an address that can't be listened on.
pub(super) async fn open(options: &ServeOptions) -> Result<Option<Door>, Fault> {
    if options.role == Role::Worker {
        return Ok(None);
    }
    let address = options.listen;
    let unusable = |error: std::io::Error| {
        let message = format!("{address} can't be listened on: {error}; choose another with --listen");
        Fault::permanent(Code::ConfigInvalid, message)
    };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let listening = listener.local_addr().map_err(unusable)?;
    Ok(Some(Door { listener, listening }))
}

/// Answers calls until stopped.
///
/// # Errors
/// What waiting does not mend.
pub(super) async fn answer(
    door: Door,
    configured: &Arc<Configured>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let Some(foundation) = reached(configured, &stop).await? else { return Ok(()) };
    api::serve(door.listener, door.listening, foundation, stop).await
}

/// What the API stands on, once all of it can be reached; none when stopped before.
async fn reached(
    configured: &Arc<Configured>,
    stop: &CancellationToken,
) -> Result<Option<Foundation>, Fault> {
    let mut told = false;
    loop {
        let fault = match foundation(configured).await {
            Err(fault) if fault.transient => fault,
            reached => return reached.map(Some),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%fault, "a backend can't be reached yet, waiting for it");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(START_PAUSE) => {}
        }
    }
}

async fn foundation(configured: &Arc<Configured>) -> Result<Foundation, Fault> {
    let options = &configured.options;
    Ok(Foundation {
        ledger: configured.open_records.ledger().await?,
        queue: backends::queue(options, backends::Use::Leaving, &configured.strangers).await?,
        storage: backends::storage(options)?,
        outputs: match &options.storage {
            StorageChoice::File(folder) => Some(folder.clone()),
            StorageChoice::Cloudinary(_) | StorageChoice::Bucket(_) => None,
        },
        receiver: Arc::new(webhook::receiver(&options.reach.allow, options.reach.ca_file.as_deref())?),
        clock: Arc::new(SystemClock),
        recipe: options.recipe,
        trust: options.trust.clone(),
        trust_proxy: options.trust_proxy.clone(),
        disks: disks(options),
        records_file: match &options.records {
            RecordsChoice::Sqlite(file) => Some(file.clone()),
            RecordsChoice::Mongodb(_) => None,
        },
        checkup: Arc::new(OfServer(configured.clone())),
        queue_is_shared: matches!(options.queue, QueueChoice::Redis(_)),
        memory_bytes: options.settings.memory_bytes,
        origins: options.origins.clone(),
        links: configured.links.clone(),
        traces: configured.traces.clone(),
        queue_name: options.queue_name.clone(),
        most_bytes: options.most_bytes,
        lease: options.settings.lease,
        paces: configured.paces.clone(),
        strangers: configured.strangers.clone(),
    })
}

/// Folders of this machine's in which something must be written.
fn disks(options: &ServeOptions) -> Vec<(&'static str, PathBuf)> {
    let records = match &options.records {
        RecordsChoice::Sqlite(file) => Some(("records", folder_of(file))),
        RecordsChoice::Mongodb(_) => None,
    };
    let storage = match &options.storage {
        StorageChoice::File(folder) => Some(("storage", folder.clone())),
        StorageChoice::Cloudinary(_) | StorageChoice::Bucket(_) => None,
    };
    records.into_iter().chain(storage).collect()
}
