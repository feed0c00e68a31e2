//! Traces told to an OpenTelemetry collector: OTLP over HTTP, in batches, from a bounded queue that drops what finds no
//! room. A thread of its own sends them, so work never waits for a collector.
//!
//! The crates of OpenTelemetry read their own variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, …).

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, Key};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use pixmill_engine::model::trace::Traceparent;
use pixmill_engine::port::traces::{TARGET, Traces};
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::net::talk::{Said, Talk};

/// What the service is called unless a variable says otherwise.
const SERVICE: &str = "pixmill";

/// The header that says where a trace goes on.
const HEADER: &str = "traceparent";

/// How long a stop waits for the last batch.
const LAST: Duration = Duration::from_secs(5);

/// Tells a collector.
#[derive(Debug, Clone)]
pub struct Otlp(SdkTracerProvider);

impl Otlp {
    /// Begins to tell whom the environment names. `timeout` is for one call.
    ///
    /// # Errors
    /// A sentence on a variable that can't be used.
    pub fn start(timeout: Duration) -> Result<Otlp, String> {
        let talk = Talk::new(timeout).map_err(|error| format!("the network can't be used: {error}"))?;
        let caller = Caller { talk, timeout };
        let exporter = SpanExporter::builder().with_http().with_http_client(caller).build();
        let exporter = exporter.map_err(|error| error.to_string())?;
        let provider =
            SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build();
        Ok(Otlp(provider))
    }

    /// Hears of spans, and of nothing else.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        let tracer: SdkTracer = self.0.tracer(SERVICE);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Where in the code a span is made tells an operator nothing, and a thread means nothing where tasks wander.
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(TARGET, Level::INFO))
    }

    /// Tells what is left, for a few seconds at most. Blocks.
    ///
    /// # Errors
    /// A sentence on why it could not be told.
    pub fn stop(&self) -> Result<(), String> {
        self.0.shutdown_with_timeout(LAST).map_err(|error| error.to_string())
    }
}

fn resource() -> Resource {
    let told = Resource::builder().build();
    let name = told.get(&Key::from_static_str("service.name"));
    let named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if named { told } else { Resource::builder().with_service_name(SERVICE).build() }
}

impl Traces for Otlp {
    fn join(&self, span: &Span, parent: &Traceparent) {
        let headers = HashMap::from([(HEADER.to_owned(), parent.to_string())]);
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        // Without a layer that listens there is no span to be joined.
        let _ = span.set_parent(parent);
    }

    fn traceparent(&self, span: &Span) -> Option<Traceparent> {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
        Traceparent::parse(headers.get(HEADER)?)
    }
}

/// Calls the collector. It blocks, on a thread that has nothing else to do.
#[derive(Debug)]
struct Caller {
    talk: Talk,
    timeout: Duration,
}

#[async_trait]
impl HttpClient for Caller {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        Ok(self.talk.ask_within(self.timeout, request.map(Said::Whole))?)
    }
}
