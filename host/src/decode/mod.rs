//! From bytes to events: what each input's peers speak, without any IO.

pub mod stats_writer;
