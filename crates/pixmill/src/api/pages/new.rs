//! A new request: a file, and what is asked of it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::requests;
use super::{Page, Section, redirect, text};

#[derive(Template)]
#[template(path = "new.html")]
struct New {
    page: Page,
    usual: String,
    quality: u8,
}

/// Shows the form.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let page = Page::of(&api, &caller, Section::Requests, "New request");
    let recipe = &api.on.recipe;
    super::show(StatusCode::OK, &New { usual: text::recipe(recipe), quality: recipe.quality, page })
}

/// Takes the catalogue in, and goes on at its request.
pub(in crate::api) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let body = requests::take_in(&api, &caller, query, request).await?;
    Ok(redirect(&api, &format!("/requests/{}", body.id())))
}
