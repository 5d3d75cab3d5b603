//! How much is in a spool, for those who watch it from other threads.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Amount;

/// What was in a spool when somebody looked last.
#[derive(Debug)]
pub struct Gauge {
    payloads: AtomicU64,
    bytes: AtomicU64,
    bytes_max: AtomicU64,
}

/// What is in a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolFigures {
    /// Payloads that are not acknowledged: neither delivered nor taken out.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the spool's files may take, in bytes.
    pub bytes_max: u64,
}

impl Gauge {
    /// Nothing, in files that may take so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Gauge {
            payloads: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max: AtomicU64::new(bytes_max),
        }
    }

    /// There is so much now.
    pub fn set(&self, amount: Amount) {
        self.payloads.store(amount.payloads, Ordering::Relaxed);
        self.bytes.store(amount.bytes, Ordering::Relaxed);
    }

    /// The files may take so many bytes now.
    pub fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// What there is.
    pub fn figures(&self) -> SpoolFigures {
        SpoolFigures {
            payloads: self.payloads.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_max: self.bytes_max.load(Ordering::Relaxed),
        }
    }
}
