//! Why images failed, and better addresses for them: grouped by code and host, corrected in a table, and those retried
//! alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::model::id::ImageId;
use pixmill_engine::model::image::{Correction, ImageStatus};
use pixmill_engine::model::source::Source;
use pixmill_engine::port::records::RequestView;

use super::super::Api;
use super::super::access::Caller;
use super::super::failures::{FailuresBody, grouped};
use super::super::images::question;
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::super::requests;
use super::super::search::{PIECE, search};
use super::line::Line;
use super::request::Names;
use super::{Page, Section, act, form, in_query, redirect};

/// Failed images on a page.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "failures.html")]
struct Failures {
    page: Page,
    line: Line,
    groups: FailuresBody,
    /// What is shown of all that failed.
    asked: String,
    rows: Vec<Row>,
    next: Option<String>,
    searched: u64,
    wrong: Option<String>,
}

/// A failed image.
struct Row {
    image: String,
    row: u64,
    position: u32,
    name: String,
    input: String,
    /// What somebody typed that could not be used, and why.
    typed: Option<(String, String)>,
    code: &'static str,
    message: String,
    attempts: u32,
}

impl Failures {
    fn address(&self, asked: &str) -> String {
        format!("{}/requests/{}/failures?q={}", self.page.base, self.line.id, in_query(asked))
    }

    /// Asks for a group.
    fn of(&self, code: &str, host: &str) -> String {
        let asked = if host.is_empty() { format!("code:{code}") } else { format!("code:{code} host:{host}") };
        self.address(&asked)
    }

    fn is_asked(&self, code: &str, host: &str) -> bool {
        self.asked
            == if host.is_empty() { format!("code:{code}") } else { format!("code:{code} host:{host}") }
    }
}

/// What somebody typed for images, by row and position, and what is wrong with it.
type Typed = BTreeMap<(u64, u32), (String, String)>;

/// Shows failures.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let page =
        Page::of(&api, &caller, Section::Requests, format!("Failures of {}", standing.request.catalogue));
    let page = page.with_notice(act::notice(&query));
    let failures = failures(&api, &standing, page, &query, &Typed::new()).await?;
    Ok(super::show(StatusCode::OK, &failures))
}

async fn failures(
    api: &Api,
    standing: &RequestView,
    page: Page,
    query: &Query,
    typed: &Typed,
) -> Result<Failures, Problem> {
    let (ledger, id) = (&*api.on.ledger, &standing.request.id);
    let asked = query.said("q").unwrap_or_default().trim().to_owned();
    let groups = grouped(ledger, id).await?;
    let (question, wrong) = match question(&asked, Some(ImageStatus::Failed)) {
        Ok(question) => (question, None),
        Err(problem) => (question("", Some(ImageStatus::Failed))?, Some(problem.detail().to_owned())),
    };
    let after = query.said("after").map(ImageId::from);
    let found = search(ledger, id, &question, after, SHOWN, PIECE).await?;
    let names = Names::of(ledger, &standing.request, &found.images).await?;
    let row = |view: &pixmill_engine::model::image::ImageView| {
        let failure = view.slot.failure.as_ref();
        Row {
            image: view.image.to_string(),
            row: view.row + 1,
            position: view.position + 1,
            name: names.name(view),
            input: view.input.clone(),
            typed: typed.get(&(view.row + 1, view.position + 1)).cloned(),
            code: failure.map_or("", |failure| failure.code.as_str()),
            message: failure.map(|failure| failure.message.clone()).unwrap_or_default(),
            attempts: view.attempts,
        }
    };
    Ok(Failures {
        line: Line::new(standing, api.on.clock.wall()),
        groups,
        asked,
        rows: found.images.iter().map(row).collect(),
        next: found.next.map(|next| next.to_string()),
        searched: found.searched,
        wrong,
        page,
    })
}

/// Takes better addresses, and tries those images again and no others. An address that was left as it was is tried again
/// where that was ticked.
pub(in crate::api) async fn correct(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let pairs = form(request.into_body()).await?;
    let (corrections, typed) = read(&pairs);
    if !typed.is_empty() {
        let page =
            Page::of(&api, &caller, Section::Requests, format!("Failures of {}", standing.request.catalogue));
        let failures = failures(&api, &standing, page, &query, &typed).await?;
        return Ok(super::show(StatusCode::UNPROCESSABLE_ENTITY, &failures));
    }
    let place = format!("/requests/{id}/failures?q={}", in_query(query.said("q").unwrap_or_default()));
    let count = corrections.len();
    if corrections.is_empty() {
        return Ok(redirect(&api, &format!("{place}&done=unchanged")));
    }
    let unfit = api.on.ledger.correct(&standing.request.id, corrections, api.on.clock.wall()).await?;
    if !unfit.is_empty() {
        let detail =
            "some of these images are tried again already, so nothing was changed: look at the list again";
        return Err(Problem::new(pixmill_engine::code::Code::RequestState, detail));
    }
    let request = &standing.request.id;
    requests::noted(&api, &caller, request, count as u64, Some("with corrections")).await;
    Ok(redirect(&api, &format!("{place}&done=corrected-{count}")))
}

/// Corrections, and what can't be used of what was typed.
fn read(pairs: &[(String, String)]) -> (Vec<Correction>, Typed) {
    let mut before = BTreeMap::new();
    let mut ticked = Vec::new();
    let mut now = BTreeMap::new();
    for (name, value) in pairs {
        let Some((kind, place)) =
            name.split_once(':').and_then(|(kind, place)| Some((kind, numbers(place)?)))
        else {
            continue;
        };
        match kind {
            "was" => drop(before.insert(place, value.as_str())),
            "url" => drop(now.insert(place, value.trim())),
            "again" => ticked.push(place),
            _ => {}
        }
    }
    let (mut corrections, mut typed) = (Vec::new(), Typed::new());
    for (place, input) in now {
        let same = before.get(&place).is_some_and(|before| before.trim() == input);
        if same && !ticked.contains(&place) {
            continue;
        }
        let wrong = match Source::parse(input) {
            Ok(Source::Web(_)) => None,
            _ if same => None,
            Ok(_) => Some("An address begins with https:// or http://.".to_owned()),
            Err(fault) => Some(fault.message),
        };
        match wrong {
            Some(wrong) => drop(typed.insert(place, (input.to_owned(), wrong))),
            None => {
                let (row, position) = (place.0 - 1, place.1 - 1);
                corrections.push(Correction { row, position, input: input.to_owned() });
            }
        }
    }
    (corrections, typed)
}

/// Row and position, from 1.
fn numbers(text: &str) -> Option<(u64, u32)> {
    let (row, position) = text.split_once(':')?;
    let (row, position): (u64, u32) = (row.parse().ok()?, position.parse().ok()?);
    (row > 0 && position > 0).then_some((row, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_changed_or_ticked_is_retried_and_nothing_else() {
        let form = pairs(&[
            ("was:1:1", "http://h/a"),
            ("url:1:1", " http://h/b "),
            ("was:2:1", "http://h/c"),
            ("url:2:1", "http://h/c"),
            ("was:3:2", "http://h/d"),
            ("url:3:2", "http://h/d"),
            ("again:3:2", "on"),
            ("url:0:1", "http://h"),
            ("url:x", "y"),
        ]);
        let (corrections, typed) = read(&form);
        let told: Vec<_> =
            corrections.iter().map(|one| (one.row, one.position, one.input.as_str())).collect();
        assert_eq!((told, typed.len()), (vec![(0, 0, "http://h/b"), (2, 1, "http://h/d")], 0));
    }

    #[test]
    fn what_is_no_address_is_told_beside_it() {
        for wrong in ["ftp://h/a", "javascript:alert(1)", "a.jpg", "", "http://"] {
            let (corrections, typed) = read(&pairs(&[("was:1:1", "http://h/a"), ("url:1:1", wrong)]));
            assert!(corrections.is_empty() && typed.contains_key(&(1, 1)), "{wrong}");
        }
    }
}
