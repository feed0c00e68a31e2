//! Signing in with a key, and out.

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

use super::super::Api;
use super::super::access::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::{Page, field, form, in_query, redirect};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    page: Page,
    next: String,
    wrong: Option<String>,
    /// There is no key yet.
    unset: bool,
}

/// Shows the form.
pub(in crate::api) async fn show(State(api): State<Arc<Api>>, query: Query) -> Response {
    let next = query.said("next").unwrap_or_default().to_owned();
    let page = Page::open(&api, "Sign in");
    let unset = api.access.waits_for_setup().await.unwrap_or(false);
    super::show(StatusCode::OK, &SignIn { page, next, wrong: None, unset })
}

/// Signs in whoever shows a key.
pub(in crate::api) async fn sign_in(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let pairs = form(body).await?;
    let next = field(&pairs, "next").to_owned();
    match api.access.sign_in(&parts, field(&pairs, "key")).await {
        Ok(cookie) => {
            let mut response = redirect(&api, own_path(&next));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(problem) => {
            let (page, status) = (Page::open(&api, "Sign in"), problem.status());
            let wrong = Some(problem.detail().to_owned());
            Ok(super::show(status, &SignIn { page, next, wrong, unset: false }))
        }
    }
}

/// Signs out.
pub(in crate::api) async fn sign_out(State(api): State<Arc<Api>>, _: Extension<Caller>) -> Response {
    let mut response = redirect(&api, "/sign-in");
    response.headers_mut().append(header::SET_COOKIE, api.access.sign_out());
    // What was shown is not to be seen again by going back.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    response
}

/// Where to go after signing in: a page of this server's, whatever the address says.
fn own_path(next: &str) -> &str {
    let plain = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if plain && next.is_ascii() && !next.starts_with("/sign-") { next } else { "/requests" }
}

/// Sends somebody to sign in who came without a key, and back afterwards.
pub(super) fn ask(api: &Api, path_and_query: &str) -> Response {
    redirect(api, &format!("/sign-in?next={}", in_query(path_and_query)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        assert_eq!(own_path("/requests/1/images?q=a%20b"), "/requests/1/images?q=a%20b");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "x",
            "/a\r\nSet-Cookie: b",
            "/sign-in",
            "/\t/e",
        ] {
            assert_eq!(own_path(elsewhere), "/requests", "{elsewhere:?}");
        }
    }
}
