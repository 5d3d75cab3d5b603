//! What a queue on disk consists of beside the spool: what its two threads tell each other.
//!
//! Batches come into the queue's memory as in any other. A [`Spooler`](super::Spooler), a thread of
//! its own, moves them to the spool: all of them and synced if the queue is `durable`; if it is
//! `spill`, the oldest ones when the memory is nearly full. The exporter's thread takes them out at
//! the [`Outlet`](super::Outlet).
//!
//! The order is kept: what is in the spool is older than what the spooler holds, and that is
//! older than what is in memory. For `spill`, where both threads take from memory, each does so
//! under a lock that it keeps until the batch is where the other one looks.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{Batch, signal::Signal};
use crate::spool::{Amount, Gauge, SpoolFigures};

/// How a queue uses the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskUse {
    /// For what does not fit into memory.
    Spill,
    /// For everything, synced before anybody is told that it is there.
    Durable,
}

/// Where a queue's spool is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// The spool's directory.
    pub directory: PathBuf,
    /// What all its files may take, in bytes.
    pub max_size: u64,
    /// How it is used.
    pub usage: DiskUse,
}

/// The part of a queue that lies on disk, as its threads share it.
#[derive(Debug)]
pub struct Disk {
    /// Where it is.
    pub plan: DiskPlan,
    pub(super) turn: Mutex<Turn>,
    /// The memory is nearly full.
    pub(super) pressure: Signal,
    /// There is something to be read in the spool.
    pub(super) published: Signal,
    /// There may be room in the spool.
    pub(super) room: Signal,
    /// The largest batch that found no room in memory since the spooler looked last, in bytes.
    wanted: AtomicUsize,
    holds: Gauge,
    is_full: AtomicBool,
    drains: AtomicBool,
    gives_up: AtomicBool,
}

/// What the spooler holds between memory and spool: under a lock, which whoever takes a batch
/// out of the memory of a `spill` queue keeps meanwhile.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// A batch that did not fit into the spool.
    pub(super) held: Option<Batch>,
    /// A batch that the exporter could not deliver before it ended.
    pub(super) given_back: Option<Batch>,
}

impl Disk {
    /// Nothing has been opened yet.
    pub fn new(plan: DiskPlan) -> Arc<Self> {
        Arc::new(Disk {
            holds: Gauge::new(plan.max_size),
            plan,
            turn: Mutex::default(),
            pressure: Signal::new(),
            published: Signal::new(),
            room: Signal::new(),
            wanted: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            gives_up: AtomicBool::new(false),
        })
    }

    /// What waits on disk.
    pub fn figures(&self) -> SpoolFigures {
        self.holds.figures()
    }

    pub(super) fn now_has(&self, amount: Amount) {
        self.holds.set(amount);
    }

    pub(super) fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the last batch found no room on the disk.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn is_now_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Has the spooler make room in memory for a batch of so many bytes.
    pub(super) fn make_room_for(&self, bytes: usize) {
        self.wanted.fetch_max(bytes, Ordering::Release);
        self.pressure.call();
    }

    /// How much room somebody has asked for since this was called last, in bytes.
    pub(super) fn take_wanted(&self) -> usize {
        self.wanted.swap(0, Ordering::Acquire)
    }

    /// Has the spooler move everything that is in memory to the spool, and end.
    pub(super) fn drain(&self) {
        self.drains.store(true, Ordering::Release);
        self.pressure.call();
        self.room.call();
    }

    pub(super) fn drains(&self) -> bool {
        self.drains.load(Ordering::Acquire)
    }

    /// Has the spooler end with what it has in hand.
    pub(super) fn give_up(&self) {
        self.gives_up.store(true, Ordering::Release);
        self.drain();
    }

    pub(super) fn gives_up(&self) -> bool {
        self.gives_up.load(Ordering::Acquire)
    }
}
