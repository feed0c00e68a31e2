//! Queues: a window in memory over records, or BullMQ on Redis.

#[cfg(feature = "bullmq")]
pub mod bullmq;
pub mod database;
pub mod strangers;
