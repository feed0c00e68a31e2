//! Keys, and who did what with them.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::time::Timestamp;

use super::super::Api;
use super::super::access::Caller;
use super::super::audit::{self, LineBody};
use super::super::keys::{self, KeyBody, MadeBody, NewKey};
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::text::{self, Moment};
use super::{Page, Section, act, field, form, redirect};

/// Lines of the audit log on a page.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys {
    page: Page,
    tab: &'static str,
    keys: Vec<Line>,
    made: Option<MadeBody>,
    wrong: Option<String>,
    typed: NewKey,
    /// The tenant of whoever looks, and whether keys of others can be made.
    tenant: String,
    of_all: bool,
    /// Whether whoever looks came without a key.
    keyless: bool,
}

impl Keys {
    /// Whether a role is the one that was typed, or the one that is likely meant.
    fn is_chosen(&self, role: &str) -> bool {
        let likely = if self.keyless { "admin" } else { "submit" };
        self.typed.role.as_deref().unwrap_or(likely) == role
    }
}

/// A key as the page shows it.
struct Line {
    body: KeyBody,
    created: Moment,
    revoked: Option<Moment>,
    /// Whoever looks came with it.
    own: bool,
}

impl Line {
    fn new(body: KeyBody, caller: &Caller, now: Timestamp) -> Self {
        let moment = |text: &str| Timestamp::parse(text).map(|at| text::moment(at, now));
        Line {
            created: moment(&body.created_at).unwrap_or_else(|| text::moment(now, now)),
            revoked: body.revoked_at.as_deref().and_then(moment),
            own: caller.key_id.as_deref() == Some(&*body.id),
            body,
        }
    }

    fn called(&self) -> &str {
        if self.body.name.is_empty() { "no name" } else { &self.body.name }
    }
}

/// The page, with what was just made or could not be.
async fn page(
    api: &Api,
    caller: &Caller,
    made: Option<MadeBody>,
    wrong: Option<(String, NewKey)>,
) -> Result<Keys, Problem> {
    let now = api.on.clock.wall();
    let mut keys: Vec<_> =
        keys::shown(api, caller).await?.into_iter().map(|key| Line::new(key, caller, now)).collect();
    // Those that hold first, the latest of each first.
    keys.reverse();
    keys.sort_by_key(|key| key.revoked.is_some());
    let (wrong, typed) = wrong.unzip();
    Ok(Keys {
        page: Page::of(api, caller, Section::System, "Keys"),
        tab: "keys",
        keys,
        made,
        wrong,
        typed: typed.unwrap_or_default(),
        tenant: caller.tenant.to_string(),
        of_all: caller.operates(),
        keyless: caller.key_id.is_none(),
    })
}

/// Shows them.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let mut keys = page(&api, &caller, None, None).await?;
    keys.page = keys.page.with_notice(act::notice(&query));
    Ok(super::show(StatusCode::OK, &keys))
}

/// Makes one, and shows its secret, this once.
pub(in crate::api) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let pairs = form(request.into_body()).await?;
    let said = |name: &str| field(&pairs, name).trim().to_owned();
    let calls = said("perMinute");
    let new = || NewKey {
        name: said("name"),
        tenant: Some(said("tenant")),
        role: Some(said("role")),
        // What is no number is out of bounds, too.
        per_minute: (!calls.is_empty()).then(|| calls.parse().unwrap_or(0)),
    };
    match keys::made(&api, &caller, new()).await {
        Ok(made) => Ok(super::show(StatusCode::OK, &page(&api, &caller, Some(made), None).await?)),
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
            let wrong = Some((problem.full_detail(), new()));
            Ok(super::show(problem.status(), &page(&api, &caller, None, wrong).await?))
        }
        Err(problem) => Err(problem),
    }
}

/// Revokes one.
pub(in crate::api) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    keys::revoke_it(&api, &caller, &id).await?;
    Ok(redirect(&api, "/keys?done=revoked"))
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Page,
    tab: &'static str,
    lines: Vec<Deed>,
    first: bool,
    next: Option<String>,
}

/// Something that somebody did, as the page shows it.
struct Deed {
    body: LineBody,
    at: Moment,
}

impl Deed {
    /// What was done, in words.
    fn words(&self) -> String {
        let images = self.body.count.map(|count| text::counted(count, "image", "images"));
        match (self.body.action.as_str(), images) {
            ("key.created", _) => "made a key".to_owned(),
            ("key.revoked", _) => "revoked a key".to_owned(),
            ("request.cancelled", _) => "cancelled a request".to_owned(),
            ("request.deleted", _) => "deleted a request".to_owned(),
            ("request.retried", Some(images)) => format!("retried {images}"),
            ("host.paused", _) => "paused a host".to_owned(),
            ("host.resumed", _) => "let a host go on".to_owned(),
            ("host.limited", _) => "limited a host".to_owned(),
            (other, _) => other.to_owned(),
        }
    }

    fn mood(&self) -> &'static str {
        match self.body.action.rsplit('.').next().unwrap_or_default() {
            "revoked" | "deleted" | "cancelled" => "bad",
            "paused" | "limited" => "warn",
            "created" => "good",
            _ => "still",
        }
    }

    /// The page of what it was done to, if there is one.
    fn place(&self) -> Option<String> {
        let is_there = self.body.action.starts_with("request.") && self.body.action != "request.deleted";
        is_there.then(|| format!("/requests/{}", self.body.object))
    }
}

/// Shows what was done, latest first.
pub(in crate::api) async fn audit(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response, Problem> {
    let before = query.said("before");
    let (lines, next) = audit::shown(&api, &caller, before, SHOWN).await?;
    let now = api.on.clock.wall();
    let deed = |body: LineBody| {
        let at = Timestamp::parse(&body.at).unwrap_or(now);
        Deed { at: text::moment(at, now), body }
    };
    let audit = Audit {
        page: Page::of(&api, &caller, Section::System, "Audit log"),
        tab: "audit",
        lines: lines.into_iter().map(deed).collect(),
        first: before.is_none(),
        next,
    };
    Ok(super::show(StatusCode::OK, &audit))
}
