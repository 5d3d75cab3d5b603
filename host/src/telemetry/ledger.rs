//! The ledger: where every line and every payload is, in numbers that balance.
//!
//! For an input, at every moment: `received = decoded + rejected`, counted in
//! lines; of the decoded ones, `events` said that something happened (the others
//! open, change or close contexts). For an exporter: `matched = delivered +
//! dropped + queued`, counted in payloads.
//!
//! Workers count locally and add here once for every read, so the sums move in
//! steps; each step moves both sides of its equation.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts of one input.
#[derive(Debug, Default)]
pub struct InputLedger {
    received: AtomicU64,
    events: AtomicU64,
    connections: AtomicU64,
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

/// What a session counted since it last added to its input's ledger.
#[derive(Debug, Default)]
pub struct InputCounts {
    /// Lines that arrived, the handshake aside.
    pub received: u64,
    /// Events among the decoded ones.
    pub events: u64,
    /// Lines that were not understood, by reason.
    pub rejected: Vec<(&'static str, u64)>,
}

/// An input's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFigures {
    /// Lines that arrived, the handshake aside.
    pub received: u64,
    /// Lines that were understood.
    pub decoded: u64,
    /// Events among the decoded ones.
    pub events: u64,
    /// Connections (or files) so far.
    pub connections: u64,
    /// Lines that were not understood, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

impl InputCounts {
    /// Counts a rejected line, which is received too.
    pub fn reject(&mut self, reason: &'static str) {
        self.received += 1;
        match self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.rejected.push((reason, 1)),
        }
    }
}

impl InputLedger {
    /// Counts a connection or a file.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what a session counted, and empties its counts.
    pub fn add(&self, counts: &mut InputCounts) {
        // Under the lock the two sides of the equation move together.
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        self.received.fetch_add(std::mem::take(&mut counts.received), Ordering::Relaxed);
        self.events.fetch_add(std::mem::take(&mut counts.events), Ordering::Relaxed);
        for (reason, count) in counts.rejected.drain(..) {
            *rejected.entry(reason).or_default() += count;
        }
    }

    /// The counts now.
    pub fn figures(&self) -> InputFigures {
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let received = self.received.load(Ordering::Relaxed);
        InputFigures {
            received,
            decoded: received - rejected.values().sum::<u64>(),
            events: self.events.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            rejected,
        }
    }
}

/// Why a payload was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The format could not write the event.
    Format,
    /// The queue was full and the configuration says to drop.
    QueueFull,
    /// The driver gave it up: its peer will never take it.
    Refused,
    /// It brought the driver down, again and again.
    Panic,
    /// It was still queued when `shutdown_timeout` had passed.
    Shutdown,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 5] = [
        DropReason::Format,
        DropReason::QueueFull,
        DropReason::Refused,
        DropReason::Panic,
        DropReason::Shutdown,
    ];

    /// The word for it, in counts and logs.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Format => "format",
            DropReason::QueueFull => "queue_full",
            DropReason::Refused => "refused",
            DropReason::Panic => "panic",
            DropReason::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts of one exporter.
#[derive(Debug, Default)]
pub struct ExporterLedger {
    matched: AtomicU64,
    delivered: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    retries: AtomicU64,
}

/// An exporter's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterFigures {
    /// Payloads that metrics asked for.
    pub matched: u64,
    /// Payloads that the driver has delivered.
    pub delivered: u64,
    /// Payloads that were dropped, by reason; only reasons that occurred.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Payloads that are in memory, or with the driver.
    pub queued: u64,
    /// How often a batch had to be sent again.
    pub retries: u64,
}

impl ExporterLedger {
    /// Counts payloads that metrics asked for.
    pub fn matched(&self, count: u64) {
        self.matched.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts delivered payloads.
    pub fn delivered(&self, count: u64) {
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts dropped payloads.
    pub fn dropped(&self, reason: DropReason, count: u64) {
        self.dropped[reason as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a batch that has to be sent again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// The payloads that are neither delivered nor dropped.
    pub fn queued(&self) -> u64 {
        self.figures().queued
    }

    /// The counts now.
    pub fn figures(&self) -> ExporterFigures {
        // The ends before the beginnings: a payload that moves on meanwhile
        // counts as queued, never as less than nothing.
        let delivered = self.delivered.load(Ordering::Acquire);
        let counts = DropReason::ALL
            .map(|reason| (reason.name(), self.dropped[reason as usize].load(Ordering::Acquire)));
        let dropped: BTreeMap<_, _> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let matched = self.matched.load(Ordering::Acquire);
        let ended = delivered + dropped.values().sum::<u64>();
        ExporterFigures {
            matched,
            delivered,
            dropped,
            queued: matched.saturating_sub(ended),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DropReason, ExporterLedger, InputCounts, InputLedger};

    #[test]
    fn an_input_balances() {
        let ledger = InputLedger::default();
        let mut counts = InputCounts { received: 5, events: 3, rejected: Vec::new() };
        counts.reject("syntax");
        counts.reject("syntax");
        counts.reject("too-long");
        ledger.add(&mut counts);
        ledger.add(&mut counts);
        let figures = ledger.figures();
        assert_eq!((figures.received, figures.decoded, figures.events), (8, 5, 3));
        assert_eq!(figures.rejected, [("syntax", 2), ("too-long", 1)].into());
    }

    #[test]
    fn an_exporter_balances() {
        let ledger = ExporterLedger::default();
        ledger.matched(10);
        ledger.delivered(6);
        ledger.dropped(DropReason::Refused, 1);
        ledger.dropped(DropReason::Shutdown, 2);
        let figures = ledger.figures();
        assert_eq!(figures.queued, 1);
        assert_eq!(figures.dropped, [("refused", 1), ("shutdown", 2)].into());
    }
}
