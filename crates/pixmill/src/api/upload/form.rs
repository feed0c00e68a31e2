//! A catalogue in a form, with options before it or after it.

use futures::TryStreamExt;
use multer::{Field, Multipart};
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use tokio::sync::oneshot;
use utoipa::{PartialSchema, ToSchema};

use super::super::options;
use super::super::problem::Problem;
use super::super::words::FormatWord;
use super::body::{self, Body};
use super::{NAMELESS, Upload};

/// What the catalogue's field may be called.
const FILE: [&str; 4] = ["file", "csv", "csvFile", "csv_file"];

/// Most bytes of an option, and most options.
const OPTION_BYTES: u64 = 8 << 10;
const OPTIONS: usize = 64;

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
}

/// Takes a form in.
pub(super) async fn take(
    upload: &Upload,
    content_type: &str,
    mut pairs: Vec<(String, String)>,
    body: Body,
) -> Result<RequestId, Problem> {
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let mut form = Multipart::new(body.into_stream(), boundary);
    let file = loop {
        match form.next_field().await.map_err(malformed)? {
            None => return Err(no_file()),
            Some(field) if is_file(&field) => break field,
            Some(field) => read_option(field, &mut pairs).await?,
        }
    };
    let name = file.file_name().unwrap_or(NAMELESS).to_owned();
    let (tell, told) = oneshot::channel();
    let options = async move {
        let gone = Problem::new(Code::BodyMalformed, "the form broke off");
        let pairs: Vec<(String, String)> = told.await.map_err(|_| gone)?;
        upload.options(&pairs).await
    };
    let (pipe, reader) = body::pipe();
    let pump = async move {
        body::pump(pipe, file.map_err(malformed)).await?;
        while let Some(field) = form.next_field().await.map_err(malformed)? {
            if is_file(&field) {
                let detail = "the form holds two files: one catalogue makes one request";
                return Err(Problem::new(Code::BodyMalformed, detail));
            }
            read_option(field, &mut pairs).await?;
        }
        // When nobody waits for them, the catalogue was refused.
        let _ = tell.send(pairs);
        Ok(())
    };
    let (consumed, pumped) = tokio::join!(upload.consume(&name, reader, options), pump);
    pumped.and(consumed)
}

fn is_file(field: &Field<'_>) -> bool {
    field.name().is_some_and(|name| FILE.contains(&name)) || field.file_name().is_some()
}

/// Reads a field that may be an option; others are passed over, and so are those that were left empty.
async fn read_option(mut field: Field<'_>, pairs: &mut Vec<(String, String)>) -> Result<(), Problem> {
    let Some(name) = field.name().filter(|name| options::is_option(name)).map(str::to_owned) else {
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
    let value = String::from_utf8_lossy(&value).trim().to_owned();
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
