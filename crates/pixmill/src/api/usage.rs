//! What a tenant had done.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_codec::Format;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Usage, UsagePart};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::query::Query;

/// What was done, over requests created in a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub(super) struct UsageBody {
    /// Whose it is.
    tenant: String,
    /// From this time on; from the beginning where it is empty.
    from: Option<String>,
    /// Before this time.
    until: String,
    #[serde(flatten)]
    all: SumsBody,
    /// The same by the week in which requests were created, latest first; weeks without any are left out.
    weeks: Vec<WeekBody>,
    /// The same by the format that recipes ask for, most bytes first.
    formats: Vec<FormatBody>,
}

/// A week's work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfWeek)]
struct WeekBody {
    /// When it began, a Monday in UTC.
    week: String,
    #[serde(flatten)]
    sums: SumsBody,
}

/// What was done in a format.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageOfFormat)]
struct FormatBody {
    /// What recipes ask for; empty for formats that this pixmill does not know.
    #[schema(value_type = Option<String>)]
    format: Option<&'static str>,
    #[serde(flatten)]
    sums: SumsBody,
}

/// Requests, and how far their images are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsageSums)]
struct SumsBody {
    /// Requests.
    requests: u64,
    /// Their images.
    images: u64,
    completed_images: u64,
    failed_images: u64,
    /// Bytes fetched, over completed images.
    bytes_before: u64,
    /// Bytes stored, over completed images.
    bytes_after: u64,
    /// How much smaller it became.
    bytes_saved: i64,
}

impl SumsBody {
    fn of(usage: &Usage) -> Self {
        let progress = usage.progress;
        SumsBody {
            requests: usage.requests,
            images: progress.total(),
            completed_images: progress.completed,
            failed_images: progress.failed,
            bytes_before: progress.bytes_before,
            bytes_after: progress.bytes_after,
            bytes_saved: progress.bytes_before as i64 - progress.bytes_after as i64,
        }
    }
}

/// What was done by week, the latest first.
pub(super) fn by_week(parts: &[UsagePart]) -> Vec<(i64, Usage)> {
    let mut weeks: Vec<_> = grouped(parts, |part| part.week).collect();
    weeks.sort_unstable_by_key(|(week, _)| Reverse(*week));
    weeks
}

/// What was done by format, most bytes first.
pub(super) fn by_format(parts: &[UsagePart]) -> Vec<(Option<Format>, Usage)> {
    let mut formats: Vec<_> = grouped(parts, |part| part.format).collect();
    formats.sort_by_key(|(format, usage)| (Reverse(usage.progress.bytes_before), format.map(Format::as_str)));
    formats
}

fn grouped<K: Copy + Eq + Hash>(
    parts: &[UsagePart],
    by: impl Fn(&UsagePart) -> K,
) -> impl Iterator<Item = (K, Usage)> {
    let mut groups = HashMap::<K, Vec<&Usage>>::new();
    for part in parts {
        groups.entry(by(part)).or_default().push(&part.usage);
    }
    groups.into_iter().map(|(key, usages)| (key, usages.into_iter().sum()))
}

/// What was done
#[utoipa::path(
    get, operation_id = "showUsage", path = "/v1/usage", tag = "usage",
    params(
        ("from" = Option<String>, Query, format = DateTime, description = "Requests created from this time on (RFC 3339)"),
        ("until" = Option<String>, Query, format = DateTime, description = "Requests created before this time; now"),
    ),
    responses((status = 200, body = UsageBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let from = query.time("from")?;
    let until = query.time("until")?.unwrap_or(api.on.clock.wall());
    let parts = api.on.ledger.usage(&caller.tenant, from.unwrap_or(Timestamp(i64::MIN)), until).await?;
    let week = |(week, usage): (i64, Usage)| WeekBody {
        week: Timestamp::of_week(week).to_string(),
        sums: SumsBody::of(&usage),
    };
    let format = |(format, usage): (Option<Format>, Usage)| FormatBody {
        format: format.map(Format::as_str),
        sums: SumsBody::of(&usage),
    };
    let body = UsageBody {
        tenant: caller.tenant.to_string(),
        from: from.map(|from| from.to_string()),
        until: until.to_string(),
        all: SumsBody::of(&parts.iter().map(|part| &part.usage).sum()),
        weeks: by_week(&parts).into_iter().map(week).collect(),
        formats: by_format(&parts).into_iter().map(format).collect(),
    };
    Ok(json(StatusCode::OK, &body))
}
