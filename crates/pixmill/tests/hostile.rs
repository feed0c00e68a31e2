//! Hostile clients, pages, receivers and servers, and an unlucky operator, against the real binary: each harms itself
//! alone.
#![cfg(unix)]

#[path = "hostile/browsers.rs"]
mod browsers;
mod caller;
#[path = "hostile/connections.rs"]
mod connections;
#[path = "hostile/disks.rs"]
mod disks;
#[path = "hostile/keys.rs"]
mod keys;
mod server;
#[path = "hostile/terminal.rs"]
mod terminal;
#[path = "hostile/uploads.rs"]
mod uploads;
#[path = "hostile/wire.rs"]
mod wire;
