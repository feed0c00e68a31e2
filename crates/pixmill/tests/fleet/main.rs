//! Several workers on one state: killed and frozen, on embedded defaults and on the stack that people run today (Redis,
//! MongoDB and Cloudinary), and what befalls those backends.
#![cfg(unix)]

mod api;
#[path = "../caller/mod.rs"]
mod caller;
#[path = "../api/cases.rs"]
mod cases;
mod crash;
mod faults;
mod ledger;
mod neighbours;
#[path = "../api/operating.rs"]
mod operating;
mod papers;
mod refusals;
#[path = "../seeded/mod.rs"]
mod seeded;
#[path = "../server/mod.rs"]
mod server;
#[path = "../../../pixmill-adapters/src/records/mongodb/tests/shapes.rs"]
mod shapes;
mod shop;
mod stack;
mod tables;
#[path = "../upload/mod.rs"]
mod upload;
mod uploads;
#[cfg(target_os = "linux")]
mod watching;
