//! Records.

#[cfg(feature = "mongodb")]
pub mod mongodb;
pub mod sqlite;
