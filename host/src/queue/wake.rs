//! How an exporter's thread tells a worker that there is room again.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

/// Wakes a worker out of its wait: an eventfd that the worker polls.
#[derive(Clone, Debug)]
pub struct Wake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event: OwnedFd,
    /// Set while a wake-up is on its way, so that many cost one system call.
    pending: AtomicBool,
}

impl Wake {
    /// A new waker.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Wake { shared: Arc::new(Shared { event, pending: AtomicBool::new(false) }) })
    }

    /// Makes the descriptor readable.
    pub fn wake(&self) {
        if !self.shared.pending.swap(true, Ordering::AcqRel) {
            // A full counter is readable all the same; nothing else can fail.
            let _ = rustix::io::write(&self.shared.event, &1_u64.to_ne_bytes());
        }
    }

    /// Makes the descriptor silent again; called by the woken worker before it
    /// looks at what there is to do.
    pub fn clear(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.shared.event, &mut count);
        // A swap, not a store: what the worker reads next must not be older than
        // what a waker wrote before it found a wake-up pending.
        self.shared.pending.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}
