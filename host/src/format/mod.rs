//! From an event to a payload: a worker's instances of the format plugins, each
//! with the batch that it writes to.

mod label;
mod stage;

pub use label::{Here, Label};
pub use stage::{BatchLimits, Closed, FormatSource, Stage, StagePlan};
