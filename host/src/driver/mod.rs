//! From the queue to the driver plugin: one thread for each exporter.
//!
//! The thread owns everything that a driver must not: when to try again, when to
//! make a new instance, what to count. A driver only delivers, or says why not.

mod backoff;
mod breaker;
mod burial;
mod delivery;
mod exporter;
mod pace;
mod trials;

pub use backoff::{Backoff, Pauses};
pub use breaker::{Breaker, Recovered};
pub use burial::Burial;
pub use exporter::{Control, DriverSource, Exporter, ExporterThread, RetryPlan};
pub use trials::RetryLimits;
