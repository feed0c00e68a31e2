//! A new request: a file, what is asked of it, and a look at both before anything is handed in.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use pixmill_engine::catalogue::Preview;
use pixmill_engine::code::Code;

use super::super::access::Caller;
use super::super::preflight::{Came, PreflightBody};
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::trial::{TriedBody, tried};
use super::super::upload::{Coming, looked_at};
use super::super::{Api, requests};
use super::{Page, Section, field, redirect, text};

/// Pictures that the recipe is tried on, and addresses of each origin that are asked for.
const TRIED: usize = 3;
const PROBED: u64 = 5;

#[derive(Template)]
#[template(path = "new.html")]
struct New {
    page: Page,
    usual: String,
    quality: u8,
    /// What was said before.
    said: Vec<(String, String)>,
    look: Option<Look>,
}

/// What was found before anything is handed in.
struct Look {
    preview: Preview,
    found: PreflightBody,
    trials: Vec<(String, Result<TriedBody, String>)>,
}

impl New {
    /// What was said of an option.
    fn said(&self, name: &str) -> &str {
        field(&self.said, name)
    }

    fn saved(&self, tried: &TriedBody) -> String {
        text::saved(tried.bytes_before, tried.bytes_after).unwrap_or_default()
    }

    fn duration(&self, seconds: &u64) -> String {
        text::duration(std::time::Duration::from_secs((*seconds).max(1)))
    }
}

impl Look {
    /// Cells of the first rows.
    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.preview.rows.iter().map(|row| pixmill_engine::catalogue::fields(&row.cells))
    }

    fn is_picture(&self, index: &usize) -> bool {
        self.preview.pictures.contains(&(index + 1))
    }
}

/// Shows the form.
pub(in crate::api) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    form(&api, &caller, Vec::new(), None)
}

fn form(api: &Api, caller: &Caller, said: Vec<(String, String)>, look: Option<Look>) -> Response {
    let page = Page::of(api, caller, Section::Requests, "New request");
    let recipe = &api.on.recipe;
    let usual = text::recipe(recipe);
    super::show(StatusCode::OK, &New { usual, quality: recipe.quality, page, said, look })
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

/// Looks at a catalogue, asks its shops and tries the recipe, all at once: what modules do step by step. Nothing is stored,
/// so that the file is to be chosen again afterwards.
pub(in crate::api) async fn look(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response, Problem> {
    let looking = looked_at(&api, &caller, query, request, api.on.most_bytes, async |coming: Coming| {
        let came = Came::whole(&api, coming).await?;
        let preview = came.preview().await?;
        let found = came.preflight(&api, PROBED).await?;
        let mut trials = Vec::new();
        for address in some(&preview) {
            let made = tried_at(&api, &caller, &address, &came).await;
            trials.push((address, made.map_err(|problem| problem.detail().to_owned())));
        }
        Ok((came.pairs, Look { preview, found, trials }))
    });
    let (said, look) = looking.await?;
    Ok(form(&api, &caller, said, Some(look)))
}

async fn tried_at(api: &Api, caller: &Caller, address: &str, came: &Came) -> Result<TriedBody, Problem> {
    let source = api.on.looks.fetched(&caller.tenant, address).await;
    let source = source.map_err(|fault| Problem::new(Code::BodyMalformed, fault.message))?;
    tried(api, caller, source, &came.recipe).await
}

/// Some of its pictures, from rows that lie apart.
fn some(preview: &Preview) -> Vec<String> {
    let mut found: Vec<&String> =
        preview.rows.iter().filter_map(|row| row.images.first().map(|(_, address)| address)).collect();
    found.dedup();
    let last = found.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..TRIED).map(|at| last * at / (TRIED - 1)).collect();
    places.dedup();
    places.into_iter().filter_map(|at| found.get(at).map(|address| (*address).clone())).collect()
}

#[cfg(test)]
mod tests {
    use pixmill_engine::catalogue::Hints;

    use super::*;

    #[test]
    fn a_recipe_is_tried_on_pictures_that_lie_apart() {
        let tried = |count: usize| {
            let rows: String = (0..count).map(|row| format!("{row},https://h/{row}.jpg\n")).collect();
            let catalogue = format!("SKU,Image Urls\n{rows}");
            some(&Preview::read(catalogue.as_bytes(), &Hints::default(), false).unwrap())
        };
        assert_eq!(tried(1), ["https://h/0.jpg"]);
        assert_eq!(tried(2), ["https://h/0.jpg", "https://h/1.jpg"]);
        assert_eq!(tried(7), ["https://h/0.jpg", "https://h/3.jpg", "https://h/6.jpg"]);
    }
}
