//! Conformance suites, a hostile origin, a webhook sink and a checker. Development only.

pub mod checker;
pub mod clock;
pub mod collector;
pub mod memory;
pub mod origin;
pub mod queue;
pub mod records;
pub mod services;
pub mod simulation;
pub mod sink;
pub mod storage;
