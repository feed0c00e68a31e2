//! How requests and images are shown.

use pixmill_engine::catalogue::Account;
use pixmill_engine::model::image::{ImageView, Output};
use pixmill_engine::model::row::RowError;
use pixmill_engine::port::records::RequestView;
use pixmill_engine::results::link;
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::{PartialSchema, ToSchema};

use super::words::{ImageWord, RequestWord};

/// A request and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Request)]
pub(super) struct RequestBody {
    /// Its id.
    id: String,
    /// The same.
    request_id: String,
    /// The same.
    #[serde(rename = "request_id")]
    request_id_in_snake_case: String,
    /// How it stands.
    #[schema(schema_with = RequestWord::schema)]
    status: &'static str,
    /// Raised by each retry, from 1.
    round: u32,
    /// What the catalogue is called.
    catalogue: String,
    /// Whose it is.
    tenant: String,
    /// What is done to each image.
    #[schema(value_type = Object)]
    recipe: Value,
    /// Who is told when it is completed, without the query, which may hold secrets; null: whom the server tells of all.
    webhook_url: Option<String>,
    /// SHA-256 of the catalogue, hexadecimal.
    digest: String,
    /// All images.
    total_images: u64,
    /// Images that ended, however.
    processed_images: u64,
    /// Images whose output is stored.
    completed_images: u64,
    /// Images that ended with a code.
    failed_images: u64,
    /// Images that were cancelled.
    cancelled_images: u64,
    /// Bytes fetched, over completed images.
    bytes_before: u64,
    /// Bytes stored, over completed images.
    bytes_after: u64,
    /// Rows that can be used.
    rows: u64,
    /// Rows that can't.
    row_errors_total: u64,
    /// Why the first 1,000 of them can't; in answers about one request alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    row_errors: Vec<RowErrorBody>,
    /// What the catalogue was understood as: format, encoding, delimiter, the header's line, the columns of pictures with
    /// how many were found in each, and what was passed over; in answers about one request alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    understood: Option<Value>,
    /// What is not as it should be, in sentences, such as rows without any picture; in answers about one request alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// RFC 3339 in UTC.
    created_at: String,
    /// When it or one of its images changed last.
    updated_at: String,
    /// When its last image ended, in this round.
    completed_at: Option<String>,
    /// Where its results are, at any time.
    results_url: String,
    /// Where everything about it is.
    links: Links,
}

/// Where everything about a request is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Links {
    #[serde(rename = "self")]
    own: String,
    images: String,
    results: String,
    /// The catalogue again, where its bytes were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    catalogue: Option<String>,
    failed: String,
    events: String,
    cancel: String,
    retry: String,
}

/// A row that can't be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RowError)]
pub(super) struct RowErrorBody {
    /// The line of the file, from 1.
    pub(super) line: u64,
    /// From the one list.
    pub(super) code: &'static str,
    /// What is wrong with it and what to do.
    pub(super) message: String,
}

impl RequestBody {
    /// As it stands; links begin with an address.
    pub(super) fn new(standing: &RequestView, links: &str) -> Self {
        let RequestView { request, progress } = standing;
        let own = format!("{links}/v1/requests/{}", request.id);
        let id = request.id.to_string();
        RequestBody {
            request_id: id.clone(),
            request_id_in_snake_case: id.clone(),
            id,
            status: request.status.as_str(),
            round: request.round,
            catalogue: request.catalogue.clone(),
            tenant: request.tenant.clone(),
            recipe: serde_json::to_value(request.recipe).unwrap_or_default(),
            webhook_url: request.webhook.as_deref().map(without_query),
            digest: request.digest.clone(),
            total_images: progress.total(),
            processed_images: progress.ended(),
            completed_images: progress.completed,
            failed_images: progress.failed,
            cancelled_images: progress.cancelled,
            bytes_before: progress.bytes_before,
            bytes_after: progress.bytes_after,
            rows: request.rows,
            row_errors_total: request.row_errors,
            row_errors: Vec::new(),
            understood: None,
            warnings: Vec::new(),
            created_at: request.created.to_string(),
            updated_at: request.updated.to_string(),
            completed_at: request.completed.map(|at| at.to_string()),
            results_url: format!("{own}/results.csv"),
            links: Links {
                images: format!("{own}/images"),
                results: format!("{own}/results.csv"),
                catalogue: Account::parse(&request.reading).kept.then(|| format!("{own}/catalogue")),
                failed: format!("{own}/failed.csv"),
                events: format!("{own}/events"),
                cancel: format!("{own}/cancel"),
                retry: format!("{own}/retry"),
                own,
            },
        }
    }

    /// With what its catalogue was understood as, where it had one.
    pub(super) fn with_understood(mut self, reading: &str) -> Self {
        if !reading.is_empty() {
            let understood = Account::parse(reading).understood;
            (self.warnings, self.understood) = (understood.warnings(), Some(understood.to_json()));
        }
        self
    }

    /// With the rows that can't be used.
    pub(super) fn with_row_errors(self, errors: Vec<RowError>) -> Self {
        let shown = errors.into_iter().map(|error| RowErrorBody {
            line: error.line,
            code: error.code.as_str(),
            message: error.message,
        });
        RequestBody { row_errors: shown.collect(), ..self }
    }

    /// As clients of Node stacks know it.
    pub(super) fn into_node(self) -> NodeBody {
        NodeBody { _id: self.id.clone(), processed_products: self.rows, request: self }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub(super) fn location(&self) -> &str {
        &self.links.own
    }
}

/// A request as clients of Node stacks know it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NodeRequest)]
pub(super) struct NodeBody {
    #[serde(flatten)]
    request: RequestBody,
    /// Its id.
    _id: String,
    /// Rows that can be used.
    #[serde(rename = "processedProducts")]
    processed_products: u64,
}

/// An image of a request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Image)]
pub(super) struct ImageBody {
    /// Its id.
    id: String,
    /// Row in the catalogue, from 1.
    row: u64,
    /// Place in the row, from 1.
    position: u32,
    /// What is fetched.
    input_url: String,
    /// Where its output is.
    output_url: Option<String>,
    /// How it stands.
    #[schema(schema_with = ImageWord::schema)]
    status: &'static str,
    /// Why it failed, from the one list.
    code: Option<&'static str>,
    /// The same in a sentence.
    message: Option<String>,
    /// What its output lacks of what was fetched, such as all but the first frame of an animation.
    note: Option<String>,
    /// Bytes fetched.
    bytes_before: Option<u64>,
    /// Bytes stored.
    bytes_after: Option<u64>,
    /// Attempts in this round.
    attempts: u32,
    /// When it ended.
    ended_at: Option<String>,
}

impl ImageBody {
    /// As it stands; links begin with an address.
    pub(super) fn new(view: &ImageView, links: &str) -> Self {
        let (output, failure) = (view.slot.output.as_ref(), view.slot.failure.as_ref());
        ImageBody {
            id: view.image.to_string(),
            row: view.row + 1,
            position: view.position + 1,
            input_url: view.input.clone(),
            output_url: output.map(|output| link(&output.location, links)),
            status: view.slot.status.as_str(),
            code: failure.map(|failure| failure.code.as_str()),
            message: failure.map(|failure| failure.message.clone()),
            note: output.and_then(Output::note),
            bytes_before: output.map(|output| output.bytes_before),
            bytes_after: output.map(|output| output.bytes_after),
            attempts: view.attempts,
            ended_at: view.ended.map(|at| at.to_string()),
        }
    }
}

/// An image with its row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OneImage)]
pub(super) struct OneImageBody {
    #[serde(flatten)]
    pub(super) image: ImageBody,
    /// The columns of its row, as they came.
    pub(super) row: Vec<CellBody>,
}

/// A cell of a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cell)]
pub(super) struct CellBody {
    /// The column's name.
    pub(super) column: String,
    /// What stands in it.
    pub(super) value: String,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// Its entries.
    pub(super) data: Vec<T>,
    /// Where the next page begins: to be sent as `cursor`.
    next_cursor: Option<String>,
    /// Whether there is a next page.
    has_more: bool,
}

impl<T> Page<T> {
    /// What was found of something that is looked for, and where to go on looking.
    pub(super) fn piece(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Page { data, has_more: next_cursor.is_some(), next_cursor }
    }

    /// A page of at most `limit` of what was found: one more was asked for, which tells whether there is more, unless it
    /// is known that there may be.
    pub(super) fn of<V>(
        mut found: Vec<V>,
        limit: usize,
        more: bool,
        cursor: impl Fn(&V) -> String,
        show: impl Fn(&V) -> T,
    ) -> Self {
        let has_more = more || found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| has_more).map(cursor);
        Page { data: found.iter().map(show).collect(), next_cursor, has_more }
    }
}

/// An address as lists show it.
pub(super) fn without_query(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            url.into()
        }
        Err(_) => url.split('?').next().unwrap_or_default().to_owned(),
    }
}
