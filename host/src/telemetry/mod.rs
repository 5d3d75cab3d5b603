//! What the host says of itself: its log and its counts.

pub mod ledger;
pub mod log;
