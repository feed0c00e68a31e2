//! Records.

pub mod mongodb;
pub mod sqlite;
