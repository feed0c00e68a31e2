//! The whole table.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use pixmill_engine::code::Code;

use super::crowd::Kind;
use super::problem::Problem;
use super::{
    Api, access, audit, browsers, call, catalogue, csv, deliveries, events, failures, health, hosts, images,
    keys, metrics, openapi, originals, outputs, pages, preflight, preview, requests, system, trial, usage,
    workers,
};

/// Every address that answers.
pub(super) fn router(api: Arc<Api>) -> Router {
    let keyed = |kind| from_fn_with_state((api.clone(), kind), access::check);
    let uploads = Router::new()
        .route("/v1/requests", post(requests::create))
        .route("/v1/requests/{id}/retry", post(requests::retry))
        .route("/v1/preview", post(preview::show))
        .route("/v1/preflight", post(preflight::show))
        // As clients of Node stacks know them.
        .route("/api/upload", post(requests::create_as_node))
        .route("/upload", post(requests::create_as_node))
        .route_layer(keyed(Kind::Upload));
    let threaded = Router::new()
        .route("/v1/requests/{id}/catalogue", get(catalogue::show))
        .route_layer(keyed(Kind::Threaded));
    let looks = Router::new()
        .route("/v1/requests/{id}/images/{image}/original", get(originals::show))
        .route("/v1/requests/{id}/images/{image}/score", get(originals::score))
        .route("/v1/preview/image", post(trial::make))
        .route("/v1/preview/pictures/{name}", get(trial::show))
        .route_layer(keyed(Kind::Look));
    let streams =
        Router::new().route("/v1/requests/{id}/events", get(events::watch)).route_layer(keyed(Kind::Stream));
    let calls = Router::new()
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::show).delete(requests::delete))
        .route("/v1/requests/{id}/images", get(images::list))
        .route("/v1/requests/{id}/images/{image}", get(images::show))
        .route("/v1/requests/{id}/failures", get(failures::show))
        .route("/v1/requests/{id}/results.csv", get(csv::results))
        .route("/v1/requests/{id}/failed.csv", get(csv::failed))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/webhooks/deliveries", get(deliveries::list))
        .route("/v1/webhooks/deliveries/{id}/redeliver", post(deliveries::redeliver))
        .route("/v1/usage", get(usage::show))
        .route("/v1/workers", get(workers::list))
        .route("/v1/system", get(system::show).post(system::look_again))
        .route("/v1/hosts", get(hosts::list))
        .route("/v1/hosts/{host}/pause", post(hosts::pause))
        .route("/v1/hosts/{host}/resume", post(hosts::resume))
        .route("/v1/hosts/{host}/limit", post(hosts::limit))
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/audit", get(audit::list))
        // As clients of Node stacks know them.
        .route("/api/status/{id}", get(requests::show_as_node))
        .route("/status/{id}", get(requests::show_as_node))
        .route("/api/csv/{id}", get(csv::results))
        .route("/api/download/{id}", get(csv::results))
        .route("/download/{id}", get(csv::results))
        .route_layer(keyed(Kind::Call));
    let watched = Router::new()
        .route("/metrics", get(metrics::show))
        .route_layer(from_fn_with_state((api.clone(), Kind::Call), metrics::admit));
    let open = Router::new()
        .route("/docs", get(openapi::docs))
        .route("/openapi.json", get(openapi::show))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/processed_images/{*path}", get(outputs::show));
    let (origins, base) = (api.on.origins.clone(), api.base.clone());
    let router = uploads
        .merge(threaded)
        .merge(looks)
        .merge(streams)
        .merge(calls)
        .merge(watched)
        .merge(open)
        .merge(pages::routes(&api))
        .fallback(|| async { Problem::new(Code::RouteUnknown, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::RouteMethod, "the method is not allowed at this address")
        })
        .layer(from_fn(access::one_host))
        .layer(from_fn(call::harden))
        .layer(from_fn_with_state(api.clone(), call::observe))
        .with_state(api);
    let router = if origins.is_empty() { router } else { router.layer(browsers::layer(&origins)) };
    // Proxies of the two kinds: those that cut the path off below which they have this server, and those that leave it.
    if base.is_empty() { router } else { Router::new().nest(&base, router.clone()).merge(router) }
}
