//! What pixmill stands on: one folder a port, embedded beside scale-out.

pub mod clock;
pub mod net;
pub mod queue;
pub mod records;
pub mod sandbox;
pub mod storage;
#[cfg(feature = "otlp")]
pub mod traces;
