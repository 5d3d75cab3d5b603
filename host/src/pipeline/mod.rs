//! The rooms wired together: input -> decode -> filter -> format -> queue -> driver.

mod build;
mod lane;
mod run;

pub use build::{BuildError, Figures, Observer, Pipeline};
pub use lane::{Lane, LanePlan};
pub use run::{Ended, Signal, run};
