//! The network, and the local files that stand in for it, under one policy: what may be called or opened.

pub mod files;
pub mod guard;
pub mod origin;
pub mod receiver;
