//! The HTTP API. [`router`] shows the whole table; each resource has a file.

mod access;
mod answer;
mod audit;
mod browsers;
mod call;
mod catalogue;
mod crowd;
mod csv;
mod deliveries;
mod events;
mod failures;
mod foremost;
mod front;
mod health;
mod hosts;
mod images;
mod keys;
mod listen;
mod metrics;
mod openapi;
mod options;
mod originals;
mod outputs;
mod pages;
mod preflight;
mod preview;
mod query;
mod requests;
mod router;
mod search;
mod system;
mod trial;
mod upload;
mod usage;
mod view;
mod vigil;
mod watch;
mod words;
mod workers;

mod problem;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use pixmill_engine::fault::Fault;
use pixmill_engine::look::Looks as PictureLooks;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::recipe::Recipe;
use pixmill_engine::port::clock::Clock;
use pixmill_engine::port::origin::Origin;
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::receiver::Receiver;
use pixmill_engine::port::records::{Ledger, RequestView};
use pixmill_engine::port::storage::Storage;
use pixmill_engine::port::traces::Traces;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::access::{Access, Caller, Doors};
use self::crowd::Crowds;
use self::events::Looks;
use self::foremost::Foremost;
use self::health::Readiness;
use self::metrics::Metrics;
use self::problem::Problem;
use self::system::Looked;
use self::upload::{Memory, Uploads};
use self::vigil::Vigil;
use crate::preflight::probe;

pub(crate) use front::Front;
pub(crate) use health::Backends;
pub(crate) use metrics::Tells;
pub(crate) use openapi::document;
pub(crate) use system::{Checkup, Examined};
pub(crate) use watch::{Watched, open as open_watched};

/// What the API stands on.
pub(crate) struct Foundation {
    /// The only truth.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Delivers image ids; asked whether it can be reached.
    pub(crate) queue: Arc<dyn Queue>,
    /// Keeps outputs.
    pub(crate) storage: Arc<dyn Storage>,
    /// The folder below which the storage keeps outputs, where it has one.
    pub(crate) outputs: Option<PathBuf>,
    /// Judges addresses of webhooks.
    pub(crate) receiver: Arc<dyn Receiver>,
    /// Tells and passes time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Is told of spans.
    pub(crate) traces: Arc<dyn Traces>,
    /// What requests take that name no recipe of their own.
    pub(crate) recipe: Recipe,
    /// Networks that need no key.
    pub(crate) trust: Vec<IpNet>,
    /// Proxies that say truly for whom they ask.
    pub(crate) trust_proxy: Vec<IpNet>,
    /// Asked for beginnings of pictures before a catalogue is handed in, in this manner.
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) probing: probe::Settings,
    /// Shows pictures that are not kept.
    pub(crate) looks: Arc<PictureLooks>,
    /// Looks at what the server stands on.
    pub(crate) checkup: Arc<dyn Checkup>,
    /// Whether other programs may take jobs from the queue.
    pub(crate) queue_is_shared: bool,
    /// Memory that the server may take for pictures, bytes: bodies are given a part of it.
    pub(crate) memory_bytes: u64,
    /// Origins whose pages may call from a browser; '*' is all.
    pub(crate) origins: Vec<HeaderValue>,
    /// What links begin with, without a slash at its end.
    pub(crate) links: String,
    /// Most bytes of an upload.
    pub(crate) most_bytes: u64,
    /// How long whoever takes an upload in holds its key unless it says again that it lives.
    pub(crate) lease: Duration,
    /// What this process tells in figures.
    pub(crate) tells: Tells,
}

/// The API.
struct Api {
    on: Foundation,
    /// The path below which a proxy has this server, without a slash at its end; empty where it has none of its own.
    base: String,
    access: Access,
    crowds: Crowds,
    uploads: Arc<Uploads>,
    memory: Memory,
    looks: Looks,
    foremost: Foremost,
    readiness: Readiness,
    looked: Looked,
    vigil: Vigil,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Api {
    /// A request that the caller may see.
    async fn standing(&self, caller: &Caller, id: &str) -> Result<RequestView, Problem> {
        let found = self.on.ledger.view(&RequestId::from(id)).await?;
        found.filter(|found| *found.request.tenant == *caller.tenant).ok_or_else(|| Problem::unknown(id))
    }
}

/// The path of the address that links begin with. One that routes can't be told apart by is passed over.
fn base(links: &str) -> String {
    let public = Url::parse(links).ok();
    let path = public.map(|public| public.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '-' | '_' | '.' | '~' | '%');
    if path.chars().all(plain) && !path.contains("//") { path } else { String::new() }
}

/// Answers calls that come in at the front until stopped, then ends what is under way.
pub(crate) async fn listen(listener: TcpListener, front: &Front, stop: CancellationToken) {
    listen::serve(listener, front.router(), stop).await;
}

/// Opens the API behind the front.
///
/// # Errors
/// Faults of records.
pub(crate) async fn open(
    front: &Front,
    listening: SocketAddr,
    on: Foundation,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let public = Url::parse(&on.links).ok();
    let doors = Doors { trust: on.trust.clone(), proxies: on.trust_proxy.clone(), public };
    let mut access = Access::new(on.ledger.clone(), doors);
    // Others reach it, and nobody could come in: whoever started it makes the first key.
    if !listening.ip().is_loopback() && access.is_closed().await? {
        let link = format!("{}/setup/{}", on.links, access.wait_for_setup());
        tracing::warn!(
            %link,
            "others can reach this server, and it has no key yet: open the link within 30 minutes to make the first one, \
             or make it here with 'pixmill keys create --role admin'; networks that need none are named with PIXMILL_TRUST"
        );
    }
    let (ledger, queue, storage) = (on.ledger.clone(), on.queue.clone(), on.storage.clone());
    let (disks, backed_up) =
        (on.tells.disks.folders.clone(), on.tells.disks.backed_up.clone().unwrap_or_default());
    let backends = Backends { ledger, queue, storage, disks, backed_up };
    let api = Arc::new(Api {
        access,
        crowds: Crowds::default(),
        uploads: Arc::default(),
        memory: Memory::new(on.memory_bytes),
        looks: Looks::default(),
        readiness: Readiness::new(backends, stop.clone()),
        foremost: Foremost::default(),
        looked: Looked::default(),
        vigil: Vigil::default(),
        metrics: Metrics::new(),
        base: base(&on.links),
        on,
        stop,
    });
    front.open(router::router(api));
    Ok(())
}
