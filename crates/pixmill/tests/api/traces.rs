//! Which traces are told to a collector, and which are not.

use pixmill_testkit::collector::Collector;

use crate::cases::{self, CLIENT, TRACE, from_upload_to_webhook, named};
use crate::server::Server;

fn collector() -> Collector {
    Collector::start().expect("the collector starts")
}

#[test]
fn one_trace_leads_from_the_clients_upload_to_its_webhook() {
    let collector = collector();
    let server = Server::new().told("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    cases::one_trace_leads_from_the_clients_upload_to_its_webhook(&server, &collector);
}

#[test]
fn an_upload_without_a_trace_begins_one() {
    let collector = collector();
    let server = Server::new()
        .told("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", collector.endpoint()))
        .told("OTEL_SERVICE_NAME", "shop");
    from_upload_to_webhook(&server, &[]);
    let spans = collector.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.iter().map(|root| root.name.as_str()).collect::<Vec<_>>(), ["upload"]);
    assert!(spans.iter().all(|span| span.trace == roots[0].trace && span.service == "shop"), "{spans:#?}");
    assert_eq!(named(&spans, "webhook").len(), 1);
}

#[test]
fn what_is_not_sampled_is_told_to_nobody() {
    let collector = collector();
    let server = Server::new().told("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let heard = from_upload_to_webhook(&server, &[("traceparent", &format!("00-{TRACE}-{CLIENT}-00"))]);
    assert_eq!(collector.spans(), []);
    assert!(heard.starts_with(&format!("00-{TRACE}-")) && heard.ends_with("-00"), "{heard}");
}

#[test]
fn without_a_collector_a_clients_trace_is_passed_on_as_it_came() {
    let parent = format!("00-{TRACE}-{CLIENT}-01");
    assert_eq!(from_upload_to_webhook(&Server::new(), &[("traceparent", &parent)]), parent);
}

#[test]
fn a_collector_that_cannot_be_told_is_refused_at_the_start() {
    let server = Server::new()
        .told("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .told("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let output = server.pixmill(&["serve"]).output().expect("pixmill starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && error.contains("http/protobuf"), "{error}");
}
