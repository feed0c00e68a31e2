//! Pixels to bytes, one file a format.

pub(crate) mod avif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;
