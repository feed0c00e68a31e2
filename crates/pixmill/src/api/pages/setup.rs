//! The page behind the link that a server prints which others reach and which has no key yet. Looking at it changes nothing,
//! for mail programs and chats look at links, too.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{StatusCode, header};

use super::super::Api;
use super::super::problem::Problem;
use super::{Page, field, form};

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    page: Page,
    /// The address of this server.
    origin: String,
    /// The secret of the key that was made.
    made: Option<String>,
}

/// Shows the form.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    api.access.is_set_up_by(&token).await?;
    Ok(told(&api, None))
}

/// Makes the key, shows it, and signs its maker in.
pub(in crate::api) async fn make(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let pairs = form(body).await?;
    let made = api.access.set_up(&parts, &token, field(&pairs, "name"), api.on.clock.wall()).await?;
    api.note_set_up(&made).await;
    let mut response = told(&api, Some(made.secret.reveal().to_owned()));
    response.headers_mut().append(header::SET_COOKIE, made.cookie);
    Ok(response)
}

fn told(api: &Api, made: Option<String>) -> Response {
    let (page, origin) = (Page::open(api, "Set up"), api.on.links.clone());
    super::show(StatusCode::OK, &Setup { page, origin, made })
}
