//! Counts events: the statistics of every metric, by group.
//!
//! A metric has one *series* for itself and one for each group that `group_by`
//! makes; a series has one [`Distribution`] for each *value*: `duration` and the
//! metric's fields. Promises:
//!
//! * Counting an event takes no lock, no system call and, once its series are
//!   known, no memory. A [`Counter`] (one for each lane) counts into a shard of its
//!   own, which it takes from its slot at the first event of a read and puts back
//!   at the read's end.
//! * A reader takes the shards out of the slots and merges them into the totals,
//!   which only readers share: no counter ever waits for a reader, and a reader
//!   waits for one read at most. Every event is in the totals once.
//! * Peers choose the values that make groups. So there is a bound on the series of
//!   each metric, what is beyond it is counted in one overflow series, and hashes
//!   are seeded at random.
//!
//! Left out: sockets, pages and tables of numbers that are sent anywhere. This room
//! writes the texts ([`dump`], [`openmetrics`]); it does no IO, and has neither a
//! clock nor a thread.

// What is counted.
pub mod plan;
pub mod group;
mod field;

// Where it is counted.
mod sketch;
pub mod distribution;
pub mod series;
mod registry;
mod metric;
mod shard;
pub mod counter;

// Who reads it.
pub mod totals;
pub mod dump;
pub mod openmetrics;

pub use counter::Counter;
pub use distribution::Distribution;
pub use plan::MetricPlan;
pub use totals::{MetricView, Statistics, View};

#[cfg(test)]
mod tests;
