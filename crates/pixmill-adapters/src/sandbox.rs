//! Sandboxes.

pub mod thread;
