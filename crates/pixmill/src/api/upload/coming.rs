//! A catalogue that comes, out of a form or as the body itself, with what is said of it.

use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use tokio::sync::oneshot;

use super::super::problem::Problem;
use super::body::Reader;

/// Media types of a catalogue as a body; browsers and spreadsheets have names of their own for it. What it is, its bytes say.
const CATALOGUES: [&str; 13] = [
    "text/csv",
    "application/csv",
    "text/plain",
    "text/tab-separated-values",
    "application/vnd.ms-excel",
    "application/gzip",
    "application/x-gzip",
    "application/octet-stream",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/x-ndjson",
    "application/jsonl",
    super::JSON,
];

/// Whether a body of this media type is the catalogue itself.
pub(super) fn is_raw(media_type: &str) -> bool {
    CATALOGUES.contains(&media_type)
}

/// A catalogue.
pub(in crate::api) struct Coming {
    /// What it is called.
    pub(in crate::api) name: String,
    /// Its bytes, for a thread that may wait.
    pub(in crate::api) catalogue: Reader,
    /// What was said of it before it came.
    pub(in crate::api) hints: Hints,
    /// All that is said beside it.
    pub(in crate::api) said: Said,
}

/// Options by name.
pub(super) type Pairs = Vec<(String, String)>;

/// What is said beside a catalogue.
pub(in crate::api) enum Said {
    /// Before it.
    Before(Pairs),
    /// A form may say more after it.
    After(oneshot::Receiver<Pairs>),
}

impl Said {
    /// All of it, once the catalogue has come.
    ///
    /// # Errors
    /// `body.malformed`: it broke off.
    pub(in crate::api) async fn whole(self) -> Result<Pairs, Problem> {
        match self {
            Said::Before(pairs) => Ok(pairs),
            Said::After(told) => {
                told.await.map_err(|_| Problem::new(Code::BodyMalformed, "the form broke off"))
            }
        }
    }
}
