//! Fantail driven from outside, as its users and its peers do.
//!
//! Each test has a [`Workdir`] of its own, starts a real [`Host`] in it with the
//! plugins that the build left beside the test, plays the [`peers`], and reads
//! what came out: files, lines, requests, the log, the exit status and the ledger.
//!
//! Everything here panics when something is not as it should be: that is how a
//! test fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "a panic is a failed test, whose output says why"
)]

mod command;
pub mod events;
pub mod expect;
pub mod format_cases;
mod host;
mod ledger;
pub mod load;
pub mod outside;
pub mod peers;
mod small_disk;
mod workdir;

pub use command::{Done, binary, build_dir, command, fantail, feed, run, status};
pub use host::{Ended, Host, Starting};
pub use ledger::{Counts, ExporterLedger, InputLedger};
pub use small_disk::SmallDisk;
pub use workdir::{IN, OUT, Workdir, data, repository};

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything that must happen may take. Far above what it takes: the
/// machine may be busy with the other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until `look` finds something.
///
/// # Panics
///
/// When [`PATIENCE`] is over; `what` says what did not happen.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How much memory of a process is resident, and how much was at most, in KiB.
///
/// # Panics
///
/// When it has ended.
pub fn memory_kib(pid: u32) -> (u64, u64) {
    living_memory_kib(pid).expect("the process runs")
}

/// The same; `None` when the process has ended.
pub fn living_memory_kib(pid: u32) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        // Who has ended and is not waited for has no memory.
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_end_matches("kB").trim().parse().ok()
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}
