//! From an event to a payload: a worker's instances of the format plugins, each
//! with the batch that it writes to.

mod stage;

pub use stage::{BatchLimits, FormatSource, Stage, StagePlan};
