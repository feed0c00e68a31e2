//! Records in MongoDB (5.0 or later, a standalone server too), for as many processes and machines as wanted, in the
//! shapes that Mongoose apps write: their documents are taken as they are.
//!
//! What pixmill adds to documents is one subdocument, `pixmill`; of an app's own fields it writes `status`, `outputUrl`,
//! `processedImages` and `updatedAt` alone (`schema.rs`). A document that can't be read or written costs itself.
//!
//! There are no transactions. Every promise rests on single documents: an image's end is a compare-and-set on its
//! lease; only ends are counted, which absorb, so a count can lag behind the images but never run ahead of them; the
//! write that completes a request holds its event. What a crash leaves half done is marked before it is begun, and
//! upkeep finishes it: `half_done.rs` is the table of that.

mod amend;
mod backlog;
mod boards;
mod checkup;
mod claim;
mod clock;
mod command;
mod completion;
mod delivery;
mod directory;
mod document;
mod elsewhere;
mod fault;
mod field;
mod foreign;
mod gather;
mod half_done;
mod head;
mod id;
mod intake;
mod json;
mod odd;
mod order;
mod originals;
mod outbox;
mod page;
mod pages;
mod papers;
mod reading;
mod report;
mod retire;
mod schema;
mod settle;
#[cfg(test)]
mod tests;
mod upkeep;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::Document;
use mongodb::options::{Acknowledgment, ClientOptions, ReadPreference, SelectionCriteria, Tls, WriteConcern};
use mongodb::{Client, Collection, Database};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::recipe::Recipe;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::unknown;

use self::claim::{Asked, SeenImages};
use self::clock::{ServerClock, Times};
use self::completion::Watch;
use self::directory::Census;
use self::foreign::Foreign;
use self::gather::Gather;
use self::head::Heads;
use self::intake::Intakes;
use self::page::Widths;
pub use self::papers::MongoDocuments;
use self::settle::{Given, HeldImages};
use self::upkeep::Rounds;

/// The database where the address names none: what Mongoose takes then.
const DATABASE: &str = "test";

/// How long a server is looked for, unless the address says otherwise.
const SELECTION: Duration = Duration::from_secs(10);

/// Claims and ends gather for so long before they are written together, unless many are waiting. Claims are waited for by
/// origins that answer few requests at a time.
const GATHER: Gathering =
    Gathering { claims: Duration::from_millis(25), ends: Duration::from_millis(400), times: Times::OfServer };

/// How long calls gather, and whose clock says when leases end and images are due.
#[derive(Debug, Clone, Copy)]
struct Gathering {
    claims: Duration,
    ends: Duration,
    times: Times,
}

/// What whoever opens records may choose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The recipe of requests that name none, foreign ones above all.
    pub recipe: Recipe,
    /// Takes over foreign requests that changed since then, though they stood still when pixmill first started.
    pub adopt_since: Option<Timestamp>,
    /// Certificates (PEM) to trust, where the address names none of its own.
    pub ca_file: Option<PathBuf>,
}

/// Records in a MongoDB database. Clones share everything.
pub struct Mongodb {
    shared: Arc<Shared>,
    claims: Gather<Asked>,
    ends: Gather<Given>,
}

/// What every call needs.
struct Shared {
    database: Database,
    settings: Settings,
    heads: Heads,
    seen: SeenImages,
    held: HeldImages,
    watch: Watch,
    intakes: Intakes,
    foreign: Foreign,
    rounds: Rounds,
    census: Census,
    widths: Widths,
    clock: ServerClock,
}

impl Mongodb {
    /// Connects to the database that an address names, and makes its collections and indexes where they are missing.
    ///
    /// # Errors
    /// `config.invalid`: the address can't be read. `backend.unavailable`: no server answers, or the user may not do
    /// what is needed; transient unless trying again can't help.
    pub async fn connect(address: &str, settings: Settings, now: Timestamp) -> Result<Mongodb, Fault> {
        Self::open(Self::options(address, &settings).await?, settings, GATHER, now).await
    }

    async fn options(address: &str, settings: &Settings) -> Result<ClientOptions, Fault> {
        let mut options = ClientOptions::parse(address).await.map_err(|error| fault::address(&error))?;
        if let Some(Tls::Enabled(tls)) = &mut options.tls {
            tls.ca_file_path = tls.ca_file_path.take().or(settings.ca_file.clone());
        }
        Ok(options)
    }

    /// The database that is named; nothing is asked yet.
    fn reach(mut options: ClientOptions) -> Result<Database, Fault> {
        // Whatever the address says: less would lose what was acknowledged, or read what is over.
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        options.server_selection_timeout.get_or_insert(SELECTION);
        options.app_name.get_or_insert_with(|| "pixmill".to_owned());
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let client = Client::with_options(options).map_err(|error| fault::address(&error))?;
        Ok(client.database(&name))
    }

    async fn open(
        options: ClientOptions,
        settings: Settings,
        gather: Gathering,
        now: Timestamp,
    ) -> Result<Mongodb, Fault> {
        let database = Self::reach(options)?;
        schema::prepare(&database).await?;
        Foreign::open(&database, settings.adopt_since, now).await?;
        let shared = Arc::new(Shared {
            database,
            settings,
            heads: Heads::default(),
            seen: SeenImages::default(),
            held: HeldImages::default(),
            watch: Watch::default(),
            intakes: Intakes::default(),
            foreign: Foreign::default(),
            rounds: Rounds::default(),
            census: Census::default(),
            widths: Widths::default(),
            clock: ServerClock::new(gather.times),
        });
        let (claiming, settling) = (shared.clone(), shared.clone());
        Ok(Mongodb {
            claims: Gather::start(gather.claims, move |batch| {
                let claiming = claiming.clone();
                async move { claiming.claim_batch(batch).await }
            }),
            ends: Gather::start(gather.ends, move |batch| {
                let settling = settling.clone();
                async move { settling.settle_batch(batch).await }
            }),
            shared,
        })
    }
}

impl Shared {
    fn requests(&self) -> Collection<Document> {
        self.database.collection(schema::REQUESTS)
    }

    fn products(&self) -> Collection<Document> {
        self.database.collection(schema::PRODUCTS)
    }

    fn images(&self) -> Collection<Document> {
        self.database.collection(schema::IMAGES)
    }

    fn deliveries(&self) -> Collection<Document> {
        self.database.collection(schema::DELIVERIES)
    }

    fn row_errors(&self) -> Collection<Document> {
        self.database.collection(schema::ROW_ERRORS)
    }
}

/// A panic elsewhere leaves what is guarded whole: each change of it is one step.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}
