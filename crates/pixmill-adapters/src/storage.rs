//! Storages.

pub mod bucket;
pub mod cloudinary;
pub mod disk;
