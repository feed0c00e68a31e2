//! Adapters on what they stand on. All files of tests are modules of one test binary, for linking is what a binary costs.

mod bullmq;
mod conformance;
mod interop;
mod net;
mod queue_outage;
mod storage;
mod webhook;
