//! What an input is told of events that it must answer for.
//!
//! An input that acknowledges (see `http`) takes a [`Promise`] for what it has read at a time, and
//! every batch that a payload of it gets into carries a [`Receipt`]. A queue fulfils the receipts
//! of a batch once it has the batch in the way it was configured for: in memory, or safe on disk. When
//! all are fulfilled, or one was dropped without it, the promise says so and its owner is woken.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::Wake;

/// What the owner of some events waits for.
#[derive(Debug)]
pub struct Promise {
    shared: Arc<Shared>,
}

/// One batch's part in a [`Promise`].
#[derive(Debug)]
pub struct Receipt {
    shared: Arc<Shared>,
    is_fulfilled: bool,
}

/// How a promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Some receipts are on their way.
    Open,
    /// All have been fulfilled.
    Kept,
    /// None is left, and some were dropped without being fulfilled.
    Broken,
}

#[derive(Debug)]
struct Shared {
    /// Receipts that are left.
    open: AtomicUsize,
    /// Receipts that were dropped without being fulfilled.
    broken: AtomicUsize,
    wake: Wake,
}

impl Promise {
    /// A promise without receipts, which is kept; `wake` is called whenever it has become so, or
    /// broken.
    pub fn new(wake: Wake) -> Self {
        let shared = Shared { open: AtomicUsize::new(0), broken: AtomicUsize::new(0), wake };
        Promise { shared: Arc::new(shared) }
    }

    /// One more receipt, for a batch.
    pub fn receipt(&self) -> Receipt {
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        Receipt { shared: Arc::clone(&self.shared), is_fulfilled: false }
    }

    /// Whether the receipt is one of this promise.
    pub fn is_of(&self, receipt: &Receipt) -> bool {
        Arc::ptr_eq(&self.shared, &receipt.shared)
    }

    /// How it stands now. What is broken stays so.
    pub fn standing(&self) -> Standing {
        // Acquire: whoever sees that none is left sees why, too.
        if self.shared.open.load(Ordering::Acquire) > 0 {
            return Standing::Open;
        }
        match self.shared.broken.load(Ordering::Relaxed) {
            0 => Standing::Kept,
            _ => Standing::Broken,
        }
    }
}

impl Receipt {
    /// Says that the batch is where it should be.
    pub fn fulfil(mut self) {
        self.is_fulfilled = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.is_fulfilled {
            self.shared.broken.fetch_add(1, Ordering::Relaxed);
        }
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.wake.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Promise, Standing, Wake};

    #[test]
    fn a_promise_is_kept_when_all_receipts_are_fulfilled() {
        let check = |fulfilled: &[bool], expected| {
            let promise = Promise::new(Wake::new().unwrap());
            assert_eq!(promise.standing(), Standing::Kept);
            let receipts: Vec<_> = fulfilled.iter().map(|_| promise.receipt()).collect();
            for (receipt, fulfilled) in receipts.into_iter().zip(fulfilled) {
                assert_eq!(promise.standing(), Standing::Open);
                assert!(promise.is_of(&receipt));
                if *fulfilled {
                    receipt.fulfil();
                }
            }
            assert_eq!(promise.standing(), expected, "{fulfilled:?}");
        };
        check(&[], Standing::Kept);
        check(&[true], Standing::Kept);
        check(&[true, true], Standing::Kept);
        check(&[false], Standing::Broken);
        check(&[false, true], Standing::Broken);
        check(&[true, false, true], Standing::Broken);
    }
}
