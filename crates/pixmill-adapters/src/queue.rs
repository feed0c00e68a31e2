//! Queues: a window in memory over records, or BullMQ on Redis.

pub mod bullmq;
pub mod database;
