//! A catalogue in a form, with options before it or after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, TryStreamExt, future};
use multer::{Field, Multipart};
use pixmill_engine::code::Code;
use tokio::sync::oneshot;
use utoipa::{PartialSchema, ToSchema};

use super::super::options;
use super::super::problem::Problem;
use super::super::words::FormatWord;
use super::NAMELESS;
use super::body::{self, Body};
use super::coming::{Coming, Pairs, Said};

/// What the catalogue's field may be called.
const FILE: [&str; 4] = ["file", "csv", "csvFile", "csv_file"];

/// Most bytes of an option, and most options.
const OPTION_BYTES: u64 = 8 << 10;
const OPTIONS: usize = 64;

/// Most bytes that are read to find where a part's own content begins: its head, and what one read brings beyond it.
const HEAD_BYTES: usize = 128 << 10;

/// What a form holds.
#[derive(ToSchema)]
#[allow(dead_code, reason = "says in the API's description what the reader below takes")]
pub(in crate::api) struct Form {
    /// The catalogue.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Told when the request is completed.
    #[schema(rename = "webhookUrl")]
    webhook_url: Option<String>,
    /// Of the outputs.
    #[schema(schema_with = FormatWord::schema)]
    format: Option<String>,
    /// 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// A column of pictures, by its name or its number from 1; may be repeated. This and what else is said of the catalogue
    /// stands before the file.
    column: Option<String>,
    /// The column of products' names.
    name_column: Option<String>,
    /// The line of the header; 0 for none.
    header_row: Option<u64>,
    /// What is put before paths in cells.
    base_url: Option<String>,
    /// The encoding's name.
    encoding: Option<String>,
    /// What parts fields: one sign, or 'tab'.
    delimiter: Option<String>,
    /// The sheet of a spreadsheet, by its name or its number from 1.
    sheet: Option<String>,
}

/// Hands over what a form holds.
pub(super) async fn take<T>(
    content_type: &str,
    mut pairs: Pairs,
    body: Body,
    consume: impl AsyncFnOnce(Coming) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let mut form = Parts::new(body, boundary);
    let file = loop {
        match form.next().await? {
            None => return Err(no_file()),
            Some(field) if is_file(&field) => break field,
            Some(field) => read_option(field, &mut pairs).await?,
        }
    };
    let name = file.file_name().unwrap_or(NAMELESS).to_owned();
    let hints = options::hints(&pairs)?;
    let (tell, told) = oneshot::channel();
    let (pipe, catalogue) = body::pipe();
    let said = Said::After(told);
    let known = hints.clone();
    let pump = async move {
        if !body::pump(pipe, file.map_err(malformed)).await? {
            return Ok(());
        }
        while let Some(field) = form.next().await? {
            if is_file(&field) {
                let detail = "the form holds two files: one catalogue makes one request";
                return Err(Problem::new(Code::BodyMalformed, detail));
            }
            read_option(field, &mut pairs).await?;
        }
        if options::hints(&pairs)? != known {
            let detail =
                "what is said of the catalogue (column, header_row, …) must stand before it in the form";
            return Err(Problem::new(Code::BodyMalformed, detail));
        }
        // When nobody waits for them, the catalogue was refused.
        let _ = tell.send(pairs);
        Ok(())
    };
    let (consumed, pumped) = tokio::join!(consume(Coming { name, catalogue, hints, said }), pump);
    pumped.and(consumed)
}

/// A form's parts. What reads them holds a part's head in memory, so that it has a bound.
struct Parts {
    form: Multipart<'static>,
    /// Bytes that may come before the next part's content begins.
    left: Arc<AtomicUsize>,
}

/// While a part's content is read, which is handed on as it comes.
const NO_BOUND: usize = usize::MAX;

impl Parts {
    fn new(body: Body, boundary: String) -> Self {
        let left = Arc::new(AtomicUsize::new(NO_BOUND));
        let bound = left.clone();
        let chunks = body.into_stream().and_then(move |chunk| {
            let before = bound.load(Ordering::Relaxed);
            if before != NO_BOUND {
                bound.store(before.saturating_sub(chunk.len()), Ordering::Relaxed);
            }
            let detail = "the head of a part of the form is too long";
            future::ready(match before {
                0 => Err(Problem::new(Code::BodyTooLarge, detail)),
                _ => Ok(chunk),
            })
        });
        Parts { form: Multipart::new(chunks.boxed(), boundary), left }
    }

    /// The next part, once its head has been read. What is left of the part before must have been read.
    async fn next(&mut self) -> Result<Option<Field<'static>>, Problem> {
        self.left.store(HEAD_BYTES, Ordering::Relaxed);
        let next = self.form.next_field().await.map_err(malformed);
        self.left.store(NO_BOUND, Ordering::Relaxed);
        next
    }
}

fn is_file(field: &Field<'_>) -> bool {
    field.name().is_some_and(|name| FILE.contains(&name)) || field.file_name().is_some()
}

/// Reads a field that may be an option; others are passed over, and so are those that were left empty.
async fn read_option(mut field: Field<'_>, pairs: &mut Pairs) -> Result<(), Problem> {
    let Some(name) = field.name().filter(|name| options::is_option(name)).map(str::to_owned) else {
        while field.chunk().await.map_err(malformed)?.is_some() {}
        return Ok(());
    };
    let mut value = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        value.extend_from_slice(&chunk);
        if value.len() as u64 > OPTION_BYTES {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!("the field '{name}' may have {OPTION_BYTES} bytes"),
            ));
        }
    }
    if pairs.len() >= OPTIONS {
        return Err(Problem::new(Code::BodyTooLarge, format!("a form may hold {OPTIONS} options")));
    }
    let value = String::from_utf8_lossy(&value);
    // A tab, or a space, may be what parts fields.
    let value = if name == "delimiter" { value.trim_matches(['\r', '\n']) } else { value.trim() }.to_owned();
    if !value.is_empty() {
        pairs.push((name, value));
    }
    Ok(())
}

fn no_file() -> Problem {
    Problem::new(Code::BodyMalformed, "the form holds no catalogue: send it in the field 'file'")
}

/// What the body itself had to say comes through as it was.
fn malformed(error: multer::Error) -> Problem {
    if let multer::Error::StreamReadFailed(inner) = error {
        return match inner.downcast::<Problem>() {
            Ok(problem) => *problem,
            Err(inner) => Problem::new(Code::BodyMalformed, format!("the form can't be read: {inner}")),
        };
    }
    Problem::new(Code::BodyMalformed, format!("the form can't be read: {error}"))
}
