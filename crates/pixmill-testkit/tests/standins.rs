//! What tests stand on: servers of their own, and stand-ins for services that can't be started here.

mod cloudinary;
mod services;
mod simulation;
