//! Storages.

#[cfg(feature = "buckets")]
pub mod bucket;
pub mod cloudinary;
pub mod disk;
