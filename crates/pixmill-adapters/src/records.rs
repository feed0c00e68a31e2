//! Records.

pub mod sqlite;
