//! Figures for Prometheus, in OpenMetrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Method, StatusCode};
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::Learnt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Api;
use super::access::Caller;
use super::answer;
use super::problem::Problem;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the histogram of calls, seconds.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Jobs {
    queue: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stranger {
    queue: String,
    job: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Origin {
    origin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

/// What this process counts itself.
pub(super) struct Metrics {
    calls: Family<Call, Counter>,
    seconds: Family<Route, Histogram>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Metrics { calls: Family::default(), seconds: Family::new_with_constructor(histogram) }
    }

    /// Counts a call that was answered.
    pub(super) fn count_call(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let (method, route, status) = (method_name(method).to_owned(), route.to_owned(), status.as_u16());
        self.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.calls.get_or_create(&Call { method, route, status }).inc();
    }

    /// All figures, those over all tenants among them.
    fn text(
        &self,
        queue: &str,
        requests: &[(RequestStatus, u64)],
        images: Progress,
        paces: &[Learnt],
        left_alone: &[(String, u64)],
    ) -> String {
        let mut registry = Registry::default();
        let calls = self.calls.clone();
        registry.register("pixmill_http_requests", "Calls that were answered", calls);
        let (seconds, unit) = (self.seconds.clone(), Unit::Seconds);
        registry.register_with_unit(
            "pixmill_http_request_duration",
            "Until the head of the answer",
            unit,
            seconds,
        );
        let by_status = Family::<Status, Gauge>::default();
        for (status, count) in requests {
            by_status.get_or_create(&Status { status: status.as_str() }).set(*count as i64);
        }
        registry.register("pixmill_requests", "Requests by status", by_status);
        register_paces(&mut registry, paces);
        let strangers = Family::<Stranger, Counter>::default();
        for (job, count) in left_alone {
            let labels = Stranger { queue: queue.to_owned(), job: job.clone() };
            strangers.get_or_create(&labels).inc_by(*count);
        }
        let help = "Jobs of other programs, which were not taken";
        registry.register("pixmill_jobs_left_alone", help, strangers);
        written(registry, queue, images)
    }
}

/// What was registered, and figures on images.
fn written(mut registry: Registry, queue: &str, images: Progress) -> String {
    let jobs = Family::<Jobs, Gauge>::default();
    for (state, count) in [
        ("waiting", images.pending),
        ("active", images.processing),
        ("completed", images.completed),
        ("failed", images.failed),
    ] {
        let labels = Jobs { queue: queue.to_owned(), state };
        jobs.get_or_create(&labels).set(count as i64);
    }
    registry.register("bullmq_job_count", "Images by state, as BullMQ names it", jobs);
    for (name, help, value) in [
        ("pixmill_fetched", "Of completed images", images.bytes_before),
        ("pixmill_stored", "Of completed images", images.bytes_after),
    ] {
        let gauge: Gauge = Gauge::default();
        gauge.set(value as i64);
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
    let mut text = String::new();
    // Text can be written to memory.
    let _ = encode(&mut text, &registry);
    text
}

/// What this process learnt of how much origins take.
fn register_paces(registry: &mut Registry, paces: &[Learnt]) {
    let (rates, refusals) =
        (Family::<Origin, Gauge<f64, AtomicU64>>::default(), Family::<Origin, Counter>::default());
    for learnt in paces {
        let origin = Origin { origin: learnt.origin.clone() };
        refusals.get_or_create(&origin).inc_by(learnt.refusals);
        if let Some(rate) = learnt.per_second {
            rates.get_or_create(&origin).set(rate);
        }
    }
    let name = "pixmill_origin_requests_per_second";
    registry.register(name, "What an origin is asked at most, while it is limited", rates);
    registry.register("pixmill_origin_refusals", "Requests that an origin refused as too many", refusals);
}

/// Methods that nobody serves could be any text.
fn method_name(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::DELETE | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

/// Figures for Prometheus
///
/// Those over all tenants are for whoever needs no key and for keys of the tenant `default`; others see their own images'.
#[utoipa::path(get, operation_id = "showMetrics", path = "/metrics", tag = "operation", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (ledger, queue) = (&api.on.ledger, &api.on.queue_name);
    let text = if caller.operates() {
        let (requests, images) = ledger.census().await?;
        let left_alone = api.on.strangers.counts().into_iter().map(|left| (left.name, left.jobs));
        api.metrics.text(queue, &requests, images, &api.on.paces.list(), &left_alone.collect::<Vec<_>>())
    } else {
        let own = ledger.usage(&caller.tenant, Timestamp(i64::MIN), Timestamp(i64::MAX)).await?;
        written(Registry::default(), queue, own.progress)
    };
    Ok(answer::of(StatusCode::OK, OPEN_METRICS, Body::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named_as_others_name_them() {
        let metrics = Metrics::new();
        metrics.count_call(&Method::GET, "/v1/usage", StatusCode::OK, Duration::from_millis(3));
        let images = Progress { pending: 7, failed: 1, bytes_before: 10, ..Progress::default() };
        let origin = "http://shop.example".to_owned();
        let paces = [Learnt { origin, per_second: Some(2.5), refusals: 3 }];
        let text = metrics.text(
            "image-processing",
            &[(RequestStatus::Pending, 2)],
            images,
            &paces,
            &[("mail".into(), 3)],
        );
        for line in [
            "pixmill_http_requests_total{method=\"GET\",route=\"/v1/usage\",status=\"200\"} 1",
            "bullmq_job_count{queue=\"image-processing\",state=\"waiting\"} 7",
            "pixmill_requests{status=\"pending\"} 2",
            "pixmill_fetched_bytes 10",
            "pixmill_http_request_duration_seconds_count{route=\"/v1/usage\"} 1",
            "pixmill_origin_requests_per_second{origin=\"http://shop.example\"} 2.5",
            "pixmill_origin_refusals_total{origin=\"http://shop.example\"} 3",
            "pixmill_jobs_left_alone_total{queue=\"image-processing\",job=\"mail\"} 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
