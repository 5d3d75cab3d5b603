//! What the host says of itself: its log and its counts.

pub mod circuit;
pub mod histogram;
pub mod ledger;
pub mod log;
pub mod meter;
