//! Who is told of spans: an upload, its images, each with its stages, and what its webhook hears are one trace, whatever
//! processes they are in.
//!
//! What joins them is the upload's `traceparent`, kept with its request. Nothing that could be derived from a request's
//! id would do: a client's trace has an id of its own, and whether a trace is sampled is decided once, where it begins.
//!
//! Spans are those of the crate `tracing`, under a target of their own. Whoever exports traces listens to it and nobody
//! else does, so that without an exporter none is made.

use tracing::Span;

use crate::model::trace::Traceparent;

/// The target of every span.
pub const TARGET: &str = "pixmill::trace";

/// Joins spans to traces that go on in other processes.
pub trait Traces: Send + Sync {
    /// Puts a span that has not begun below what began elsewhere.
    fn join(&self, span: &Span, parent: &Traceparent);

    /// What goes on below a span elsewhere is told this; `None` where no span is made.
    fn traceparent(&self, span: &Span) -> Option<Traceparent>;
}

/// Nobody is told.
pub struct Untold;

impl Traces for Untold {
    fn join(&self, _span: &Span, _parent: &Traceparent) {}

    fn traceparent(&self, _span: &Span) -> Option<Traceparent> {
        None
    }
}
