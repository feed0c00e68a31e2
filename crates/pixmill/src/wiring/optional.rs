//! Backends that a build may do without: each is opened, or said not to be there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixmill_adapters::net::trust::Trust;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::documents::Documents;
use pixmill_engine::port::errands::{Errands, Sample};
use pixmill_engine::port::queue::Queue;
use pixmill_engine::port::records::Ledger;
use pixmill_engine::port::storage::Storage;
use pixmill_engine::stack::table::Table;

use super::Strangers;
use crate::config::options::ServeOptions;
use crate::config::secret::Address;

/// What a queue is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To work its jobs off.
    Working,
    /// To look at it or to feed it: every job is left to others.
    Leaving,
}

/// How the records of other programs in MongoDB are taken over.
#[derive(Debug, Clone, Default)]
#[cfg_attr(not(feature = "mongodb"), allow(dead_code))]
pub(super) struct Adoption {
    /// What is done to their pictures.
    pub(super) recipe: pixmill_codec::Recipe,
    /// Those that changed since then too.
    pub(super) adopt_since: Option<Timestamp>,
    /// Certificates to trust beside the public ones.
    pub(super) ca_file: Option<PathBuf>,
}

/// Records in MongoDB.
///
/// # Errors
/// `backend.unavailable` (transient while it may come back), `config.invalid`.
#[cfg(feature = "mongodb")]
pub(super) async fn mongodb(address: &Address, adoption: &Adoption) -> Result<Arc<dyn Ledger>, Fault> {
    use pixmill_adapters::clock::SystemClock;
    use pixmill_adapters::records::mongodb::{Mongodb, Settings};
    use pixmill_engine::port::clock::Clock;

    let settings = Settings {
        recipe: adoption.recipe,
        adopt_since: adoption.adopt_since,
        ca_file: adoption.ca_file.clone(),
    };
    Ok(Arc::new(Mongodb::connect(address.reveal(), settings, SystemClock.wall()).await?))
}

#[cfg(not(feature = "mongodb"))]
pub(super) async fn mongodb(_: &Address, _: &Adoption) -> Result<Arc<dyn Ledger>, Fault> {
    Err(lacks("records in MongoDB (--database)", "mongodb"))
}

/// An application's documents in MongoDB.
///
/// # Errors
/// As those of [`mongodb`].
#[cfg(feature = "mongodb")]
pub(super) async fn documents(
    address: &Address,
    options: &ServeOptions,
) -> Result<Arc<dyn Documents>, Fault> {
    use pixmill_adapters::records::mongodb::{MongoDocuments, Settings};

    let settings = Settings { ca_file: options.reach.ca_file.clone(), ..Settings::default() };
    Ok(Arc::new(MongoDocuments::connect(address.reveal(), &settings).await?))
}

#[cfg(not(feature = "mongodb"))]
pub(super) async fn documents(_: &Address, _: &ServeOptions) -> Result<Arc<dyn Documents>, Fault> {
    Err(lacks("documents in MongoDB ([[stack]])", "mongodb"))
}

/// The same, where nothing is to be written.
///
/// # Errors
/// As those of [`mongodb`].
#[cfg(feature = "mongodb")]
pub(super) async fn documents_to_be_read(
    address: &Address,
    ca_file: Option<&Path>,
) -> Result<Arc<dyn Documents>, Fault> {
    use pixmill_adapters::records::mongodb::{MongoDocuments, Settings};

    let settings = Settings { ca_file: ca_file.map(Path::to_owned), ..Settings::default() };
    Ok(Arc::new(MongoDocuments::to_be_read(address.reveal(), &settings).await?))
}

#[cfg(not(feature = "mongodb"))]
pub(super) async fn documents_to_be_read(_: &Address, _: Option<&Path>) -> Result<Arc<dyn Documents>, Fault> {
    Err(lacks("documents in MongoDB", "mongodb"))
}

/// Jobs of a queue, read without taking them.
///
/// # Errors
/// `backend.unavailable`, `config.invalid`.
#[cfg(feature = "bullmq")]
pub(super) async fn sample(
    redis: &Address,
    queue: &str,
    prefix: &str,
    ca_file: Option<&Path>,
) -> Result<Sample, Fault> {
    use pixmill_adapters::queue::bullmq::{Settings, sample};

    let settings = Settings {
        name: queue.to_owned(),
        prefix: prefix.to_owned(),
        hold: 0,
        root_certificates: ca_file.map(super::reach::certificates).transpose()?,
        ..Settings::new(redis.reveal())
    };
    sample(&settings).await
}

#[cfg(not(feature = "bullmq"))]
pub(super) async fn sample(_: &Address, _: &str, _: &str, _: Option<&Path>) -> Result<Sample, Fault> {
    Err(lacks("queues of BullMQ", "bullmq"))
}

/// Jobs held for each connection, and beside those. Those beyond one a connection wait here, for a connection, a decoder
/// or their end to be written, while other workers could do them; but without them an origin that answers slowly would
/// leave the others nothing to do.
#[cfg(feature = "bullmq")]
const JOBS_PER_CONNECTION: usize = 3;
#[cfg(feature = "bullmq")]
const JOBS_BESIDE: usize = 64;

/// BullMQ's queue on a Redis.
///
/// # Errors
/// `backend.unavailable` (transient while it may come back), `config.invalid`.
#[cfg(feature = "bullmq")]
pub(super) async fn redis(
    address: &Address,
    options: &ServeOptions,
    wanted_for: Use,
    strangers: &Arc<Strangers>,
) -> Result<Arc<dyn Queue>, Fault> {
    use pixmill_adapters::queue::bullmq::{BullQueue, Settings};

    let hold = match wanted_for {
        Use::Working => JOBS_PER_CONNECTION * options.settings.connections + JOBS_BESIDE,
        Use::Leaving => 0,
    };
    let file = options.queue_ca_file.as_deref().or(options.reach.ca_file.as_deref());
    let settings = Settings {
        name: options.queue_name.clone(),
        prefix: options.queue_prefix.clone(),
        job_names: options.job_names.clone(),
        foreign: options.knows_others,
        strangers: strangers.clone(),
        hold,
        // Who takes an image over from a worker that died must find the job too by then.
        lock: options.settings.lease / 2,
        root_certificates: file.map(super::reach::certificates).transpose()?,
        ..Settings::new(address.reveal())
    };
    Ok(Arc::new(BullQueue::connect(settings).await?))
}

/// The jobs that a table tells of. As many are held as images are fetched at a time.
///
/// # Errors
/// `backend.unavailable` (transient while it may come back), `config.invalid`.
#[cfg(feature = "bullmq")]
pub(super) async fn errands(
    address: &Address,
    options: &ServeOptions,
    table: &Arc<Table>,
    strangers: &Arc<Strangers>,
) -> Result<Arc<dyn Errands>, Fault> {
    use pixmill_adapters::queue::bullmq::{BullErrands, Settings};

    let file = options.queue_ca_file.as_deref().or(options.reach.ca_file.as_deref());
    let settings = Settings {
        name: table.queue.clone(),
        prefix: table.prefix.clone(),
        job_names: table.jobs.clone(),
        strangers: strangers.clone(),
        hold: options.settings.connections,
        lock: options.settings.lease / 2,
        root_certificates: file.map(super::reach::certificates).transpose()?,
        ..Settings::new(address.reveal())
    };
    Ok(Arc::new(BullErrands::connect(settings, table.clone()).await?))
}

#[cfg(not(feature = "bullmq"))]
pub(super) async fn errands(
    _: &Address,
    _: &ServeOptions,
    _: &Arc<Table>,
    _: &Arc<Strangers>,
) -> Result<Arc<dyn Errands>, Fault> {
    Err(lacks("queues of BullMQ ([[stack]])", "bullmq"))
}

#[cfg(not(feature = "bullmq"))]
pub(super) async fn redis(
    _: &Address,
    _: &ServeOptions,
    _: Use,
    _: &Arc<Strangers>,
) -> Result<Arc<dyn Queue>, Fault> {
    Err(lacks("the queue on Redis (--queue)", "bullmq"))
}

/// A bucket.
///
/// # Errors
/// `config.invalid`.
#[cfg(feature = "buckets")]
pub(super) fn bucket(address: &Address, trust: &Trust) -> Result<Arc<dyn Storage>, Fault> {
    use pixmill_adapters::storage::bucket::Bucket;

    use crate::config::environment;

    Ok(Arc::new(Bucket::open(address.reveal(), &environment::of_clouds(), trust)?))
}

#[cfg(not(feature = "buckets"))]
pub(super) fn bucket(_: &Address, _: &Trust) -> Result<Arc<dyn Storage>, Fault> {
    Err(lacks("outputs in buckets (--storage)", "buckets"))
}

#[cfg(not(all(feature = "buckets", feature = "bullmq", feature = "mongodb")))]
fn lacks(what: &str, feature: &str) -> Fault {
    let told = format!("this build of pixmill does without {what}: take one with the feature `{feature}`");
    Fault::permanent(pixmill_engine::code::Code::ConfigInvalid, told)
}
