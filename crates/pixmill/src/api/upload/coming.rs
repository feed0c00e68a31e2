//! A catalogue that comes, out of a form or as the body itself, with what is said of it.

use pixmill_engine::catalogue::Hints;
use pixmill_engine::code::Code;
use tokio::sync::oneshot;

use super::super::options;
use super::super::problem::Problem;
use super::super::query::Query;
use super::body::{self, Body, Reader};
use super::{NAMELESS, form};

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

/// Hands a catalogue over to whoever consumes it, as it comes.
///
/// # Errors
/// `body.media_type`, `body.malformed`, wrong options, and those of consuming it.
pub(in crate::api) async fn hand_over<T>(
    media_type: &str,
    query: Query,
    body: Body,
    consume: impl AsyncFnOnce(Coming) -> Result<T, Problem>,
) -> Result<T, Problem> {
    match media_type {
        "multipart/form-data" => Err(Problem::new(Code::BodyMalformed, "the form's boundary is missing")),
        form if form.starts_with("multipart/form-data;") => form::take(form, query.0, body, consume).await,
        raw if is_raw(raw) => {
            let name = query.get("name").unwrap_or(NAMELESS).to_owned();
            let hints = options::hints(&query.0)?;
            let (pipe, catalogue) = body::pipe();
            let pump = body::pump(pipe, body.into_stream());
            let coming = Coming { name, catalogue, hints, said: Said::Before(query.0) };
            let (consumed, pumped) = tokio::join!(consume(coming), pump);
            pumped.and(consumed)
        }
        _ => Err(Problem::new(
            Code::BodyMediaType,
            "send multipart/form-data with the catalogue in 'file', text/csv or application/json (curl: -F file=@shop.csv)",
        )),
    }
}
