//! A look at one picture beside the work. Originals are not kept: whoever looks at one has it asked for anew, under the
//! same guard and bounds as the work, and sees what the sandbox encoded of it, never the bytes that came.

mod kept;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pixmill_codec::{Format, Limits, OutputFormat, Recipe, Recompressed};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fault::Fault;
use crate::model::id::RequestId;
use crate::model::source::Source;
use crate::pipeline::Settings;
use crate::pipeline::budget::Budget;
use crate::pipeline::fetch::{Fetch, Seat};
use crate::port::clock::Clock;
use crate::port::origin::Origin;
use crate::port::sandbox::Sandbox;
use kept::Kept;

/// Looks at a time: they are beside the work.
const AT_A_TIME: usize = 3;

/// Most memory for what is looked at, bytes, and most of what was, for whoever looks again.
const MEMORY: u64 = 192 << 20;
const MOST_KEPT: u64 = 32 << 20;

/// How long what was seen is shown again, and how long what could not be had is not asked for again.
const FRESH: Duration = Duration::from_secs(30 * 60);
const WRONG: Duration = Duration::from_secs(30);

/// The longest that an origin is waited for: somebody sits there.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How large a picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// In a list.
    Thumb,
    /// On a screen.
    Screen,
    /// As large as outputs are, for a look at each pixel.
    Full,
}

impl Size {
    /// All of them.
    pub const ALL: [Size; 3] = [Size::Thumb, Size::Screen, Size::Full];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Size::Thumb => "thumb",
            Size::Screen => "screen",
            Size::Full => "full",
        }
    }

    /// What a picture of this size is made by, where outputs are made by another recipe: none is larger than those.
    fn recipe(self, of_outputs: &Recipe) -> Recipe {
        let (side, quality) = match self {
            Size::Thumb => (320, 80),
            Size::Screen => (1_600, 90),
            Size::Full => (4_096, 95),
        };
        let least = |most: Option<u32>| Some(most.map_or(side, |most| most.min(side)));
        let (max_width, max_height) = (least(of_outputs.max_width), least(of_outputs.max_height));
        Recipe { format: Format::Webp, quality, max_width, max_height, ..Recipe::default() }
    }
}

/// What is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// An encoded picture.
    pub bytes: Bytes,
    /// What it is.
    pub format: OutputFormat,
}

/// What a recipe makes of a picture.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What came, bytes.
    pub bytes_before: u64,
    /// What it became.
    pub made: Recompressed,
    /// How alike the two are, by SSIMULACRA2; none where they can't be compared.
    pub score: Option<f64>,
    /// How long making it took.
    pub took: Duration,
}

/// Looks at pictures.
pub struct Looks {
    fetch: Fetch,
    sandbox: Arc<dyn Sandbox>,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    limits: Limits,
    turns: Semaphore,
    kept: Mutex<Kept>,
}

/// Nobody else can use what a look holds while it waits.
struct Alone;

impl Seat for Alone {
    async fn aside<F>(&mut self, waiting: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        waiting.await
    }
}

impl Looks {
    /// Over the ports of the work, within its bounds.
    pub fn new(
        origin: Arc<dyn Origin>,
        sandbox: Arc<dyn Sandbox>,
        clock: Arc<dyn Clock>,
        settings: &Settings,
    ) -> Self {
        let budget = Arc::new(Budget::new(settings.memory_bytes.min(MEMORY)));
        let settings = Settings { timeout: settings.timeout.min(TIMEOUT), ..settings.clone() };
        let fetch = Fetch::over(origin, None, clock.clone(), &settings, budget.clone());
        let (turns, kept) = (Semaphore::new(AT_A_TIME), Mutex::new(Kept::new(MOST_KEPT)));
        Looks { fetch, sandbox, clock, budget, limits: settings.limits, turns, kept }
    }

    /// The original at an address, as it is shown beside outputs of a recipe. What one tenant saw is kept from others: how
    /// soon it comes would tell who looked before.
    ///
    /// # Errors
    /// Those of an attempt at it: `fetch.*`, `url.*`, `image.*`, `backend.unavailable`.
    pub async fn original(
        &self,
        tenant: &str,
        input: &str,
        size: Size,
        of_outputs: &Recipe,
    ) -> Result<Seen, Fault> {
        let recipe = size.recipe(of_outputs);
        let key = format!("{tenant}\0{:?}\0{input}", (size, recipe.max_width, recipe.max_height));
        if let Some(seen) = self.known(&key) {
            return seen.map(|bytes| Seen { bytes, format: OutputFormat::Webp });
        }
        let bytes = self.fetched(tenant, input).await?;
        let seen = self.shown(bytes, recipe).await;
        self.keep(key, &seen);
        seen.map(|bytes| Seen { bytes, format: OutputFormat::Webp })
    }

    /// A picture that is here, as it is shown beside outputs of a recipe.
    ///
    /// # Errors
    /// `image.*`, `backend.unavailable`.
    pub async fn encoded(&self, source: Bytes, size: Size, of_outputs: &Recipe) -> Result<Seen, Fault> {
        let bytes = self.shown(source, size.recipe(of_outputs)).await?;
        Ok(Seen { bytes, format: OutputFormat::Webp })
    }

    async fn shown(&self, source: Bytes, recipe: Recipe) -> Result<Bytes, Fault> {
        let _turn = self.turn().await;
        let made = self.sandbox.recompress(source, recipe, self.limits, &*self.budget).await?;
        Ok(made.bytes.into())
    }

    /// What a recipe makes of a picture, and how alike the two are.
    ///
    /// # Errors
    /// `image.*`, `backend.unavailable`.
    pub async fn tried(&self, source: Bytes, recipe: &Recipe) -> Result<Tried, Fault> {
        let _turn = self.turn().await;
        let (bytes_before, began) = (source.len() as u64, self.clock.instant());
        let made = self.sandbox.recompress(source.clone(), *recipe, self.limits, &*self.budget).await?;
        let took = self.clock.instant().since(began);
        let result = Bytes::from(made.bytes.clone());
        let judged = self.sandbox.judge(source, result, *recipe, self.limits, &*self.budget).await;
        Ok(Tried { bytes_before, made, score: judged.ok(), took })
    }

    /// Keeps something that may be asked for under a name of its maker's, for as long as what is seen is kept.
    pub fn lay_down(&self, tenant: &str, name: &str, bytes: Bytes) {
        self.keep(laid_down(tenant, name), &Ok(bytes));
    }

    /// What was laid down, as long as it is kept.
    pub fn pick_up(&self, tenant: &str, name: &str) -> Option<Bytes> {
        self.known(&laid_down(tenant, name))?.ok()
    }

    /// A picture as it comes from its address, or came a while ago.
    ///
    /// # Errors
    /// `fetch.*`, `url.*`.
    pub async fn fetched(&self, tenant: &str, input: &str) -> Result<Bytes, Fault> {
        let key = format!("{tenant}\0\0{input}");
        if let Some(known) = self.known(&key) {
            return known;
        }
        let _turn = self.turn().await;
        // Others may have asked for it meanwhile.
        if let Some(known) = self.known(&key) {
            return known;
        }
        let asked = async {
            let source = Source::parse(input)?;
            let fetched = self.fetch.fetch(&source, &RequestId::from(tenant), &mut Alone).await?;
            Ok(fetched.bytes)
        };
        let fetched = asked.await;
        self.keep(key, &fetched);
        fetched
    }

    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("turns are never closed")
    }

    fn known(&self, key: &str) -> Option<Result<Bytes, Fault>> {
        let now = self.clock.instant();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(key, now)
    }

    fn keep(&self, key: String, seen: &Result<Bytes, Fault>) {
        let until = self.clock.instant() + if seen.is_ok() { FRESH } else { WRONG };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(key, seen.clone(), until);
    }
}

fn laid_down(tenant: &str, name: &str) -> String {
    format!("{tenant}\0down\0{name}")
}
