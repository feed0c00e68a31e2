//! Keys that clients show: listed, made and revoked by those who may.

use std::sync::Arc;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use pixmill_engine::code::Code;
use pixmill_engine::model::key::{self, Key, Made, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Caller;
use super::answer::json;
use super::problem::{FieldError, Problem, ProblemBody};
use super::query::Id;
use super::view::Page;

/// Most bytes of what is asked.
const MOST_BYTES: usize = 16 << 10;

/// Most calls in a minute that can be set.
const MOST_CALLS: u32 = 1_000_000;

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(super) struct KeyBody {
    pub(super) id: String,
    /// What whoever holds it is called.
    pub(super) name: String,
    /// Whose requests it opens.
    pub(super) tenant: String,
    /// `read`, `submit` or `admin`.
    pub(super) role: &'static str,
    /// Most calls in a minute, at each process that answers calls.
    pub(super) per_minute: Option<u32>,
    pub(super) created_at: String,
    pub(super) revoked_at: Option<String>,
}

impl KeyBody {
    fn new(key: &Key) -> Self {
        KeyBody {
            id: key.id.clone(),
            name: key.name.clone(),
            tenant: key.tenant.clone(),
            role: key.role.as_str(),
            per_minute: key.per_minute,
            created_at: key.created.to_string(),
            revoked_at: key.revoked.map(|at| at.to_string()),
        }
    }
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeKey)]
pub(super) struct MadeBody {
    #[serde(flatten)]
    pub(super) key: KeyBody,
    /// To be sent as `Authorization: Bearer …`. It is shown this once, and kept nowhere.
    pub(super) secret: String,
}

/// A key that is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct NewKey {
    /// What whoever holds it is called.
    pub(super) name: String,
    /// Whose requests it opens; the caller's own tenant.
    pub(super) tenant: Option<String>,
    /// `read`, `submit` or `admin`; `submit`.
    pub(super) role: Option<String>,
    /// Most calls in a minute; no limit.
    #[schema(minimum = 1, maximum = 1000000)]
    pub(super) per_minute: Option<u32>,
}

/// List keys, oldest first
///
/// Revoked ones too, all without their secrets. Takes the role `admin`; keys of the tenant `default` see all tenants'.
#[utoipa::path(
    get, operation_id = "listKeys", path = "/v1/keys", tag = "operation",
    responses((status = 200, body = Page<KeyBody>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &Page::piece(shown(&api, &caller).await?, None)))
}

/// Make a key
///
/// Its secret is in the answer, this once. Takes the role `admin`; keys of other tenants than `default` make keys of their
/// own tenant alone.
#[utoipa::path(
    post, operation_id = "createKey", path = "/v1/keys", tag = "operation", request_body(content((NewKey = "application/json"))),
    responses((status = 201, body = MadeBody), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let malformed = |why: String| Problem::new(Code::BodyMalformed, why);
    let body = to_bytes(request.into_body(), MOST_BYTES).await;
    let body =
        body.map_err(|_| Problem::new(Code::BodyTooLarge, format!("a key takes {MOST_BYTES} bytes")))?;
    let new: NewKey = serde_json::from_slice(&body)
        .map_err(|error| malformed(format!("a JSON object that tells of a key is needed: {error}")))?;
    Ok(json(StatusCode::CREATED, &made(&api, &caller, new).await?))
}

/// Revoke a key
///
/// Every process refuses it within a second; sessions that it began end with it.
#[utoipa::path(
    delete, operation_id = "revokeKey", path = "/v1/keys/{id}", tag = "operation", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    revoke_it(&api, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Keys that a caller may see.
///
/// # Errors
/// `auth.role`; those of records.
pub(super) async fn shown(api: &Api, caller: &Caller) -> Result<Vec<KeyBody>, Problem> {
    caller.must_be(Role::Admin)?;
    let keys = api.on.ledger.keys().await?;
    let own = keys.iter().filter(|key| caller.operates() || key.tenant == *caller.tenant);
    Ok(own.map(KeyBody::new).collect())
}

/// Makes a key.
///
/// # Errors
/// `auth.role`; `query.invalid` for each field that is wrong.
pub(super) async fn made(api: &Api, caller: &Caller, new: NewKey) -> Result<MadeBody, Problem> {
    caller.must_be(Role::Admin)?;
    let tenant = new.tenant.filter(|tenant| !tenant.is_empty()).unwrap_or_else(|| caller.tenant.to_string());
    let role = new.role.as_deref().filter(|role| !role.is_empty()).unwrap_or(Role::Submit.as_str());
    let found = Role::ALL.into_iter().find(|known| known.as_str() == role);
    let mut wrong = Vec::new();
    let mut say = |field: &str, why: String| wrong.push(FieldError::of_field(Code::QueryInvalid, field, why));
    key::tenant_name(&tenant).err().into_iter().for_each(|why| say("tenant", why));
    key::holder_name(&new.name).err().into_iter().for_each(|why| say("name", why));
    if found.is_none() {
        say("role", "allowed are read, submit and admin".to_owned());
    }
    if new.per_minute.is_some_and(|calls| !(1..=MOST_CALLS).contains(&calls)) {
        say("perMinute", format!("allowed are whole numbers from 1 to {MOST_CALLS}"));
    }
    if !wrong.is_empty() {
        return Err(Problem::new(Code::QueryInvalid, "such a key can't be made").because(wrong));
    }
    if !caller.operates() && tenant != *caller.tenant {
        let detail = format!("a key of the tenant '{}' makes keys of that tenant alone", caller.tenant);
        return Err(Problem::new(Code::AuthRole, detail));
    }
    let Made { key, secret } =
        Made::new(tenant, new.name, found.unwrap_or_default(), new.per_minute, api.on.clock.wall());
    let body = KeyBody::new(&key);
    let detail = key.told();
    api.on.ledger.add_key(key).await?;
    api.note(caller, "key.created", &body.id, None, Some(detail)).await;
    Ok(MadeBody { key: body, secret: secret.reveal().to_owned() })
}

/// Revokes a key.
///
/// # Errors
/// `auth.role`; `request.not_found` for one that is unknown, another tenant's, or revoked already.
pub(super) async fn revoke_it(api: &Api, caller: &Caller, id: &str) -> Result<(), Problem> {
    let known = shown(api, caller).await?.into_iter().find(|key| key.id == id);
    let unknown = || Problem::new(Code::RequestNotFound, format!("there is no key {id:?} that holds"));
    let known = known.ok_or_else(unknown)?;
    if !api.on.ledger.revoke_key(id, api.on.clock.wall()).await? {
        return Err(unknown());
    }
    let detail =
        format!("{} of tenant {}", if known.name.is_empty() { "a key" } else { &known.name }, known.tenant);
    api.note(caller, "key.revoked", id, None, Some(detail)).await;
    Ok(())
}
