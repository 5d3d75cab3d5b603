//! Fantail's host, in the order of an event's path through it:
//! input -> decode -> filter -> format -> queue -> driver.

#![deny(unsafe_code)]

// Leaves: known to every room, knowing none.
pub mod event;
pub mod telemetry;
pub mod socket;
pub mod inherited;
pub mod http;
pub mod serve;

// The way of an event.
pub mod input;
pub mod decode;
pub mod filter;
pub mod statistics;
pub mod route;
pub mod format;
pub mod queue;
pub mod spool;
pub mod dead_letters;
pub mod driver;

// What makes the rooms into a host.
pub mod config;
pub mod plugin;
pub mod control;
pub mod web;
pub mod pipeline;
pub mod cli;
pub mod exit_code;
