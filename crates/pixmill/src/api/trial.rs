//! A recipe tried on one picture, before a catalogue is handed in. What is made of it is kept for a while, for whoever made
//! it, and is in no request.

use std::sync::Arc;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use pixmill_codec::OutputFormat;
use pixmill_engine::code::Code;
use pixmill_engine::look::{Seen, Size};
use pixmill_engine::model::recipe::Recipe;
use serde::Serialize;
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::access::Caller;
use super::originals::{meaning, not_seen, picture, rounded};
use super::problem::{FieldError, Problem, ProblemBody};
use super::query::Query;
use super::words::FormatWord;
use super::{Api, answer, options, upload};

/// Most bytes of a picture that is sent, and of what is said of one.
const MOST_PICTURE_BYTES: usize = 32 << 20;
const MOST_SAID_BYTES: usize = 64 << 10;

const JSON: &str = "application/json";

/// A picture to try a recipe on.
#[derive(ToSchema)]
#[schema(as = Trial)]
#[allow(dead_code, reason = "says in the API's description what is read below")]
pub(super) struct TrialBody {
    /// Where it is: asked for under the same guard and bounds as pictures of catalogues.
    url: String,
    /// Of the output; this and the others are the options of `POST /v1/requests`.
    #[schema(schema_with = FormatWord::schema)]
    format: Option<String>,
    /// 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// Fit inside this width; never enlarges.
    max_width: Option<u32>,
    /// Fit inside this height; never enlarges.
    max_height: Option<u32>,
}

/// What a recipe made of a picture.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tried)]
pub(super) struct TriedBody {
    /// Bytes that came.
    pub(super) bytes_before: u64,
    /// Bytes that it became.
    pub(super) bytes_after: u64,
    /// How alike the two are, by SSIMULACRA2; none where they can't be compared.
    pub(super) score: Option<f64>,
    /// What the score means.
    pub(super) meaning: &'static str,
    /// What it became.
    format: &'static str,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// Its own picture data was smaller and stayed.
    kept_source: bool,
    /// How long that took, milliseconds.
    ms: u64,
    /// Where it can be seen for half an hour, by whoever may see the tenant's requests: before, encoded anew, and after.
    pub(super) before: String,
    pub(super) after: String,
}

/// Try a recipe on one picture
///
/// As JSON with the picture's `url` and the recipe's options, or as the picture itself with the options in the query.
/// Nothing is stored; the two pictures can be looked at for half an hour.
#[utoipa::path(
    post, operation_id = "tryRecipe", path = "/v1/preview/image", tag = "requests",
    params(
        ("format" = inline(Option<FormatWord>), Query, description = "Of the output, where the picture itself is sent"),
        ("quality" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("max_width" = Option<u32>, Query, minimum = 1, maximum = 65535),
        ("max_height" = Option<u32>, Query, minimum = 1, maximum = 65535),
    ),
    request_body(content((TrialBody = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 200, body = TriedBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json", description = "Among them 502: the picture can't be had"),
    )
)]
pub(super) async fn make(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let media_type = upload::media_type(request.headers());
    let (source, recipe) = if media_type == JSON {
        let (url, pairs) = said(&read(request, MOST_SAID_BYTES).await?)?;
        let recipe = options::read(&pairs, api.on.recipe)?.recipe;
        (api.on.looks.fetched(&caller.tenant, &url).await.map_err(not_seen)?, recipe)
    } else if media_type.starts_with("image/") || media_type == "application/octet-stream" {
        let recipe = options::read(&query.0, api.on.recipe)?.recipe;
        (read(request, MOST_PICTURE_BYTES).await?, recipe)
    } else {
        let detail = "send application/json with the picture's 'url', or the picture itself as image/*";
        return Err(Problem::new(Code::BodyMediaType, detail));
    };
    Ok(answer::json(StatusCode::OK, &tried(&api, &caller, source, &recipe).await?))
}

/// Tries a recipe on a picture, and lays both down to be looked at.
///
/// # Errors
/// Why it can't be recompressed.
pub(super) async fn tried(
    api: &Api,
    caller: &Caller,
    source: Bytes,
    recipe: &Recipe,
) -> Result<TriedBody, Problem> {
    let looks = &api.on.looks;
    let tried = looks.tried(source.clone(), recipe).await.map_err(not_seen)?;
    let before = looks.encoded(source, Size::Screen, recipe).await.map_err(not_seen)?;
    let score = rounded(&tried);
    let made = tried.made;
    let lay_down = |bytes: Bytes, format: OutputFormat| {
        let name = format!("{}.{}", Uuid::new_v4(), format.extension());
        looks.lay_down(&caller.tenant, &name, bytes);
        format!("{}/v1/preview/pictures/{name}", api.base)
    };
    Ok(TriedBody {
        bytes_before: tried.bytes_before,
        bytes_after: made.bytes.len() as u64,
        score,
        meaning: meaning(score),
        format: made.format.extension(),
        width: made.width,
        height: made.height,
        kept_source: made.kept_source,
        ms: tried.took.as_millis() as u64,
        before: lay_down(before.bytes, before.format),
        after: lay_down(made.bytes.into(), made.format),
    })
}

async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let whole = to_bytes(request.into_body(), most).await;
    whole.map_err(|_| Problem::new(Code::BodyTooLarge, format!("allowed are {most} bytes")))
}

/// The picture's address, and options by name.
fn said(body: &[u8]) -> Result<(String, Vec<(String, String)>), Problem> {
    let wrong = |detail: &str| Problem::new(Code::BodyMalformed, detail);
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
    let Value::Object(mut fields) = value else { return Err(wrong("it is no JSON object")) };
    let Some(Value::String(url)) = fields.remove("url") else {
        let errors =
            vec![FieldError::of_field(Code::BodyMalformed, "url", "the address of a picture is missing")];
        return Err(wrong("the address of a picture is missing").because(errors));
    };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let pairs = fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?)));
    Ok((url, pairs.filter(|(_, value)| !value.is_empty()).collect()))
}

/// A picture of a trial
#[utoipa::path(
    get, operation_id = "showTried", path = "/v1/preview/pictures/{name}", tag = "requests", params(("name" = String, Path)),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let found = api.on.looks.pick_up(&caller.tenant, &name);
    let format = OutputFormat::of_extension(name.rsplit('.').next().unwrap_or_default());
    let gone = || Problem::new(Code::FileMissing, "there is no such picture, or it was kept long enough");
    let (bytes, format) = found.zip(format).ok_or_else(gone)?;
    Ok(picture(Seen { bytes, format }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_trial_is_read_and_what_is_none_refused() {
        let (url, pairs) = said(br#"{"url":"https://h/a.jpg","quality":30,"format":"","more":[1]}"#).unwrap();
        assert_eq!(url, "https://h/a.jpg");
        assert_eq!(pairs, [("quality".to_owned(), "30".to_owned())]);
        for wrong in [&b"{}"[..], b"[]", b"{\"url\":7}", b"elephant"] {
            assert_eq!(said(wrong).unwrap_err().code(), Code::BodyMalformed);
        }
    }
}
