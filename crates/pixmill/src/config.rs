//! From raw to resolved: flags, then environment, then `pixmill.toml`, then defaults.
//!
//! The command line's own definition is the one list of options: what it calls `--a-b` is `PIXMILL_A_B` in the
//! environment and `a_b` in the file, with the same meaning, bounds and complaint. No other module reads the environment.

mod bounds;
pub(crate) mod environment;
pub(crate) mod file;
mod layers;
pub(crate) mod limits;
mod names;
pub(crate) mod network;
pub(crate) mod recipe;
pub(crate) mod run;
mod setting;
pub(crate) mod talk;

pub(crate) use layers::{Layers, Misuse, parse};

#[cfg(test)]
mod tests;
