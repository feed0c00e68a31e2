//! Recompresses pictures: bytes and a recipe in, smaller bytes out.
//!
//! A pure function: the same build, input and recipe give the same bytes. No async, network,
//! files, environment or clock; whoever calls it decides on which thread it runs and for how long.

mod color;
mod container;
mod decode;
mod encode;
mod error;
pub mod jpeg;
mod judge;
mod limits;
mod markers;
mod memory;
mod metadata;
mod orientation;
mod plan;
mod probe;
mod raster;
mod recipe;
mod recompress;
mod resize;
mod sniff;
mod target;

pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use probe::{Probe, probe};
pub use recipe::{Background, Format, KeepMetadata, OutputFormat, Recipe, Score};
pub use recompress::{Recompressed, Workspace, judge, recompress};
pub use sniff::SourceFormat;
