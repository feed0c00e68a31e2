//! Hostile clients, pages, receivers and servers, and an unlucky operator, against the real binary: each harms itself
//! alone.

mod browsers;
mod connections;
mod disks;
mod fairness;
mod forms;
mod keys;
mod terminal;
mod uploads;
#[cfg(target_os = "linux")]
mod wide;
mod wire;
