//! The pixmill command: parses, dispatches, and says in its exit code how it went.

mod api;
mod client;
mod command;
mod config;
mod display;
#[cfg(feature = "failpoints")]
mod failpoints;
mod logs;
mod observe;
mod report;
mod summary;
mod wiring;

fn main() -> std::process::ExitCode {
    command::run()
}
