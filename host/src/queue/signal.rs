//! How one thread of a queue calls another, without anything to hand over.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Wakes one thread, however often it is called.
#[derive(Debug)]
pub(super) struct Signal {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Signal {
    pub(super) fn new() -> Self {
        let (sender, receiver) = bounded(1);
        Signal { sender, receiver }
    }

    pub(super) fn call(&self) {
        // When there is a call already, one is enough.
        let _ = self.sender.try_send(());
    }

    pub(super) fn calls(&self) -> &Receiver<()> {
        &self.receiver
    }

    /// Waits for a call, at most so long.
    pub(super) fn wait(&self, patience: Duration) {
        let _ = self.receiver.recv_timeout(patience);
    }
}
