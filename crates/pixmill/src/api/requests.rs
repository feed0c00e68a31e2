//! Requests: made, shown, listed, cancelled, retried, deleted.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use pixmill_engine::catalogue::{Misread, read_corrections};
use pixmill_engine::code::Code;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::{Correction, ImageStatus, ImageView};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::row::RowError;
use pixmill_engine::pipeline::accept::apart;
use pixmill_engine::port::records::page::may_go_on;
use pixmill_engine::port::records::{Deletion, FOREIGN, RequestView};
use pixmill_engine::upkeep::retain::end_deletion;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::images;
use super::problem::{FieldError, Problem, ProblemBody};
use super::query::{Id, Query};
use super::search::search;
use super::upload::{self, Body};
use super::view::{NodeBody, Page, RequestBody};
use super::words::{FormatWord, REQUEST_STATUSES, RequestWord};

/// Most bytes of corrections.
const MOST_CORRECTION_BYTES: u64 = 32 << 20;

/// Most images that a question may retry, and how long they may be looked for.
const MOST_MATCHING: usize = 100_000;
const SEARCH: Duration = Duration::from_secs(20);

/// Faults of lines that are told.
const LINES: usize = 1_000;

type OfApi = State<Arc<Api>>;

/// Hand a catalogue in
///
/// As `multipart/form-data` with the file in `file` (or `csv`, `csvFile`, `csv_file`) and options as fields, as a
/// `text/csv` body with options in the query, or as JSON with `images` or `products`. Answered once all of it is durable.
#[utoipa::path(
    post, operation_id = "createRequest", path = "/v1/requests", tag = "requests",
    params(
        ("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "The same key and body make one request, for a day"),
        ("quality" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Of the outputs; like every option it may also be a field of the form, or of the JSON"),
        ("format" = inline(Option<FormatWord>), Query, description = "Of the outputs"),
        ("max_width" = Option<u32>, Query, minimum = 1, maximum = 65535, description = "Fit inside this width; never enlarges"),
        ("max_height" = Option<u32>, Query, minimum = 1, maximum = 65535, description = "Fit inside this height; never enlarges"),
        ("webhookUrl" = Option<String>, Query, description = "Told when the request is completed"),
        ("column" = Option<String>, Query, description = "A column of pictures, by its name or number; may be repeated. Like all that is said of the catalogue (column, name_column, header_row, base_url, encoding, delimiter, sheet) it may also be a field of the form, before the file"),
        ("name_column" = Option<String>, Query, description = "The column of products' names"),
        ("header_row" = Option<u64>, Query, description = "The line of the header; 0 for none"),
        ("base_url" = Option<String>, Query, description = "What is put before paths in cells"),
        ("encoding" = Option<String>, Query, description = "The encoding's name, such as windows-1252"),
        ("delimiter" = Option<String>, Query, description = "What parts fields: one sign, or 'tab'"),
        ("sheet" = Option<String>, Query, description = "The sheet of a spreadsheet, by its name or number; the first with pictures otherwise"),
        ("name" = Option<String>, Query, description = "What a catalogue that comes without a file name is called"),
    ),
    request_body(
        content(
            (upload::Form = "multipart/form-data"),
            (String = "text/csv", example = "Product Name,Input Image Urls\nCap,https://shop.example/cap.jpg\n"),
            (upload::Listing = "application/json"),
        ),
    ),
    responses(
        (status = 202, body = RequestBody, description = "Taken in and durable", headers(("Location" = String, description = "Where the request is"))),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let body = take_in(&api, &caller, query, request).await?;
    let location = HeaderValue::from_str(body.location());
    let mut response = json(StatusCode::ACCEPTED, &body);
    response.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// Hand a catalogue in, as clients of Node stacks do
#[utoipa::path(
    post, operation_id = "createRequestAsNode", path = "/api/upload", tag = "for clients of Node stacks",
    request_body(content((upload::Form = "multipart/form-data"))),
    responses((status = 200, body = NodeBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn create_as_node(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &take_in(&api, &caller, query, request).await?.into_node()))
}

/// Takes a catalogue in, and answers with the request that it became.
///
/// # Errors
/// Why it was refused.
pub(super) async fn take_in(
    api: &Arc<Api>,
    caller: &Caller,
    query: Query,
    request: Request,
) -> Result<RequestBody, Problem> {
    let id = upload::take(api, caller, query, request).await?;
    found(api, caller, id.as_str()).await
}

/// A request of the caller's as it stands now.
async fn found(api: &Api, caller: &Caller, id: &str) -> Result<RequestBody, Problem> {
    let standing = api.standing(caller, id).await?;
    whole(api, &standing).await
}

/// A request with the rows that can't be used.
async fn whole(api: &Api, standing: &RequestView) -> Result<RequestBody, Problem> {
    let body = RequestBody::new(standing, &api.on.links).with_understood(&standing.request.reading);
    if standing.request.row_errors == 0 {
        return Ok(body);
    }
    Ok(body.with_row_errors(api.on.ledger.row_errors(&standing.request.id).await?))
}

/// Show a request
#[utoipa::path(
    get, operation_id = "showRequest", path = "/v1/requests/{id}", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = RequestBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &found(&api, &caller, &id).await?))
}

/// Show a request, as clients of Node stacks know it
#[utoipa::path(
    get, operation_id = "showRequestAsNode", path = "/api/status/{id}", tag = "for clients of Node stacks", params(("id" = String, Path)),
    responses((status = 200, body = NodeBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show_as_node(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &found(&api, &caller, &id).await?.into_node()))
}

/// List requests, latest first
#[utoipa::path(
    get, operation_id = "listRequests", path = "/v1/requests", tag = "requests",
    params(
        ("status" = inline(Option<RequestWord>), Query, description = "Those that stand so"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Page<RequestBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let limit = query.limit()?;
    let status = query.one_of("status", REQUEST_STATUSES, RequestStatus::as_str)?;
    let before = match query.said("cursor") {
        None => None,
        Some(cursor) => {
            let known = api.standing(&caller, cursor).await;
            Some(
                known
                    .map_err(|_| {
                        let unknown = Problem::parameter("cursor", "it is not from a list of these requests");
                        unknown.with_status(StatusCode::UNPROCESSABLE_ENTITY)
                    })?
                    .request
                    .id,
            )
        }
    };
    let found = api.on.ledger.requests_of(&caller.tenant, status, before.as_ref(), limit + 1).await?;
    let more = may_go_on(&found, limit + 1);
    let cursor = |standing: &RequestView| standing.request.id.to_string();
    let page = Page::of(found, limit, more, cursor, |standing| RequestBody::new(standing, &api.on.links));
    Ok(json(StatusCode::OK, &page))
}

/// Cancel a request
///
/// What ended before stands. A request that is cancelled already stays so.
#[utoipa::path(
    post, operation_id = "cancelRequest", path = "/v1/requests/{id}/cancel", tag = "requests", params(("id" = String, Path)),
    responses((status = 200, body = RequestBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn cancel(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let standing = cancel_it(&api, &caller, &id).await?;
    Ok(json(StatusCode::OK, &whole(&api, &standing).await?))
}

/// Cancels a request, and answers with how it stands.
///
/// # Errors
/// `request.not_found`, `request.state`
pub(super) async fn cancel_it(api: &Api, caller: &Caller, id: &str) -> Result<RequestView, Problem> {
    let id = api.standing(caller, id).await?.request.id;
    let cancelled = api.on.ledger.cancel(&id, api.on.clock.wall()).await?;
    if cancelled {
        api.note(caller, "request.cancelled", id.as_str(), None, None).await;
    }
    let standing = api.standing(caller, id.as_str()).await?;
    if !cancelled && standing.request.status != RequestStatus::Cancelled {
        return Err(Problem::new(Code::RequestState, "the request was completed before"));
    }
    Ok(standing)
}

/// Retry failed images
///
/// Without a body all of them, or those that fit `q`. With the lines of `failed.csv`, their addresses corrected, those
/// alone.
#[utoipa::path(
    post, operation_id = "retryRequest", path = "/v1/requests/{id}/retry", tag = "requests",
    params(("id" = String, Path), ("q" = Option<String>, Query, description = "Those failed images alone that fit, as in the list of images: code:fetch.timeout host:shop.example")),
    request_body(content((String = "text/csv"))),
    responses((status = 202, body = RequestBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn retry(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let id = api.standing(&caller, &id).await?.request.id;
    let ticket = api.uploads.admit(&caller.tenant)?;
    let body = Body::new(request.into_body(), MOST_CORRECTION_BYTES, ticket.pace());
    let (corrections, _charge) = tokio::select! {
        whole = body.whole(&api.memory) => whole?,
        problem = ticket.gives_way() => return Err(problem),
        problem = api.access.is_revoked(&caller) => return Err(problem),
    };
    if let Some(asked) = query.said("q") {
        if !corrections.is_empty() {
            return Err(Problem::parameter("q", "a retry takes either a question or lines of failed.csv"));
        }
        let retried = retry_matching(&api, &id, asked).await?;
        noted(&api, &caller, &id, retried, Some(asked)).await;
    } else if corrections.is_empty() {
        retry_all(&api, &caller, &id).await?;
    } else {
        let corrected = correct(&api, &id, corrections).await?;
        noted(&api, &caller, &id, corrected, Some("with corrections")).await;
    }
    Ok(json(StatusCode::ACCEPTED, &found(&api, &caller, id.as_str()).await?))
}

/// Retries all failed images. Answers with how many.
///
/// # Errors
/// `request.state` where there is none.
pub(super) async fn retry_all(api: &Api, caller: &Caller, id: &RequestId) -> Result<u64, Problem> {
    let retried = api.on.ledger.retry(id, api.on.clock.wall()).await?;
    if retried == 0 {
        return Err(Problem::new(Code::RequestState, "the request has no failed image"));
    }
    noted(api, caller, id, retried, None).await;
    Ok(retried)
}

/// Writes down that images were retried.
pub(super) async fn noted(api: &Api, caller: &Caller, id: &RequestId, images: u64, which: Option<&str>) {
    let which = which.map(str::to_owned);
    api.note(caller, "request.retried", id.as_str(), Some(images), which).await;
}

/// Retries the failed images that fit a question, all in one write. Answers with how many.
///
/// # Errors
/// `request.state` where none fits; `query.invalid` for more than a write may hold.
pub(super) async fn retry_matching(api: &Api, id: &RequestId, asked: &str) -> Result<u64, Problem> {
    let query = images::question(asked, Some(ImageStatus::Failed))?;
    let ledger = &*api.on.ledger;
    let found = search(ledger, id, &query, None, MOST_MATCHING + 1, SEARCH).await?;
    if found.images.len() > MOST_MATCHING || found.next.is_some() {
        let detail = format!("more than {MOST_MATCHING} images fit: narrow it, or retry all that failed");
        return Err(Problem::parameter("q", detail));
    }
    // Where some began anew meanwhile, nothing is changed, and the rest is asked for again.
    let again = |view: ImageView| Correction { row: view.row, position: view.position, input: view.input };
    let mut corrections: Vec<Correction> = found.images.into_iter().map(again).collect();
    while !corrections.is_empty() {
        let unfit = ledger.correct(id, corrections.clone(), api.on.clock.wall()).await?;
        if unfit.is_empty() {
            return Ok(corrections.len() as u64);
        }
        let unfit: HashSet<usize> = unfit.into_iter().collect();
        let kept = corrections.into_iter().enumerate().filter(|(ordinal, _)| !unfit.contains(ordinal));
        corrections = kept.map(|(_, correction)| correction).collect();
    }
    Err(Problem::new(Code::RequestState, "no failed image fits"))
}

async fn correct(api: &Api, id: &RequestId, text: Vec<u8>) -> Result<u64, Problem> {
    let read = apart(move || read_corrections(Cursor::new(text), LINES))?.await;
    let read = read.map_err(|_| Problem::new(Code::BodyMalformed, "the corrections can't be read"))?;
    let corrections = read.map_err(|misread| match misread {
        Misread::Lines(lines) => wrong_lines(&lines),
        Misread::Io(error) => Problem::new(Code::BodyMalformed, error.to_string()),
    })?;
    let (lines, corrections): (Vec<u64>, Vec<_>) = corrections.into_iter().unzip();
    if corrections.is_empty() {
        return Err(Problem::new(Code::CatalogueRow, "the corrections hold no line"));
    }
    let many = corrections.len() as u64;
    let unfit = api.on.ledger.correct(id, corrections, api.on.clock.wall()).await?;
    let unfit = unfit.into_iter().filter_map(|ordinal| lines.get(ordinal)).take(LINES);
    let errors: Vec<RowError> = unfit.map(|line| unfit_line(*line)).collect();
    if errors.is_empty() { Ok(many) } else { Err(wrong_lines(&errors)) }
}

fn unfit_line(line: u64) -> RowError {
    let message = "no image at this row and position has failed: send lines of failed.csv alone".to_owned();
    RowError { line, code: Code::CatalogueRow, message }
}

fn wrong_lines(lines: &[RowError]) -> Problem {
    let code = lines.first().map_or(Code::CatalogueRow, |line| line.code);
    let detail = format!("{} lines can't be used, so nothing was changed", lines.len());
    Problem::new(code, detail).because(lines.iter().map(FieldError::from).collect())
}

/// Delete a request that has ended
#[utoipa::path(
    delete, operation_id = "deleteRequest", path = "/v1/requests/{id}", tag = "requests",
    params(("id" = String, Path), ("outputs" = Option<bool>, Query, description = "Remove outputs that lie elsewhere too; those on the server's own disk always go")),
    responses((status = 204), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn delete(
    State(api): OfApi,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    delete_it(&api, &caller, &id, query.flag("outputs")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes a request that has ended, with its outputs on the server's own disk, and elsewhere where that is asked.
///
/// # Errors
/// `request.not_found`, `request.state`
pub(super) async fn delete_it(api: &Api, caller: &Caller, id: &str, elsewhere: bool) -> Result<(), Problem> {
    let standing = api.standing(caller, id).await?;
    let open = || Problem::new(Code::RequestState, "the request is under way: cancel it first");
    if standing.request.status.is_open() {
        return Err(open());
    }
    if standing.request.foreign {
        return Err(Problem::new(Code::RequestState, FOREIGN));
    }
    let id = standing.request.id;
    // Marked before anything of it goes: a retry that comes now finds nothing to open, and what a crash leaves, upkeep ends.
    let deletion = Deletion { request: id, outputs: elsewhere || api.on.outputs.is_some() };
    let (ledger, storage) = (&*api.on.ledger, &*api.on.storage);
    if !ledger.begin_deletion(&deletion, api.on.clock.wall()).await?
        || !end_deletion(ledger, storage, &deletion).await?
    {
        return Err(open());
    }
    let (id, catalogue) = (deletion.request.as_str(), standing.request.catalogue);
    api.note(caller, "request.deleted", id, None, Some(catalogue)).await;
    Ok(())
}
