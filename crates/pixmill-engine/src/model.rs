//! The words of pixmill and the states that requests and images go through. Knows no port.

pub mod event;
pub mod following;
pub mod id;
pub mod image;
pub mod key;
pub mod lease;
pub mod recipe;
pub mod request;
pub mod row;
pub mod source;
pub mod time;
pub mod trace;
pub mod transition;
