//! The other ends: whoever sends events, and whoever receives payloads.

pub mod dovecot;
mod http;
mod lines;
mod stats_writer;
mod web;

pub use http::{HttpSink, Reply, Request};
pub use lines::{LineSink, SilentSink, send_tcp, send_unix};
pub use stats_writer::StatsClient;
pub use web::{Page, get, get_with, web};
