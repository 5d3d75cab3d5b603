//! The rooms wired together: input -> decode -> filter -> format -> queue -> driver.

mod build;
mod entrances;
mod exporter;
mod handle;
mod lane;
mod leave;
mod observer;
mod order;
mod readers;
mod reload;
mod run;
mod take_over;

pub use build::{BuildError, Pipeline, workers};
pub use handle::{Handle, Stage};
pub use lane::{Lane, LanePlan, LaneUpdate};
pub use observer::{ExporterStatus, Figures, Observer, QueueFigures};
pub use order::{Orders, Outcome, Pending, Signal};
pub use reload::{Rebuild, Reread};
pub use run::{Ended, run};
