//! Queues: a window in memory over records, or BullMQ on Redis.

#[cfg(feature = "bullmq")]
pub mod bullmq;
pub mod database;
#[cfg_attr(not(feature = "bullmq"), allow(dead_code))]
pub mod strangers;
