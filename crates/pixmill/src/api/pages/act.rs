//! What people do to a request, as forms: the same as the API's calls, and then back to a page that says what was done.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::query::{Id, Query};
use super::super::requests;
use super::{field, form, redirect, text};

/// What a page says was done, from a word in its address, so that a form may be answered by a link.
pub(super) fn notice(query: &Query) -> Option<String> {
    let said = query.said("done")?;
    let (what, number) = said.split_once('-').unwrap_or((said, ""));
    let number: u64 = number.parse().unwrap_or_default();
    Some(match what {
        "retried" => {
            format!("{} put back: they are tried again now.", text::counted(number, "image", "images"))
        }
        "corrected" => format!(
            "{} corrected: they are tried again now, and no others.",
            text::counted(number, "address", "addresses")
        ),
        "unchanged" => "No address was changed, so nothing was retried.".to_owned(),
        "cancelled" => "The request is cancelled. What had ended stays.".to_owned(),
        "deleted" => "The request is deleted.".to_owned(),
        "revoked" => {
            "The key is revoked: every process refuses it within a second, and its sessions end.".to_owned()
        }
        "told" => "The webhook is told again now.".to_owned(),
        "recovered" => format!("{} told again now.", text::counted(number, "event", "events")),
        _ => return None,
    })
}

/// Cancels a request.
pub(in crate::api) async fn cancel(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Result<Response, Problem> {
    requests::cancel_it(&api, &caller, &id).await?;
    Ok(redirect(&api, &format!("/requests/{id}?done=cancelled")))
}

/// Retries failed images: all, or those that fit a question.
pub(in crate::api) async fn retry(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let standing = api.standing(&caller, &id).await?;
    let pairs = form(request.into_body()).await?;
    let asked = field(&pairs, "q");
    let request = &standing.request.id;
    let retried = match asked.is_empty() {
        true => requests::retry_all(&api, &caller, request).await?,
        false => {
            let retried = requests::retry_matching(&api, request, asked).await?;
            requests::noted(&api, &caller, request, retried, Some(asked)).await;
            retried
        }
    };
    Ok(redirect(&api, &format!("/requests/{id}?done=retried-{retried}")))
}

/// Deletes a request that has ended.
pub(in crate::api) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let pairs = form(request.into_body()).await?;
    requests::delete_it(&api, &caller, &id, field(&pairs, "outputs") == "true").await?;
    Ok(redirect(&api, "/requests?done=deleted"))
}
