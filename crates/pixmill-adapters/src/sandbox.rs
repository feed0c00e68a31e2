//! Pictures are decoded and encoded in child processes of the same program, so that one that crashes, hangs or bloats
//! ends only itself.
//!
//! [`process`] is the sandbox as the engine sees it; [`inside`] is what runs in a child. They talk over pipes, as
//! [`wire`] says it. [`walls`] are what keeps a child in.

mod child;
mod death;
#[cfg(feature = "failpoints")]
mod harm;
mod inbox;
pub mod inside;
mod nursery;
pub mod process;
mod time;
mod walls;
mod wire;
