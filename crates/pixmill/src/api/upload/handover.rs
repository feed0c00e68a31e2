//! A catalogue on its way to whoever consumes it, as a form or as the body itself.

use pixmill_engine::code::Code;

use super::super::options;
use super::super::problem::Problem;
use super::super::query::Query;
use super::body::{self, Body};
use super::coming::{Coming, Said, is_raw};
use super::{NAMELESS, form};

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
