//! The ledger: where every line and every payload is, in numbers that balance.
//!
//! For an input, at every moment: `received = decoded + rejected`, counted in
//! lines; of the decoded ones, `events` said that something happened (the others
//! open, change or close contexts). For an exporter: `matched + recovered + replayed =
//! delivered + dropped + dead_lettered + queued`, counted in payloads; what is recovered was in
//! the spool of a queue on disk when the host began. A dead letter that is replayed counts when
//! that has ended: until then it is one.
//!
//! Workers count locally and add here once for every read, so the sums move in
//! steps; each step moves both sides of its equation.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Counts of one input.
#[derive(Debug, Default)]
pub struct InputLedger {
    received: AtomicU64,
    events: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    turned_away: AtomicU64,
    open_bytes: AtomicUsize,
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
    /// Those of them that are open.
    pub open: u64,
    /// Connections that were closed at once, and are not among them: there were as
    /// many open as there may be.
    pub turned_away: u64,
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
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection, unless `open_max` are open: then it is counted as turned
    /// away. Whether it may come in.
    pub fn admit(&self, open_max: usize) -> bool {
        let open_max = u64::try_from(open_max).unwrap_or(u64::MAX);
        let more = |open: u64| (open < open_max).then_some(open + 1);
        let admitted = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        let counter = if admitted { &self.connections } else { &self.turned_away };
        counter.fetch_add(1, Ordering::Relaxed);
        admitted
    }

    /// Counts the end of a connection or a file.
    pub fn disconnected(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many connections and files are open.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// The bytes of the events that all sessions have open, in steps of a read.
    pub fn open_bytes(&self) -> usize {
        self.open_bytes.load(Ordering::Relaxed)
    }

    /// A session has `now` bytes of open events, and had `before`.
    pub fn open_bytes_changed(&self, before: usize, now: usize) {
        if now >= before {
            self.open_bytes.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.open_bytes.fetch_sub(before - now, Ordering::Relaxed);
        }
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
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        let received = self.received.load(Ordering::Relaxed);
        InputFigures {
            received,
            decoded: received - rejected.values().sum::<u64>(),
            events: self.events.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
            rejected: rejected.clone(),
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
    /// Its bytes on the disk were damaged.
    Damaged,
    /// It is larger than its queue on disk can take.
    TooLarge,
    /// It was tried as often as `retry_max_attempts` says.
    Attempts,
    /// It was as old as `retry_max_age` says.
    Age,
    /// It should have become a dead letter, and there was no room, or the disk failed.
    NotKept,
}

/// Why a payload is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadReason {
    /// The driver gave it up: its peer will never take it.
    Refused,
    /// It brought the driver down, again and again.
    Panic,
    /// It was tried as often as `retry_max_attempts` says.
    Attempts,
    /// It was as old as `retry_max_age` says.
    Age,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [DeadReason; 4] =
        [DeadReason::Refused, DeadReason::Panic, DeadReason::Attempts, DeadReason::Age];

    /// The word for it, in counts and logs: that of the drop that it would be.
    pub const fn name(self) -> &'static str {
        self.drop().name()
    }

    /// The reason for which such a payload is dropped where dead letters are not kept.
    pub const fn drop(self) -> DropReason {
        match self {
            DeadReason::Refused => DropReason::Refused,
            DeadReason::Panic => DropReason::Panic,
            DeadReason::Attempts => DropReason::Attempts,
            DeadReason::Age => DropReason::Age,
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 10] = [
        DropReason::Format,
        DropReason::QueueFull,
        DropReason::Refused,
        DropReason::Panic,
        DropReason::Shutdown,
        DropReason::Damaged,
        DropReason::TooLarge,
        DropReason::Attempts,
        DropReason::Age,
        DropReason::NotKept,
    ];

    /// The word for it, in counts and logs.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Format => "format",
            DropReason::QueueFull => "queue_full",
            DropReason::Refused => "refused",
            DropReason::Panic => "panic",
            DropReason::Shutdown => "shutdown",
            DropReason::Damaged => "damaged",
            DropReason::TooLarge => "too_large",
            DropReason::Attempts => "attempts",
            DropReason::Age => "age",
            DropReason::NotKept => "not_kept",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts of one exporter. Every call is one step: at no moment does anybody see
/// an equation that does not hold. (A lock, but for each read and batch, not for each
/// event.)
#[derive(Debug, Default)]
pub struct ExporterLedger {
    counts: Mutex<ExporterCounts>,
}

#[derive(Debug, Default)]
struct ExporterCounts {
    matched: u64,
    recovered: u64,
    replayed: u64,
    delivered: u64,
    dropped: [u64; DropReason::ALL.len()],
    dead_lettered: [u64; DeadReason::ALL.len()],
    retries: u64,
    settled: bool,
}

/// An exporter's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterFigures {
    /// Payloads that metrics asked for.
    pub matched: u64,
    /// Payloads that an earlier run had left on disk.
    pub recovered: u64,
    /// Dead letters that were sent again and are delivered, or dead once more.
    pub replayed: u64,
    /// Payloads that the driver has delivered.
    pub delivered: u64,
    /// Payloads that were dropped, by reason; only reasons that occurred.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Payloads that became dead letters, by reason; only reasons that occurred.
    pub dead_lettered: BTreeMap<&'static str, u64>,
    /// Payloads that are in memory, on disk, or with the driver.
    pub queued: u64,
    /// How often a batch had to be sent again.
    pub retries: u64,
}

impl ExporterLedger {
    /// Counts payloads that metrics asked for, and those of them that the format
    /// could not write.
    pub fn matched(&self, count: u64, failed: u64) {
        self.change(|counts| {
            counts.matched += count;
            counts.dropped[DropReason::Format as usize] += failed;
        });
    }

    /// Counts payloads that an earlier run had left on disk.
    pub fn recovered(&self, count: u64) {
        self.change(|counts| counts.recovered += count);
    }

    /// Counts delivered payloads.
    pub fn delivered(&self, count: u64) {
        self.change(|counts| counts.delivered += count);
    }

    /// Counts dropped payloads.
    pub fn dropped(&self, reason: DropReason, count: u64) {
        self.change(|counts| counts.dropped[reason as usize] += count);
    }

    /// Payloads that were counted as dropped had been under way, and have arrived or will be counted
    /// under another reason.
    pub fn not_dropped(&self, reason: DropReason, count: u64) {
        self.change(|counts| {
            let dropped = &mut counts.dropped[reason as usize];
            *dropped = dropped.saturating_sub(count);
        });
    }

    /// Counts payloads that are kept as dead letters.
    pub fn dead_lettered(&self, reason: DeadReason, count: u64) {
        self.change(|counts| counts.dead_lettered[reason as usize] += count);
    }

    /// Counts dead letters that were sent again: they are about to be counted once more, as
    /// delivered or dead.
    pub fn replayed(&self, count: u64) {
        self.change(|counts| counts.replayed += count);
    }

    /// Counts a batch that has to be sent again.
    pub fn retried(&self) {
        self.change(|counts| counts.retries += 1);
    }

    /// Counts what is queued now as dropped because the host ends, but for the payloads
    /// that are `kept` on disk, and nothing afterwards: whatever a thread does that did not end
    /// in time, these are the host's last words.
    pub fn settle(&self, kept: u64) {
        self.change(|counts| {
            counts.dropped[DropReason::Shutdown as usize] += counts.queued().saturating_sub(kept);
            counts.settled = true;
        });
    }

    fn change(&self, change: impl FnOnce(&mut ExporterCounts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.settled {
            change(&mut counts);
        }
    }

    /// The counts now.
    pub fn figures(&self) -> ExporterFigures {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped =
            DropReason::ALL.map(|reason| (reason.name(), counts.dropped[reason as usize]));
        let dead =
            DeadReason::ALL.map(|reason| (reason.name(), counts.dead_lettered[reason as usize]));
        ExporterFigures {
            matched: counts.matched,
            recovered: counts.recovered,
            replayed: counts.replayed,
            delivered: counts.delivered,
            dead_lettered: dead.into_iter().filter(|(_, count)| *count > 0).collect(),
            dropped: dropped.into_iter().filter(|(_, count)| *count > 0).collect(),
            queued: counts.queued(),
            retries: counts.retries,
        }
    }
}

impl ExporterCounts {
    fn queued(&self) -> u64 {
        // Payloads are matched before they can end; less than nothing would be a
        // bug in the counting, and shows as a ledger that does not balance.
        let came = self.matched + self.recovered + self.replayed;
        let dropped = self.dropped.iter().sum::<u64>();
        let dead_lettered = self.dead_lettered.iter().sum::<u64>();
        came.saturating_sub(self.delivered + dropped + dead_lettered)
    }
}

#[cfg(test)]
mod tests {
    use super::{DeadReason, DropReason, ExporterLedger, InputCounts, InputLedger};

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
    fn who_finds_no_room_is_turned_away() {
        let ledger = InputLedger::default();
        let admitted = [2, 2, 2, 3].map(|open_max| ledger.admit(open_max));
        assert_eq!(admitted, [true, true, false, true]);
        // Those who are in stay, whatever the limit has become.
        ledger.disconnected();
        assert!(!ledger.admit(1));
        assert!(ledger.admit(3));
        let figures = ledger.figures();
        assert_eq!((figures.connections, figures.open, figures.turned_away), (4, 3, 2));
    }

    #[test]
    fn an_exporter_balances() {
        let ledger = ExporterLedger::default();
        ledger.matched(10, 1);
        ledger.delivered(5);
        ledger.dropped(DropReason::Refused, 1);
        let figures = ledger.figures();
        assert_eq!(figures.queued, 3);
        assert_eq!(figures.dropped, [("format", 1), ("refused", 1)].into());
        ledger.dead_lettered(DeadReason::Age, 2);
        assert_eq!(ledger.figures().queued, 1);
        // Both are sent again: one arrives, and one does not.
        ledger.replayed(2);
        ledger.delivered(1);
        ledger.dead_lettered(DeadReason::Refused, 1);
        let figures = ledger.figures();
        assert_eq!((figures.queued, figures.replayed, figures.delivered), (1, 2, 6));
        assert_eq!(figures.dead_lettered, [("age", 2), ("refused", 1)].into());
        ledger.settle(0);
        ledger.delivered(3);
        ledger.matched(7, 0);
        let figures = ledger.figures();
        assert_eq!((figures.matched, figures.delivered, figures.queued), (10, 6, 0));
        assert_eq!(figures.dropped, [("format", 1), ("refused", 1), ("shutdown", 1)].into());
    }
}
