//! Pixels to bytes, one file a format.

#[cfg(feature = "avif")]
pub(crate) mod avif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;
