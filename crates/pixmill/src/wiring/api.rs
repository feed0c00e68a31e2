//! The HTTP API on the backends that its configuration names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pixmill_adapters::clock::SystemClock;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::look::Looks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::configured::Configured;
use super::doctor::OfServer;
use super::sandbox::sandbox_when_needed;
use super::{backends, origin, webhook};
use crate::api::{self, Backends, Foundation, Front, Tells, Watched};
use crate::config::options::{ServeOptions, folder_of};
use crate::config::queue::QueueChoice;
use crate::config::serve::Role;
use crate::figures::Disks;
use crate::last_backup;
use crate::preflight::probe;
use crate::service;

/// How long is waited before backends that could not be reached at the start are tried again.
const START_PAUSE: Duration = Duration::from_secs(2);

/// Connections for pictures that somebody looks at, and how many of those are decoded at a time.
const LOOKS: usize = 8;
const LOOKED_AT: usize = 1;

/// How long an answer is waited for while somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address that is listened on.
pub(super) struct Door {
    listener: TcpListener,
    /// The address, its port known.
    pub(super) listening: SocketAddr,
}

/// Listens before anything else is done: a server that nobody can reach is not to begin. None where this process
/// listens nowhere.
///
/// # Errors
/// `config.invalid` for an address that can't be listened on.
pub(super) async fn open(options: &ServeOptions) -> Result<Option<Door>, Fault> {
    let Some(address) = options.listen else { return Ok(None) };
    let unusable = |error: std::io::Error| {
        let message = format!("{address} can't be listened on: {error}; choose another with --listen");
        Fault::permanent(Code::ConfigInvalid, message)
    };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let listening = listener.local_addr().map_err(unusable)?;
    Ok(Some(Door { listener, listening }))
}

/// Answers calls until stopped: whether the process lives at once, and all else from when backends can be reached.
///
/// # Errors
/// What waiting does not mend.
pub(super) async fn answer(
    door: Door,
    configured: &Arc<Configured>,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let over = stop.child_token();
    let front = Front::new(over.clone());
    let opening = async {
        let opened = open_behind(&front, door.listening, configured, &over).await;
        match &opened {
            Ok(true) => {
                tracing::info!(address = %door.listening, "listening");
                if configured.options.role == Role::Api {
                    service::does(&format!("answers calls on {}", door.listening));
                }
            }
            Ok(false) => {}
            Err(_) => over.cancel(),
        }
        opened.map(drop)
    };
    let ((), opened) = tokio::join!(api::listen(door.listener, &front, over.clone()), opening);
    opened
}

/// Opens what is behind the front once all it stands on can be reached; false when stopped before.
async fn open_behind(
    front: &Front,
    listening: SocketAddr,
    configured: &Arc<Configured>,
    stop: &CancellationToken,
) -> Result<bool, Fault> {
    if configured.options.role == Role::Worker {
        let Some(backends) = reached(stop, || backends_of(configured)).await? else { return Ok(false) };
        let watched = Watched { backends, tells: tells(configured), trust: configured.options.trust.clone() };
        api::open_watched(front, watched, stop.clone());
        return Ok(true);
    }
    let Some(foundation) = reached(stop, || foundation(configured)).await? else { return Ok(false) };
    api::open(front, listening, foundation, stop.clone()).await.map(|()| true)
}

/// What can be had once all of it can be reached; none when stopped before.
async fn reached<T, F>(stop: &CancellationToken, reach: impl Fn() -> F) -> Result<Option<T>, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut told = false;
    loop {
        let fault = match reach().await {
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

/// What is asked whether the process is ready.
async fn backends_of(configured: &Configured) -> Result<Backends, Fault> {
    let options = &configured.options;
    Ok(Backends {
        ledger: configured.open_records.ledger().await?,
        queue: backends::queue(options, backends::Use::Leaving, &configured.strangers).await?,
        storage: backends::storage(options)?,
        disks: disks(options),
        backed_up: last_backup::mark(&options.data),
    })
}

/// What the process tells in figures.
fn tells(configured: &Configured) -> Tells {
    let options = &configured.options;
    let records = options.records.file().map(Path::to_owned);
    Tells {
        figures: configured.figures.clone(),
        paces: configured.paces.clone(),
        strangers: configured.strangers.clone(),
        queue_name: options.queue_name.clone(),
        disks: Disks { folders: disks(options), records, backed_up: Some(last_backup::mark(&options.data)) },
        token: options.metrics_token.clone(),
    }
}

async fn foundation(configured: &Arc<Configured>) -> Result<Foundation, Fault> {
    let options = &configured.options;
    let Backends { ledger, queue, storage, .. } = backends_of(configured).await?;
    Ok(Foundation {
        ledger,
        queue,
        storage,
        outputs: options.storage.folder().map(Path::to_owned),
        receiver: Arc::new(webhook::receiver(&options.reach.allow, options.reach.ca_file.as_deref())?),
        clock: Arc::new(SystemClock),
        looks: Arc::new(looks(options)?),
        origin: origin(&options.reach, LOOKS)?,
        probing: probing(options),
        recipe: options.recipe,
        trust: options.trust.clone(),
        trust_proxy: options.trust_proxy.clone(),
        checkup: Arc::new(OfServer(configured.clone())),
        queue_is_shared: matches!(options.queue, QueueChoice::Redis(_)),
        memory_bytes: options.settings.memory_bytes,
        origins: options.origins.clone(),
        links: configured.links.clone(),
        traces: configured.traces.clone(),
        most_bytes: options.most_bytes,
        lease: options.settings.lease,
        tells: tells(configured),
    })
}

/// How origins are asked before a catalogue is handed in: beside the work, and while somebody waits.
fn probing(options: &ServeOptions) -> probe::Settings {
    let settings = &options.settings;
    probe::Settings {
        connections: LOOKS,
        per_origin: settings.per_origin.min(LOOKS),
        timeout: settings.timeout.min(PATIENCE),
        max_bytes: settings.max_bytes,
        limits: settings.limits,
        recipe: options.recipe,
    }
}

/// What shows pictures beside the work: its own few connections, and a process of its own once somebody looks.
fn looks(options: &ServeOptions) -> Result<Looks, Fault> {
    let origin = origin(&options.reach, LOOKS)?;
    let sandbox = sandbox_when_needed(LOOKED_AT, options.picture_time)?;
    Ok(Looks::new(origin, sandbox, Arc::new(SystemClock), &options.settings))
}

/// Folders of this machine's in which something must be written.
fn disks(options: &ServeOptions) -> Vec<(&'static str, PathBuf)> {
    let records = options.records.file().map(|file| ("records", folder_of(file)));
    let storage = options.storage.folder().map(|folder| ("storage", folder.to_owned()));
    records.into_iter().chain(storage).collect()
}
