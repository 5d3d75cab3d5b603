//! Dead letters: payloads that are not tried again, kept until somebody replays or drops them.
//!
//! # Promises
//!
//! * Each exporter with `dead_letters = keep` has a directory, `STATE_DIR/dead-letters/NAME`, which
//!   is a [spool]: what has been put in is synced, and survives whatever ends the
//!   host. It never takes more than `dead_letters_max_size`; what does not fit is counted
//!   as `not_kept` and told of.
//! * A letter has a number, its *id*, for as long as it lies there: the spool's sequence number.
//! * A letter that is replayed stays until it has been delivered, or lies there once more, under
//!   another id. So nothing is lost when the host ends meanwhile, and it may be delivered again.
//!
//! # What is kept
//!
//! The record's payload is the payload, its time is when that was read, and its label is an
//! [`Envelope`]: a line of JSON, then the payload's own label.
//!
//! # Who does what
//!
//! The exporter's thread puts letters in and replays them; the control thread drops them, and writes
//! down which are to be replayed. Both go through [`DeadLetters`], one at a time; the exporter
//! waits for a drop no longer than it takes to read the directory. Whoever only wants to see letters reads the files
//! ([`look`]), whether a host has them open or not, and holds nothing up.
//!
//! # Left out
//!
//! Nothing goes by itself: a full directory stays full.

mod envelope;
mod letters;
pub mod look;
mod store;

use std::path::{Path, PathBuf};

pub use envelope::Envelope;
pub use letters::{DeadLetters, Unkept};
pub use store::{Letter, Wanted};

use crate::spool;

/// The directory of an exporter's dead letters, named as its spool is.
pub fn directory(state_dir: &Path, exporter: &str) -> PathBuf {
    parent(state_dir).join(spool::directory_name(exporter))
}

/// Where the directories of all exporters are.
pub fn parent(state_dir: &Path) -> PathBuf {
    state_dir.join("dead-letters")
}

#[cfg(test)]
mod tests;
