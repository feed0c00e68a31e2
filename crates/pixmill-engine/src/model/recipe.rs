//! What to do to each image: the codec's own words, named here so that who knows the engine need not know the codec.

pub use pixmill_codec::{Format, Limits, OutputFormat, Recipe, Recompressed};
