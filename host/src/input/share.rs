//! What a session's open events take of its input's `open_events_max_size`.
//!
//! The sum over an input's sessions is in its ledger, which outlives a change of the
//! input's settings. A session looks at it before each read that it is fed, and brings its
//! own part up to date afterwards: nothing is shared for single events. So sessions on
//! several threads can exceed the size together, each by what one read can open.

use std::sync::Arc;

use crate::{decode::Decoder, telemetry::ledger::InputLedger};

/// One session's part of the bytes of its input's open events.
#[derive(Debug)]
pub(super) struct Share {
    ledger: Arc<InputLedger>,
    /// All sessions' bytes together, at most.
    bytes_max: usize,
    /// What the ledger has of ours.
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub(super) fn new(ledger: Arc<InputLedger>, bytes_max: usize) -> Self {
        Share { ledger, bytes_max, bytes: 0 }
    }

    /// Allows the decoder what it has and what the others have left over.
    pub(super) fn lend(&self, decoder: &mut Decoder) {
        let left = self.bytes_max.saturating_sub(self.ledger.open_bytes());
        decoder.set_open_allowed(self.bytes.saturating_add(left));
    }

    /// Brings the ledger up to date with what the decoder has now.
    pub(super) fn settle(&mut self, decoder: &Decoder) {
        self.change(decoder.open_bytes());
    }

    fn change(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.ledger.open_bytes_changed(self.bytes, bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Share {
    /// Gives everything back: the session is dropped, and its open events with it.
    fn drop(&mut self) {
        self.change(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Share;
    use crate::{
        decode::{Decoder, Protocol, Reason},
        event::OpenLimits,
        telemetry::ledger::InputLedger,
    };

    struct Peer {
        decoder: Decoder,
        share: Share,
        next: u64,
    }

    impl Peer {
        fn new(ledger: &Arc<InputLedger>, bytes_max: usize) -> Self {
            let limits = OpenLimits::default();
            let mut decoder = Decoder::new(Protocol::StatsWriter, limits, &Arc::default());
            decoder.decode(b"VERSION\tstats-client\t4\t0").unwrap();
            Peer { decoder, share: Share::new(Arc::clone(ledger), bytes_max), next: 1 }
        }

        /// A read of `lines`: why each of them was refused, if it was.
        fn read<const N: usize>(&mut self, lines: [&str; N]) -> [Option<Reason>; N] {
            self.share.lend(&mut self.decoder);
            let reasons = lines
                .map(|line| self.decoder.decode(line.as_bytes()).err().map(|error| error.reason()));
            self.share.settle(&self.decoder);
            reasons
        }

        /// Opens an event of about 1 KB in a read of its own.
        fn begin(&mut self) -> bool {
            let pad = "x".repeat(1_000);
            let line = format!("BEGIN\t{}\t0\t0\t1700000000\t0\tne\tSpad\t{pad}", self.next);
            self.next += 1;
            match self.read([&line]) {
                [None] => true,
                [Some(reason)] => {
                    assert_eq!(reason, Reason::NoRoom);
                    false
                }
            }
        }
    }

    #[test]
    fn sessions_share_what_their_input_may_keep() {
        const MAX: usize = 20_000;
        let ledger = Arc::new(InputLedger::default());
        let (mut one, mut other) = (Peer::new(&ledger, MAX), Peer::new(&ledger, MAX));
        assert!(other.begin());
        let opened = (0..100).take_while(|_| one.begin()).count();
        assert!((10..20).contains(&opened), "{opened}");
        // One after the other they never exceed it.
        let full = ledger.open_bytes();
        assert!((MAX - 2_000..=MAX).contains(&full), "{full}");
        assert_eq!(one.decoder.open_bytes() + other.decoder.open_bytes(), full);

        // The other one finds no room either; what it has, it can still use and end.
        assert!(!other.begin());
        let update = format!("UPDATE\t1\t0\t1700000000\t0\tne\tSpad\t{}", "y".repeat(2_000));
        assert_eq!(other.read([&update]), [Some(Reason::NoRoom)]);
        let use_and_end = ["EVENT\t0\t1\t0\t1700000000\t0\tnchild", "END\t1"];
        assert_eq!(other.read(use_and_end), [None, None]);
        assert_eq!(ledger.open_bytes(), one.decoder.open_bytes());

        // What one gives back is there for the other.
        drop(one);
        assert_eq!(ledger.open_bytes(), 0);
        assert!(other.begin());
        drop(other);
        assert_eq!(ledger.open_bytes(), 0);
    }

    #[test]
    fn a_smaller_size_costs_nobody_what_is_open() {
        let ledger = Arc::new(InputLedger::default());
        let mut old = Peer::new(&ledger, 20_000);
        assert!(old.begin() && old.begin() && old.begin());
        // As after a reload.
        let mut new = Peer::new(&ledger, 1_500);
        assert!(!new.begin());
        assert_eq!(old.read(["END\t1", "END\t2", "END\t3"]), [None; 3]);
        assert!(new.begin());
    }
}
