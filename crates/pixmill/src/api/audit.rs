//! Who did what, to be read by those who may make keys.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::key::Role;
use pixmill_engine::model::request::DEFAULT_TENANT;
use pixmill_engine::model::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::{Caller, SetUp};
use super::answer::json;
use super::problem::{Problem, ProblemBody};
use super::query::Query;
use super::view::Page;
use crate::audit::{self, Line};

/// Lines that are looked through at a time, and in all, for those of a tenant.
const AT_A_TIME: usize = 500;
const MOST: usize = 20_000;

/// Something that somebody did.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditLine)]
pub(super) struct LineBody {
    pub(super) id: String,
    pub(super) at: String,
    /// Who: what the key is called, or by what right.
    pub(super) by: String,
    /// The key's id, where there was one.
    pub(super) key_id: Option<String>,
    /// The address that it came from.
    pub(super) from: Option<String>,
    pub(super) tenant: String,
    /// `key.created`, `key.revoked`, `request.cancelled`, `request.retried`, `request.deleted`, `host.paused`,
    /// `host.resumed` or `host.limited`.
    pub(super) action: String,
    /// The id or name of what it was done to.
    pub(super) object: String,
    /// How many images it concerned.
    pub(super) count: Option<u64>,
    pub(super) detail: Option<String>,
}

impl LineBody {
    fn new(id: String, line: Line) -> Self {
        LineBody {
            id,
            at: Timestamp(line.at).to_string(),
            by: line.by,
            key_id: line.key,
            from: line.from,
            tenant: line.tenant,
            action: line.action,
            object: line.object,
            count: line.count,
            detail: line.detail,
        }
    }
}

impl Api {
    /// Writes down what somebody did. It is done: where that can't be written, the server's log says so.
    pub(super) async fn note(
        &self,
        caller: &Caller,
        action: &str,
        object: &str,
        count: Option<u64>,
        detail: Option<String>,
    ) {
        let line = Line {
            by: caller.who(),
            key: caller.key_id.as_deref().map(str::to_owned),
            from: caller.from.map(|from| from.to_string()),
            count,
            detail,
            ..Line::of(&caller.tenant, action, object)
        };
        self.write_down(line).await;
    }

    /// Writes down that the first key was made by whoever opened the link: nobody was known until then.
    pub(super) async fn note_set_up(&self, made: &SetUp) {
        let line = Line {
            by: "the setup link".to_owned(),
            from: made.from.map(|from| from.to_string()),
            detail: Some(made.told.clone()),
            ..Line::of(DEFAULT_TENANT, "key.created", &made.key)
        };
        self.write_down(line).await;
    }

    async fn write_down(&self, line: Line) {
        let (action, object) = (line.action.clone(), line.object.clone());
        tracing::info!(action, object, by = line.by, key = line.key, from = line.from, "audit");
        if let Err(fault) = audit::write(&*self.on.ledger, line, self.on.clock.wall()).await {
            tracing::error!(%fault, action, object, "what was done can't be written into the audit log");
        }
    }
}

/// List what was done, latest first
///
/// Keys made and revoked, requests cancelled, retried and deleted, hosts paused, resumed and limited, for 180 days. Takes
/// the role `admin`; keys of the tenant `default` see all tenants'.
#[utoipa::path(
    get, operation_id = "listAudit", path = "/v1/audit", tag = "operation",
    params(
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000),
    ),
    responses((status = 200, body = Page<LineBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let (lines, next) = shown(&api, &caller, query.said("cursor"), query.limit()?).await?;
    Ok(json(StatusCode::OK, &Page::piece(lines, next)))
}

/// Lines that a caller may see, so many at most, and where the next page begins.
///
/// # Errors
/// `auth.role`; those of records.
pub(super) async fn shown(
    api: &Api,
    caller: &Caller,
    before: Option<&str>,
    limit: usize,
) -> Result<(Vec<LineBody>, Option<String>), Problem> {
    caller.must_be(Role::Admin)?;
    let (mut lines, mut before, mut looked) = (Vec::new(), before.map(str::to_owned), 0);
    // Those of all tenants are all shown: with one more it is known whether there is a next page.
    let at_a_time = if caller.operates() { limit + 1 } else { AT_A_TIME };
    while looked < MOST {
        let page = audit::read(&*api.on.ledger, before.as_deref(), at_a_time, api.on.clock.wall()).await?;
        if page.is_empty() {
            return Ok((lines, None));
        }
        looked += page.len();
        for (id, line) in page {
            if lines.len() == limit {
                return Ok((lines, before));
            }
            before = Some(id.clone());
            if caller.operates() || line.tenant == *caller.tenant {
                lines.push(LineBody::new(id, line));
            }
        }
    }
    Ok((lines, before))
}
