//! The API's description (OpenAPI 3.1), made from the code, and a page that shows it.

#[cfg(test)]
mod page;
#[cfg(test)]
mod schemas;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{Modify, OpenApi};

use super::answer;
use super::problem::ProblemBody;
use super::{
    audit, catalogue, csv, deliveries, events, failures, health, hosts, images, keys, metrics, originals,
    outputs, preflight, preview, requests, system, trial, usage, workers,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pixmill",
        description = "Bulk image processing: a catalogue of image addresses in, compressed pictures and results out.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        requests::create, requests::list, requests::show, requests::delete, requests::cancel, requests::retry,
        preview::show, preflight::show, trial::make, trial::show, images::list, images::show, originals::show, originals::score, failures::show, csv::results, csv::failed, catalogue::show, events::watch,
        deliveries::list, deliveries::redeliver, usage::show,
        workers::list, hosts::list, hosts::pause, hosts::resume, hosts::limit, system::show, system::look_again,
        keys::list, keys::create, keys::revoke, audit::list,
        metrics::show, health::alive, health::ready, outputs::show,
        requests::create_as_node, requests::show_as_node,
    ),
    components(schemas(ProblemBody)),
    security(("key" = []), ()),
    modifiers(&Keys, &Fields, &Corrections, &Aliases),
)]
struct Description;

/// How callers show who they are.
struct Keys;

impl Modify for Keys {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("pxm_…")
            .description(Some("Made by `pixmill keys create`. Networks that the server trusts need none."))
            .build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// Names of a form's fields are sent in a header, which holds no control signs.
struct Fields;

impl Modify for Fields {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let schemas = &mut description.components.get_or_insert_default().schemas;
        if let Some(RefOr::T(Schema::Object(form))) = schemas.get_mut("Form") {
            let names = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[ -~]+$"));
            form.property_names = Some(Box::new(Schema::Object(names.build())));
        }
    }
}

/// A retry may bring corrections, and does without.
struct Corrections;

impl Modify for Corrections {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let retry = description.paths.paths.get_mut("/v1/requests/{id}/retry");
        let body = retry.and_then(|item| item.post.as_mut()?.request_body.as_mut());
        if let Some(RefOr::T(body)) = body {
            body.required = Some(Required::False);
        }
    }
}

/// Where clients of Node stacks find what is described elsewhere too.
struct Aliases;

const ALIASES: [(&str, &str); 5] = [
    ("/upload", "/api/upload"),
    ("/status/{id}", "/api/status/{id}"),
    ("/api/csv/{id}", RESULTS),
    ("/api/download/{id}", RESULTS),
    ("/download/{id}", RESULTS),
];
const RESULTS: &str = "/v1/requests/{id}/results.csv";

impl Modify for Aliases {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let paths = &mut description.paths.paths;
        for (alias, path) in ALIASES {
            let mut item = paths[path].clone();
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                // Names of operations differ, for programs that are made from them.
                let name = operation.operation_id.take().unwrap_or_default();
                operation.operation_id = Some(name + &alias.replace(['/', '{', '}'], "_"));
                operation.tags = Some(vec!["for clients of Node stacks".to_owned()]);
            }
            paths.insert(alias.to_owned(), item);
        }
    }
}

/// The description as JSON.
pub(crate) fn document() -> String {
    let text = Description::openapi().to_pretty_json();
    text.expect("the description can be written") + "\n"
}

/// Answers with the description.
pub(super) async fn show() -> Response {
    answer::of(StatusCode::OK, "application/json", Body::from(document()))
}

const PAGE: &str = include_str!("openapi.html");

/// Answers with a page that shows the description. It loads nothing from elsewhere.
pub(super) async fn docs() -> Response {
    let mut response = answer::of(StatusCode::OK, "text/html; charset=utf-8", Body::from(PAGE));
    let policy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// Says where to go on.
pub(super) async fn welcome() -> Response {
    let text = concat!(
        "pixmill ",
        env!("CARGO_PKG_VERSION"),
        "\n\nThe API is described at /docs, for programs at /openapi.json. Help is at /help, as one file at /llms-full.txt.\n",
        "Hand a catalogue in: curl -F file=@shop.csv <this address>/v1/requests\n"
    );
    answer::of(StatusCode::OK, "text/plain; charset=utf-8", Body::from(text))
}
