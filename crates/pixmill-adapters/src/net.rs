//! The network, and the local files that stand in for it, under one policy: what may be called or opened.

pub(crate) mod backend;
pub mod files;
pub mod guard;
pub mod headers;
pub mod origin;
pub mod receiver;
pub(crate) mod retry_after;
pub mod talk;
pub mod trust;
