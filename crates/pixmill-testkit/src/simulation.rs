//! pixmill in a world that a seed decides: one to four processes that run the engine's own code, over records, a queue,
//! storage, origins, receivers and a sandbox in memory, by clocks that are turned.
//!
//! Each process has a runtime of one thread whose time stands unless it is run, and processes are run in turns for short
//! stretches. So one can be killed at any await, by dropping its runtime with all that was spawned there, or be left
//! standing beyond its leases, and a seed plays the same each time. After each change in records what must hold is
//! checked, and once faults have stopped everything must come to its end.

mod checker;
mod clients;
mod foreign;
mod link;
mod net;
mod play;
mod process;
mod queue;
mod storage;
mod time;
mod window;
mod world;

pub use play::{Broken, Played, play, replay};
