//! What a host is told from outside, and how whoever told it hears what became of it.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, unbounded};

use crate::{config::MetricConfig, queue::Wake};

/// What a host can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Stop: deliver what was accepted, within `shutdown_timeout`.
    Stop,
    /// Stop as well, but let those who are connected find a successor first, which has the
    /// sockets already.
    Leave,
    /// Open files and connections anew.
    Reopen,
    /// Read the configuration again and go on with it.
    Reload,
    /// Count, and export, what matches this metric as well, until it is removed, or
    /// the configuration has one of its name itself: it outlives a reload.
    AddMetric(Box<MetricConfig>),
    /// Do without the metric of this name. One of the configuration comes back with
    /// the next reload.
    RemoveMetric(String),
}

/// A signal, and who wants to know what became of it.
#[derive(Debug)]
pub(super) struct Order {
    signal: Signal,
    answer: Option<Answerer>,
}

/// What became of an order: done, or why not, a line each.
pub type Outcome = Result<(), Vec<String>>;

#[derive(Debug)]
struct Answerer {
    sender: Sender<Outcome>,
    wake: Wake,
}

/// An outcome to come.
#[derive(Debug)]
pub struct Pending(Receiver<Outcome>);

/// The way to a host.
#[derive(Clone, Debug)]
pub struct Orders {
    sender: Sender<Order>,
    receiver: Receiver<Order>,
}

impl Default for Orders {
    fn default() -> Self {
        let (sender, receiver) = unbounded();
        Orders { sender, receiver }
    }
}

impl Orders {
    /// Tells the host something, and does not wait for it.
    pub fn tell(&self, signal: Signal) {
        // There is a receiver: our own.
        let _ = self.sender.send(Order { signal, answer: None });
    }

    /// Tells the host something. `wake` is called when the outcome is there.
    pub fn ask(&self, signal: Signal, wake: &Wake) -> Pending {
        let (sender, receiver) = bounded(1);
        let answer = Some(Answerer { sender, wake: wake.clone() });
        let _ = self.sender.send(Order { signal, answer });
        Pending(receiver)
    }

    /// Has `obey` do what has been told, for tests without a host.
    #[cfg(test)]
    pub(crate) fn obey(&self, obey: impl Fn(Signal) -> Outcome) {
        while let Ok(order) = self.receiver.try_recv() {
            let outcome = obey(order.signal.clone());
            order.done(outcome);
        }
    }

    /// What has been told; for the host.
    pub(super) fn receiver(&self) -> &Receiver<Order> {
        &self.receiver
    }
}

impl Order {
    /// What is to be done.
    pub(super) fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Says what became of it.
    pub(super) fn done(self, outcome: Outcome) {
        if let Some(Answerer { sender, wake }) = self.answer {
            // Who asked may have gone.
            let _ = sender.send(outcome);
            wake.wake();
        }
    }
}

impl Pending {
    /// The outcome, if it is there.
    pub fn get(&self) -> Option<Outcome> {
        match self.0.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(vec!["the host has ended".into()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Orders, Signal};
    use crate::queue::Wake;

    #[test]
    fn whoever_asks_hears_the_outcome() {
        let orders = Orders::default();
        let wake = Wake::new().unwrap();
        orders.tell(Signal::Stop);
        let pending = orders.ask(Signal::Reopen, &wake);
        let stop = orders.receiver().try_recv().unwrap();
        assert_eq!(stop.signal(), &Signal::Stop);
        stop.done(Ok(()));
        let reopen = orders.receiver().try_recv().unwrap();
        assert_eq!((reopen.signal(), pending.get()), (&Signal::Reopen, None));
        reopen.done(Ok(()));
        assert_eq!(pending.get(), Some(Ok(())));
        let pending = orders.ask(Signal::Reopen, &wake);
        drop(orders.receiver().try_recv());
        assert!(pending.get().unwrap().is_err());
    }
}
