//! The pixmill command: parses, dispatches, and says in its exit code how it went.

mod api;
mod audit;
mod backup;
mod client;
mod command;
mod config;
mod display;
#[cfg(feature = "failpoints")]
mod failpoints;
mod figures;
mod hosts;
mod last_backup;
mod logs;
mod observe;
mod paces;
mod preflight;
mod presence;
mod report;
mod service;
mod summary;
mod tally;
mod wiring;

fn main() -> std::process::ExitCode {
    // A child that decodes pictures is nothing else: it reads no configuration, and nobody's command line.
    wiring::decoding().unwrap_or_else(command::run)
}
