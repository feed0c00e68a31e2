//! What went wrong, for clients: RFC 9457 with a code from the one list, and every field or row that is to blame.

#[cfg(test)]
mod page;

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::RowError;
use pixmill_engine::pipeline::accept::NotAccepted;
use serde::Serialize;
use utoipa::ToSchema;

/// An answer that is not what was asked for.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

/// A problem of this code was answered with a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsPage(pub(super) Code);

/// One field, parameter or row that is to blame.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldError {
    /// From the one list.
    code: String,
    /// What is wrong and what to do.
    message: String,
    /// The field or parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

/// How a problem is written (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// The kind of problem.
    r#type: String,
    /// The kind, in a sentence that also says what to do.
    title: String,
    /// HTTP status.
    status: u16,
    /// What was wrong this time.
    detail: String,
    /// From the one list.
    code: String,
    /// This call, as logs know it.
    instance: String,
    /// Each field, parameter or row that is to blame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl FieldError {
    /// A field or parameter that holds something wrong.
    pub(super) fn of_field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (Some(field.into()), message.into());
        FieldError { code: code.to_string(), message, field, line: None }
    }
}

impl From<&RowError> for FieldError {
    fn from(error: &RowError) -> Self {
        let (code, message) = (error.code.to_string(), error.message.clone());
        FieldError { code, message, field: None, line: Some(error.line) }
    }
}

impl Problem {
    /// One whose status its code says.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (errors, retry_after) = (Vec::new(), None);
        Problem { status: status_of(code), code, detail: detail.into(), errors, retry_after }
    }

    /// With those that are to blame.
    pub(super) fn because(self, errors: Vec<FieldError>) -> Self {
        Problem { errors, ..self }
    }

    /// With a time after which trying again makes sense.
    pub(super) fn after(self, retry_after: Duration) -> Self {
        Problem { retry_after: Some(retry_after), ..self }
    }

    /// With another status than the code's own.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Problem { status, ..self }
    }

    /// Of the server's, not of the caller's making.
    pub(super) fn unavailable(self) -> Self {
        self.with_status(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// A parameter of the query or a header that holds something wrong.
    pub(super) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Problem::new(Code::QueryInvalid, format!("'{name}': {message}")).because(vec![FieldError::of_field(
            Code::QueryInvalid,
            name,
            message,
        )])
    }

    /// A request that is not there, or is another tenant's.
    pub(super) fn unknown(id: &str) -> Self {
        Problem::new(Code::RequestNotFound, format!("there is no request {id:?}"))
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong this time.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The same, with each field and row that is to blame in a line of its own.
    pub(super) fn full_detail(&self) -> String {
        let places = self.errors.iter().take(20).map(|error| {
            let place = error.line.map(|line| format!("line {line}")).or(error.field.clone());
            format!("\n{}: {}", place.unwrap_or_default(), error.message)
        });
        self.detail.clone() + &places.collect::<String>()
    }

    /// What Retry-After says, in seconds.
    pub(super) fn retry_after(&self) -> Option<HeaderValue> {
        self.retry_after.map(|after| HeaderValue::from(after.as_secs_f64().ceil() as u64))
    }

    /// The fields that are to blame.
    #[cfg(test)]
    pub(super) fn fields(&self) -> Vec<&str> {
        self.errors.iter().filter_map(|error| error.field.as_deref()).collect()
    }

    /// The answer, for a call that logs know by this id.
    pub(super) fn render(&self, call: &str) -> Response {
        let body = ProblemBody {
            r#type: format!("urn:pixmill:{}", self.code),
            title: self.code.advice().to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_string(),
            instance: format!("urn:pixmill:call:{call}"),
            errors: self.errors.clone(),
        };
        let text = serde_json::to_vec(&body).expect("text and numbers can be written");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, after);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// The problem travels with its answer to the outermost layer, which knows the call's id and writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// A fault of the server's own is told in full by its log alone: its message may name files and hosts.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = status_of(fault.code);
        if !status.is_server_error() {
            return Problem::new(fault.code, fault.message);
        }
        tracing::error!(%fault, "a call failed");
        let problem = Problem::new(fault.code, "the server could not do this now");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.after(Duration::from_secs(5))
        } else {
            problem
        }
    }
}

impl From<NotAccepted> for Problem {
    fn from(not: NotAccepted) -> Self {
        match not {
            NotAccepted::Fault(fault) => fault.into(),
            NotAccepted::Refused(refusal) => {
                let (code, detail) = match refusal.errors.as_slice() {
                    [only] if refusal.total == 1 => (only.code, only.message.clone()),
                    _ => (Code::CatalogueRow, format!("none of its {} rows can be used", refusal.total)),
                };
                Problem::new(code, detail).because(refusal.errors.iter().map(FieldError::from).collect())
            }
        }
    }
}

/// The status that goes with a code.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::AuthMissing | Code::AuthInvalid => StatusCode::UNAUTHORIZED,
        Code::AuthRole => StatusCode::FORBIDDEN,
        Code::RequestNotFound | Code::RouteUnknown | Code::FileMissing => StatusCode::NOT_FOUND,
        Code::RouteMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestState | Code::IdempotencyInFlight => StatusCode::CONFLICT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::BodyMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::BodyMalformed | Code::QueryInvalid => StatusCode::BAD_REQUEST,
        Code::BodyTooLarge | Code::CatalogueTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::IdempotencyMismatch
        | Code::RecipeInvalid
        | Code::WebhookAddress
        | Code::CatalogueEncoding
        | Code::CatalogueHeader
        | Code::CatalogueRow => StatusCode::UNPROCESSABLE_ENTITY,
        Code::BackendUnavailable | Code::DiskFull | Code::DiskReadOnly | Code::StoreUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_server_do_not_name_its_files() {
        let fault = Fault::transient(Code::BackendUnavailable, "the records in /secret/place are locked");
        let problem = Problem::from(fault);
        assert!(!problem.to_string().contains("/secret"), "{problem}");
        let answer = problem.render("c1");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
