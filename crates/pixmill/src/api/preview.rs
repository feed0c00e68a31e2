//! A look at a catalogue before it is handed in. Stores nothing.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::catalogue::{BadRow, OpenError, Preview, PreviewRow};
use pixmill_engine::code::Code;
use pixmill_engine::model::row::RowError;
use pixmill_engine::pipeline::accept::apart;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{FieldError, Problem, ProblemBody};
use super::query::Query;
use super::upload::{self, Coming, looked_at};
use super::view::RowErrorBody;

/// Hosts that are named, those with most images first.
const HOSTS: usize = 100;

/// The longest cell that is shown whole, characters.
const CELL: usize = 1_000;

/// What a catalogue is understood as, and its first rows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Preview)]
struct PreviewBody {
    /// As `understood` of a request: format, encoding, delimiter, the header's line, the columns of pictures with how many
    /// were found in each, and what was passed over.
    #[schema(value_type = Object)]
    understood: Value,
    /// The same in sentences, as `pixmill check` tells it.
    summary: Vec<String>,
    /// What is not as it should be, in sentences.
    warnings: Vec<String>,
    /// Only the beginning of the catalogue was there: counts are those of so much of it, without its last row.
    partial: bool,
    /// All columns, left to right.
    columns: Vec<ColumnBody>,
    /// What to say of the catalogue so that it is read like this, whatever pixmill would find by itself.
    suggested: Suggested,
    /// The first rows.
    rows: Vec<RowBody>,
    /// Images.
    images: u64,
    /// Images whose address is no other's; none where they are too many to tell.
    distinct_images: Option<u64>,
    /// Whom pictures would be asked of, those with most images first, 100 at most; `file:` for paths.
    hosts: Vec<HostBody>,
    /// How many there are.
    hosts_total: usize,
    /// Rows that can't be used, such as those that are out of step with the header; the first 100.
    row_errors: Vec<RowErrorBody>,
    /// All of them.
    row_errors_total: u64,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreviewColumn)]
struct ColumnBody {
    /// Its place, from 1.
    number: usize,
    /// Its name as it is.
    name: String,
    /// `picture`, `name` (of products), `unread` (it looks like pictures), or `other`.
    role: &'static str,
    /// Images in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    images: Option<u64>,
    /// Why it is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    why: Option<String>,
}

/// What to say of a catalogue: options of `POST /v1/requests`, and of the command line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Suggested {
    /// The columns of pictures, each by its name, or by its number where that is plainer.
    column: Vec<String>,
    /// The column of products' names.
    name_column: Option<String>,
    /// The line of the header; 0 for none.
    header_row: u64,
    /// The same as it is written on the command line.
    arguments: Vec<String>,
}

/// A row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreviewRow)]
struct RowBody {
    /// The line of the file at which it begins, from 1.
    line: u64,
    /// Its cells, one a column; long ones are cut, with an ellipsis.
    cells: Vec<String>,
    /// The pictures found in it, in their order.
    images: Vec<FoundBody>,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// A picture that was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundImage)]
struct FoundBody {
    /// The column's number, from 1.
    column: usize,
    /// What would be fetched.
    url: String,
}

/// A host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Host)]
struct HostBody {
    /// Its name, with the port where that is a special one.
    host: String,
    /// Images on it.
    images: u64,
}

/// Look at a catalogue before handing it in
///
/// Takes a file, or its first 64 KiB, in the forms and with the options of `POST /v1/requests` (but no JSON list), and
/// tells what it is understood as, with its first rows and the pictures found in them. Nothing is stored or fetched.
#[utoipa::path(
    post, operation_id = "preview", path = "/v1/preview", tag = "requests",
    params(
        ("partial" = Option<bool>, Query, description = "Only the beginning of a file is sent: its last row may be cut, and is left out. Known by itself where exactly 64 KiB are sent"),
        ("column" = Option<String>, Query, description = "A column of pictures, by its name or number; may be repeated. Like all that is said of the catalogue (see `POST /v1/requests`) it may also be a field of the form, before the file"),
        ("name_column" = Option<String>, Query, description = "The column of products' names"),
        ("header_row" = Option<u64>, Query, description = "The line of the header; 0 for none"),
        ("base_url" = Option<String>, Query, description = "What is put before paths in cells"),
        ("encoding" = Option<String>, Query, description = "The encoding's name, such as windows-1252"),
        ("delimiter" = Option<String>, Query, description = "What parts fields: one sign, or 'tab'"),
        ("sheet" = Option<String>, Query, description = "The sheet of a spreadsheet, by its name or number; the first with pictures otherwise"),
    ),
    request_body(
        content(
            (upload::Form = "multipart/form-data"),
            (String = "text/csv", example = "Product Name,Input Image Urls\nCap,https://shop.example/cap.jpg\n"),
        ),
    ),
    responses(
        (status = 200, body = PreviewBody),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let partial = query.flag("partial")?;
    let look = async |coming: Coming| look(coming, partial).await;
    let preview = looked_at(&api, &caller, query, request, api.on.most_bytes, look).await?;
    Ok(json(StatusCode::OK, &PreviewBody::from(preview)))
}

async fn look(coming: Coming, partial: bool) -> Result<Preview, Problem> {
    let Coming { catalogue, hints, said, .. } = coming;
    let seen = apart(move || Preview::read(catalogue, &hints, partial))?.await;
    let preview = seen.map_err(|_| broken("its reader broke off"))?.map_err(refused)?;
    // What a form says after its catalogue.
    said.whole().await.map(|_| preview)
}

pub(super) fn broken(why: &str) -> Problem {
    Problem::new(Code::BodyMalformed, format!("the catalogue can't be read: {why}"))
}

/// Why a catalogue can't be looked at.
pub(super) fn refused(error: OpenError) -> Problem {
    match error {
        OpenError::Refused(refusal) => {
            let error = RowError { line: refusal.line, code: refusal.code, message: refusal.reason };
            Problem::new(error.code, error.message.clone()).because(vec![FieldError::from(&error)])
        }
        OpenError::Io(error) => broken(&error.to_string()),
    }
}

impl From<Preview> for PreviewBody {
    fn from(preview: Preview) -> Self {
        let understood = &preview.understood;
        let of_bad_row = |bad: &BadRow| RowErrorBody {
            line: bad.line,
            code: bad.code.as_str(),
            message: bad.reason.clone(),
        };
        let hosts = preview.hosts.iter().take(HOSTS);
        PreviewBody {
            summary: understood.summary().into_iter().chain(understood.counted()).collect(),
            warnings: understood.warnings(),
            partial: preview.cut,
            columns: columns(&preview),
            suggested: suggested(&preview),
            rows: preview.rows.iter().map(row).collect(),
            images: understood.images(),
            distinct_images: preview.distinct,
            hosts: hosts.map(|(host, images)| HostBody { host: host.clone(), images: *images }).collect(),
            hosts_total: preview.hosts.len(),
            row_errors: preview.bad_rows.iter().map(of_bad_row).collect(),
            row_errors_total: preview.bad_rows_total,
            understood: understood.to_json(),
        }
    }
}

fn columns(preview: &Preview) -> Vec<ColumnBody> {
    let column = |(index, name): (usize, &String)| {
        let number = index + 1;
        let picture = preview.understood.columns.iter().find(|column| column.number == number as u64);
        let unread = preview.unread.iter().find(|(unread, _)| *unread == number);
        let role = match () {
            () if preview.pictures.contains(&number) => "picture",
            () if unread.is_some() => "unread",
            () if preview.name == Some(number) => "name",
            () => "other",
        };
        let images = picture.map(|picture| picture.images);
        ColumnBody { number, name: name.clone(), role, images, why: unread.map(|(_, why)| why.clone()) }
    };
    preview.columns.iter().enumerate().map(column).collect()
}

fn suggested(preview: &Preview) -> Suggested {
    // A list of addresses has a column, but no way to name it.
    let is_list = preview.understood.delimiter.is_none() && preview.understood.header_line.is_none();
    let pictures = if is_list { &[] } else { preview.pictures.as_slice() };
    let column: Vec<String> = pictures.iter().map(|number| said(&preview.columns, *number)).collect();
    let name_column = preview.name.map(|number| said(&preview.columns, number));
    let header_row = preview.understood.header_line.unwrap_or(0);
    let mut arguments: Vec<String> =
        column.iter().flat_map(|column| ["--column".to_owned(), column.clone()]).collect();
    arguments.extend(name_column.iter().flat_map(|name| ["--name-column".to_owned(), name.clone()]));
    arguments.extend(["--header-row".to_owned(), header_row.to_string()]);
    Suggested { column, name_column, header_row, arguments }
}

/// How a column is said: by its name, where no other has the same and it is no number itself.
fn said(columns: &[String], number: usize) -> String {
    let name = columns.get(number - 1).map(|name| name.trim()).unwrap_or_default();
    let others = columns.iter().filter(|other| other.trim().to_lowercase() == name.to_lowercase()).count();
    let plain = !name.is_empty() && others == 1 && !name.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && !name.chars().any(char::is_control) && !name.starts_with('-');
    if plain { name.to_owned() } else { number.to_string() }
}

fn row(row: &PreviewRow) -> RowBody {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row.cells.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    let found = |(column, url): &(usize, String)| FoundBody { column: *column, url: url.clone() };
    RowBody {
        line: row.line,
        cells: record.iter().map(shortened).collect(),
        images: row.images.iter().map(found).collect(),
        error: row.error.clone(),
    }
}

fn shortened(cell: &str) -> String {
    match cell.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &cell[..end]),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_said_so_that_no_other_is_meant() {
        let columns = ["Image", "image ", "7", "", "Alt", "-x"].map(str::to_owned);
        let said: Vec<_> = (1..=6).map(|number| said(&columns, number)).collect();
        assert_eq!(said, ["1", "2", "3", "4", "Alt", "6"]);
    }
}
