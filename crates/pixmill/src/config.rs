//! From raw to resolved: flags, then environment, then a file, then defaults.
//!
//! The command line's own definition is the one list of options: what it calls `--a-b` is `PIXMILL_A_B` in the
//! environment and `a_b` in the file, with the same meaning, bounds and complaint. No other module reads the environment.

pub(crate) mod bounds;
pub(crate) mod catalogue;
pub(crate) mod client;
pub(crate) mod environment;
mod file;
pub(crate) mod headers;
mod layers;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod logs;
mod names;
pub(crate) mod network;
pub(crate) mod options;
mod parts;
pub(crate) mod queue;
pub(crate) mod recipe;
pub(crate) mod records;
pub(crate) mod run;
mod said;
pub(crate) mod secret;
pub(crate) mod serve;
mod setting;
mod stack;
pub(crate) mod state;
pub(crate) mod storage;
pub(crate) mod talk;
pub(crate) mod traces;
pub(crate) mod webhook;

pub(crate) use layers::{Layers, Misuse, Told, parse};
pub(crate) use said::{Said, said};

#[cfg(test)]
pub(crate) mod pages;
#[cfg(test)]
mod tests;
