//! An OpenTelemetry collector that keeps the spans it is told, and who told them.

use std::io;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use crate::sink::Sink;

/// A span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `service.name` of whoever told it.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// Its trace, 32 hexadecimal digits.
    pub trace: String,
    /// Its own id, 16 hexadecimal digits.
    pub id: String,
    /// Its parent's id; empty for none.
    pub parent: String,
    /// What is said of it, as text.
    pub attributes: Vec<(String, String)>,
    /// Whether it is marked as an error.
    pub is_error: bool,
}

impl Told {
    /// What is said of it under a name; empty when nothing is.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// A running collector.
pub struct Collector(Sink);

impl Collector {
    /// Listens on loopback for OTLP over HTTP, in protobuf.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> io::Result<Self> {
        Sink::start(|_| 200.into()).map(Collector)
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub fn endpoint(&self) -> String {
        self.0.url("")
    }

    /// Every span so far.
    ///
    /// # Panics
    /// When something else came.
    pub fn spans(&self) -> Vec<Told> {
        let mut spans = Vec::new();
        for heard in self.0.heard() {
            assert_eq!(
                (heard.path.as_str(), heard.header("content-type")),
                ("/v1/traces", "application/x-protobuf")
            );
            let batch = ExportTraceServiceRequest::decode(&heard.bytes[..]).expect("spans in protobuf");
            for of_one in batch.resource_spans {
                let service = of_one.resource.map(|resource| said(&resource.attributes)).unwrap_or_default();
                let service = service.into_iter().find(|(name, _)| name == "service.name");
                let service = service.map_or_else(String::new, |(_, name)| name);
                for span in of_one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    spans.push(Told {
                        service: service.clone(),
                        name: span.name,
                        trace: hexadecimal(&span.trace_id),
                        id: hexadecimal(&span.span_id),
                        parent: hexadecimal(&span.parent_span_id),
                        attributes: said(&span.attributes),
                        is_error: span.status.is_some_and(|status| status.code == 2),
                    });
                }
            }
        }
        spans
    }
}

fn said(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(truth) => Some(truth.to_string()),
        _ => None,
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute).unwrap_or_default())).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
