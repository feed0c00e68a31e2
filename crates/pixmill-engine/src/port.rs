//! What the engine needs of the world: one small trait each.

pub mod boards;
pub mod clock;
pub mod diagnose;
pub mod documents;
pub mod errands;
pub mod origin;
pub mod originals;
pub mod queue;
pub mod receiver;
pub mod records;
pub mod sandbox;
pub mod storage;
pub mod traces;
