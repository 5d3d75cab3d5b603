#![doc = include_str!("../README.md")]

pub mod list;
mod time;

pub use list::List;
pub use time::Timestamp;
