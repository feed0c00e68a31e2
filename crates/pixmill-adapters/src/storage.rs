//! Storages.

pub mod disk;
