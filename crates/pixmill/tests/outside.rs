//! The binary from outside. All files of tests are modules of one test binary, for linking is what a binary costs; those
//! of rules (`tidy`) and of whole fleets (`fleet`) are apart.

#[cfg(unix)]
mod api;
#[cfg(unix)]
mod backup;
#[cfg(unix)]
mod caller;
#[cfg(unix)]
#[cfg_attr(not(feature = "otlp"), allow(dead_code))]
#[path = "api/cases.rs"]
mod cases;
mod check;
#[cfg(all(target_os = "linux", feature = "failpoints"))]
mod clock;
#[cfg(all(unix, feature = "failpoints"))]
mod crash;
#[cfg(unix)]
mod dashboard;
mod doctor;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(unix)]
mod handbook;
mod help;
#[cfg(unix)]
mod hostile;
mod image;
mod lean;
#[cfg(unix)]
mod operating;
#[cfg(unix)]
mod originals;
mod origins;
mod run;
#[cfg(all(target_os = "linux", feature = "failpoints"))]
mod sandbox;
#[cfg(unix)]
mod seeded;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod setup;
#[cfg(all(unix, feature = "failpoints"))]
mod upload;
#[cfg(unix)]
mod watching;
