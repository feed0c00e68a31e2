//! Queues.

pub mod database;
