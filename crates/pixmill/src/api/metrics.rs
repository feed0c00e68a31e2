//! Figures for Prometheus, in OpenMetrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::pipeline::Learnt;
use pixmill_engine::port::records::{Ledger, Oldest, Usage};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::access::{self, Caller};
use super::crowd::Kind;
use super::health::Readiness;
use super::problem::Problem;
use super::{Api, answer};
use crate::config::secret::Secret;
use crate::figures::{Disks, Figures};
use crate::paces::Paces;
use crate::wiring::Strangers;

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

/// How long records may take to tell their figures: less than whoever asks for them waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a process tells of itself at any door.
#[derive(Clone)]
pub(crate) struct Tells {
    /// What it counts.
    pub(crate) figures: Arc<Figures>,
    /// What it learns of origins.
    pub(crate) paces: Arc<Paces>,
    /// Jobs of other programs, which it leaves alone.
    pub(crate) strangers: Arc<Strangers>,
    /// What jobs are counted under.
    pub(crate) queue_name: String,
    /// What lies on this machine.
    pub(crate) disks: Disks,
    /// Whoever shows it may read figures, and nothing else.
    pub(crate) token: Option<Secret>,
}

impl Tells {
    /// Whether a call shows the token.
    pub(super) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|shown| access::bearer(shown.to_str().ok()?));
        // Hashes, so that how long it takes tells nothing of how much of it was right.
        shown
            .zip(self.token.as_ref())
            .is_some_and(|(shown, token)| key::hash(shown) == key::hash(token.reveal()))
    }

    /// What the process counts, how its disks are, and whether it is ready.
    pub(super) async fn registry(&self, ready: bool) -> Registry {
        let mut registry = Registry::default();
        self.figures.register(&mut registry);
        gauge(&mut registry, "pixmill_ready", "1 while /readyz says so", i64::from(ready));
        register_paces(&mut registry, &self.paces.list());
        let left_alone = self.strangers.counts().into_iter().map(|left| (left.name, left.jobs));
        register_strangers(&mut registry, &self.queue_name, left_alone);
        let disks = self.disks.clone();
        let measured = tokio::task::spawn_blocking(move || {
            disks.register(&mut registry);
            registry
        });
        measured.await.unwrap_or_default()
    }
}

/// The calls that this process answered.
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

    fn register(&self, registry: &mut Registry) {
        registry.register("pixmill_http_requests", "Calls that were answered", self.calls.clone());
        let (seconds, unit) = (self.seconds.clone(), Unit::Seconds);
        let help = "Until the head of the answer";
        registry.register_with_unit("pixmill_http_request_duration", help, unit, seconds);
    }
}

/// What records tell of all tenants.
struct Counted {
    requests: Vec<(RequestStatus, u64)>,
    images: Progress,
    oldest: Oldest,
}

impl Counted {
    /// None where records can't be asked: the rest is told all the same.
    async fn of(ledger: &dyn Ledger) -> Option<Counted> {
        let asking = async {
            let (requests, images) = ledger.census().await?;
            Ok::<_, Fault>(Counted { requests, images, oldest: ledger.oldest().await? })
        };
        tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()
    }

    fn register(&self, registry: &mut Registry, queue: &str, now: Timestamp) {
        let by_status = Family::<Status, Gauge>::default();
        for (status, count) in &self.requests {
            by_status.get_or_create(&Status { status: status.as_str() }).set(*count as i64);
        }
        registry.register("pixmill_requests", "Requests by status", by_status);
        let seconds = |since: Option<Timestamp>| since.map_or(0, |since| now.since(since).as_secs() as i64);
        let help = "Age of the oldest request that has not ended";
        gauge(registry, "pixmill_oldest_pending_seconds", help, seconds(self.oldest.open));
        let help = "How long the event that is due first is overdue";
        gauge(registry, "pixmill_webhook_oldest_due_seconds", help, seconds(self.oldest.due));
        register_images(registry, queue, self.images);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn register_images(registry: &mut Registry, queue: &str, images: Progress) {
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
        ("pixmill_fetched", "Of completed images that are kept", images.bytes_before),
        ("pixmill_stored", "Of completed images that are kept", images.bytes_after),
    ] {
        let gauge: Gauge = Gauge::default();
        gauge.set(value as i64);
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
}

/// All that was registered, as it is read.
pub(super) fn written(registry: &Registry) -> Response {
    let mut text = String::new();
    // Text can be written to memory.
    let _ = encode(&mut text, registry);
    answer::of(StatusCode::OK, OPEN_METRICS, Body::from(text))
}

fn register_strangers(registry: &mut Registry, queue: &str, left_alone: impl Iterator<Item = (String, u64)>) {
    let strangers = Family::<Stranger, Counter>::default();
    for (job, jobs) in left_alone {
        strangers.get_or_create(&Stranger { queue: queue.to_owned(), job }).inc_by(jobs);
    }
    registry.register("pixmill_jobs_left_alone", "Jobs of other programs, which were not taken", strangers);
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
/// What this process counted, and what records hold of all tenants, for whoever needs no key, for keys of the tenant
/// `default`, and for whoever shows `--metrics-token`; others see their own images' alone. docs/metrics.md explains each.
#[utoipa::path(get, operation_id = "showMetrics", path = "/metrics", tag = "operation", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (ledger, tells) = (&api.on.ledger, &api.on.tells);
    if !caller.operates() {
        let own = ledger.usage(&caller.tenant, Timestamp(i64::MIN), Timestamp(i64::MAX)).await?;
        let mut registry = Registry::default();
        let all: Usage = own.iter().map(|part| &part.usage).sum();
        register_images(&mut registry, &tells.queue_name, all.progress);
        return Ok(written(&registry));
    }
    // Both wait for backends that are away, and whoever asks does not wait long.
    let (ready, counted) = tokio::join!(api.readiness.is_ready(), Counted::of(&**ledger));
    let mut registry = tells.registry(ready).await;
    api.metrics.register(&mut registry);
    if let Some(counted) = counted {
        counted.register(&mut registry, &tells.queue_name, api.on.clock.wall());
    }
    Ok(written(&registry))
}

/// What a process tells that answers no other calls.
pub(super) async fn of_worker(tells: &Tells, readiness: &Readiness) -> Response {
    written(&tells.registry(readiness.is_ready().await).await)
}

/// Lets pass who shows the token for figures, and whoever may call anyhow.
pub(super) async fn admit(
    State((api, kind)): State<(Arc<Api>, Kind)>,
    mut request: Request,
    next: Next,
) -> Response {
    if api.on.tells.is_shown(request.headers()) {
        request.extensions_mut().insert(Caller::who_watches());
        return next.run(request).await;
    }
    access::check(State((api, kind)), request, next).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixmill_engine::pipeline::Watcher;

    /// All there is, each with something to tell.
    fn everything() -> String {
        let metrics = Metrics::new();
        metrics.count_call(&Method::GET, "/v1/usage", StatusCode::OK, Duration::from_millis(3));
        let origin = "http://shop.example".to_owned();
        let mut registry = Registry::default();
        let figures = Figures::new("all");
        figures.entered("fetch");
        figures.left("fetch", Duration::from_millis(3));
        figures.register(&mut registry);
        gauge(&mut registry, "pixmill_ready", "", 1);
        register_strangers(&mut registry, "image-processing", [("mail".to_owned(), 3)].into_iter());
        let here = std::path::PathBuf::from(".");
        Disks {
            folders: vec![("records", here.clone())],
            records: Some(here.clone()),
            backed_up: Some(here),
        }
        .register(&mut registry);
        metrics.register(&mut registry);
        register_paces(&mut registry, &[Learnt { origin, per_second: Some(2.5), refusals: 3 }]);
        let images = Progress { pending: 7, failed: 1, bytes_before: 10, ..Progress::default() };
        let oldest = Oldest { open: Some(Timestamp(1_000)), due: Some(Timestamp(90_000)) };
        let counted = Counted { requests: vec![(RequestStatus::Pending, 2)], images, oldest };
        counted.register(&mut registry, "image-processing", Timestamp(61_000));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    /// What is told, by kind, as Prometheus names it.
    #[cfg(target_os = "linux")]
    #[test]
    fn every_metric_is_explained_as_what_it_is() {
        use std::collections::BTreeSet;
        let told: BTreeSet<_> = everything()
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| match line.split_once(' ').expect("a name and a kind") {
                (name, "counter") => format!("{name}_total counter"),
                (name, kind) => format!("{name} {kind}"),
            })
            .collect();
        let page = include_str!("../../../../docs/metrics.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let explained: BTreeSet<_> = rows
            .filter_map(|(name, rest)| {
                let kind = rest.split(' ').next()?;
                let is_kind = ["counter", "gauge", "histogram"].contains(&kind);
                is_kind.then(|| format!("{} {kind}", name.split('{').next().unwrap_or_default()))
            })
            .collect();
        assert_eq!(explained, told, "docs/metrics.md and the code differ");
    }

    #[test]
    fn figures_are_named_as_others_name_them() {
        let text = everything();
        for line in [
            "pixmill_http_requests_total{method=\"GET\",route=\"/v1/usage\",status=\"200\"} 1",
            "bullmq_job_count{queue=\"image-processing\",state=\"waiting\"} 7",
            "pixmill_requests{status=\"pending\"} 2",
            "pixmill_fetched_bytes 10",
            "pixmill_http_request_duration_seconds_count{route=\"/v1/usage\"} 1",
            "pixmill_origin_requests_per_second{origin=\"http://shop.example\"} 2.5",
            "pixmill_origin_refusals_total{origin=\"http://shop.example\"} 3",
            "pixmill_jobs_left_alone_total{queue=\"image-processing\",job=\"mail\"} 3",
            "pixmill_oldest_pending_seconds 60",
            "pixmill_webhook_oldest_due_seconds 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
