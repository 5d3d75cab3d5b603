//! Fantail's host, in the order of an event's path through it:
//! input -> decode -> filter -> format -> queue -> driver.

#![deny(unsafe_code)]

pub mod config;
pub mod decode;
pub mod driver;
pub mod event;
pub mod filter;
pub mod plugin;
pub mod queue;
pub mod telemetry;
pub mod text;
