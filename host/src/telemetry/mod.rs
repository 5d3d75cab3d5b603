//! What the host says of itself: its log and its counts.

pub mod histogram;
pub mod ledger;
pub mod log;
pub mod meter;
