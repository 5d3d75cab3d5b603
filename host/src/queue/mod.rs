//! Between format and driver: batches of payloads, waiting for one exporter.
//!
//! Each exporter has one queue. Every worker puts its own batches in, the
//! exporter's thread takes them out. A queue is bounded by the bytes of the
//! payloads in it; what happens to a batch that does not fit is `queue_full`.

mod batch;
mod disk;
mod memory;
mod outlet;
mod receipt;
mod signal;
mod spooler;
mod trouble;
mod wake;

pub use batch::Batch;
pub use disk::{Disk, DiskPlan, DiskUse};
pub use memory::{Producer, Pushed, Queue, QueueFull, SPARE_MEMORY_MAX};
pub use outlet::{Outlet, Wants};
pub use receipt::{Promise, Receipt, Standing};
pub use spooler::{DISK_MEMORY_MAX, Opening, Spooler};
pub use wake::Wake;
