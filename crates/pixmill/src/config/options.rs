//! What `serve` and `run` were told, with everything decided.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use pixmill_codec::{Limits, Recipe};
use pixmill_engine::catalogue::Hints;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::Settings;
use pixmill_engine::stack::table::Table;
use url::Url;

use super::network::Reach;
use super::queue::QueueChoice;
use super::records::RecordsChoice;
use super::secret::{Address, Secret};
use super::serve::Role;
use super::storage::StorageChoice;

/// The shapes of jobs that tables tell, and where their queues are.
#[derive(Debug, Clone)]
pub(crate) struct Stacks {
    /// The Redis.
    #[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
    pub(crate) redis: Address,
    /// One a queue.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Where the application's documents are, where a table names any.
    #[cfg_attr(not(feature = "mongodb"), allow(dead_code))]
    pub(crate) documents: Option<Address>,
}

/// A server, with everything decided.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// Its part in the whole.
    pub(crate) role: Role,
    /// How long requests are kept after their end; for good where that was not said.
    pub(crate) retention: Option<Duration>,
    /// Where the truth lives.
    pub(crate) records: RecordsChoice,
    /// Whether those were named, and so may hold what other programs wrote.
    #[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
    pub(crate) knows_others: bool,
    /// Takes over foreign requests that changed since then.
    pub(crate) adopt_since: Option<Timestamp>,
    /// The recipe of requests that name none.
    pub(crate) recipe: Recipe,
    /// Jobs of applications in shapes of their own: they are worked off then, and the queue is pixmill's own.
    pub(crate) stacks: Option<Stacks>,
    /// What delivers images.
    pub(crate) queue: QueueChoice,
    /// Name of the BullMQ queue.
    pub(crate) queue_name: String,
    /// Prefix of BullMQ's keys.
    #[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
    pub(crate) queue_prefix: String,
    /// What jobs are called that are taken from it.
    #[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
    pub(crate) job_names: Vec<String>,
    /// Certificates to trust beside the public ones.
    #[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
    pub(crate) queue_ca_file: Option<PathBuf>,
    /// Where outputs live.
    pub(crate) storage: StorageChoice,
    /// The state folder.
    pub(crate) data: PathBuf,
    /// Told of requests that name no webhook of their own.
    pub(crate) webhook_url: Option<Url>,
    /// What signs webhooks, when it was set.
    pub(crate) webhook_secret: Option<Secret>,
    /// Where it listens; a worker, unless it was told, nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// Address that links to this server begin with, without a slash at its end, when that was said.
    pub(crate) public_url: Option<String>,
    /// Networks that need no key.
    pub(crate) trust: Vec<IpNet>,
    /// Opens figures, and nothing else.
    pub(crate) metrics_token: Option<Secret>,
    /// Proxies that say truly for whom they ask.
    pub(crate) trust_proxy: Vec<IpNet>,
    /// Origins whose pages may call the API.
    pub(crate) origins: Vec<HeaderValue>,
    /// Most bytes of an upload.
    pub(crate) most_bytes: u64,
    /// How much of everything.
    pub(crate) settings: Settings,
    /// Of a processor, for a usual picture.
    pub(crate) picture_time: Duration,
    /// Recompressions at a time.
    pub(crate) concurrency: usize,
    /// How far requests for pictures reach, and whose certificates are believed.
    pub(crate) reach: Reach,
}

/// One catalogue's run, with everything decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunOptions {
    /// The file.
    pub(crate) catalogue: PathBuf,
    /// What is said of it.
    pub(crate) hints: Hints,
    /// Where it goes again, with outputs in the places of addresses.
    pub(crate) again: PathBuf,
    /// What outputs' addresses begin with in it, instead of paths.
    pub(crate) output_prefix: Option<String>,
    /// Folder of results, pictures and state.
    pub(crate) output: PathBuf,
    /// Folder that relative paths in cells start from and may not leave.
    pub(crate) base_dir: PathBuf,
    /// What to do to each picture.
    pub(crate) recipe: Recipe,
    /// Bounds on a picture.
    pub(crate) limits: Limits,
    /// Most bytes of a source.
    pub(crate) max_bytes: u64,
    /// One attempt at fetching, body included.
    pub(crate) timeout: Duration,
    /// Attempts at an image at most, crashes included.
    pub(crate) attempts: u32,
    /// Of a processor, for a usual picture.
    pub(crate) picture_time: Duration,
    /// Recompressions at a time.
    pub(crate) concurrency: usize,
    /// Fetches at a time.
    pub(crate) connections: usize,
    /// Requests at a time to one origin.
    pub(crate) per_origin: usize,
    /// Bytes that fetched pictures and decoded pixels may take together.
    pub(crate) memory_bytes: u64,
    /// How far requests for pictures reach, and how they are asked.
    pub(crate) reach: Reach,
    /// Failed images are tried again.
    pub(crate) retry_failed: bool,
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
