//! The rooms wired together: input -> decode -> filter -> format -> queue -> driver.

mod build;
mod lane;
mod observer;
mod run;

pub use build::{BuildError, Pipeline};
pub use lane::{Lane, LanePlan};
pub use observer::{ExporterStatus, Figures, Observer, QueueFigures};
pub use run::{Ended, Signal, run};
