//! Adapters on what they stand on. All files of tests are modules of one test binary, for linking is what a binary costs.

#[cfg(feature = "bullmq")]
mod bullmq;
mod conformance;
mod history;
#[cfg(feature = "bullmq")]
mod interop;
mod net;
#[cfg(feature = "bullmq")]
mod queue_outage;
#[cfg(feature = "buckets")]
mod storage;
#[cfg(feature = "bullmq")]
mod strangers;
mod tenants;
mod unchanged;
mod upkeep;
mod webhook;
mod worker;
