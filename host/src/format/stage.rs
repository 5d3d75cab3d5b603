//! One exporter's format on one worker.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fantail_sdk::{
    FormatContext,
    abi::{FormatFailure, FormatInstance, FormatTableRef, RawEvent},
};
use serde_json::Value;

use super::{Here, Label};
use crate::{
    dead_letters::DeadLetters,
    driver::{Backoff, Pauses},
    event::Event,
    queue::{Batch, Producer, Promise, Pushed},
    telemetry::{ledger::ExporterLedger, log::RateLimit, meter::ExporterMeter},
};

/// How long a format that panicked is left alone: events that come meanwhile are
/// dropped and counted.
const PANIC_PAUSES: Pauses =
    Pauses { min: Duration::from_millis(100), max: Duration::from_secs(60) };

/// How long a batch that is not full may wait behind others in a queue that is
/// never empty.
const HELD_MAX: Duration = Duration::from_millis(100);

/// How to make instances of an exporter's format.
#[derive(Clone)]
pub struct FormatSource {
    /// The format's functions.
    pub table: FormatTableRef,
    /// Its settings.
    pub settings: Value,
    /// What else it is told.
    pub context: FormatContext,
}

impl FormatSource {
    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// What the format has against its settings.
    pub fn open(&self) -> Result<FormatInstance, String> {
        FormatInstance::open(self.table, &self.settings, &self.context)
    }
}

/// When an open batch is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// As soon as it has this many bytes, those of labels included.
    pub bytes: usize,
    /// As soon as it has this many payloads.
    pub events: usize,
    /// When its first payload is so old; zero: as soon as a worker has nothing left
    /// to read.
    pub timeout: Duration,
}

/// What became of open batches that were to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// None is open any more.
    All,
    /// Some may wait for more payloads, and for so long at least.
    Waiting(Duration),
    /// Some queue has no room: try again when it has.
    Blocked,
}

impl Closed {
    /// What became of several batches, by what became of some and of the others.
    #[must_use]
    pub fn and(self, other: Closed) -> Closed {
        match (self, other) {
            (Closed::Blocked, _) | (_, Closed::Blocked) => Closed::Blocked,
            (Closed::Waiting(one), Closed::Waiting(other)) => Closed::Waiting(one.min(other)),
            (Closed::All, one) | (one, Closed::All) => one,
        }
    }
}

/// What every worker's stage of an exporter is made from.
#[derive(Clone)]
pub struct StagePlan {
    /// The exporter's name.
    pub exporter: String,
    /// How to make its format.
    pub source: FormatSource,
    /// What the driver wants to know of each event besides its payload.
    pub label: Label,
    /// When a batch is full.
    pub limits: BatchLimits,
    /// Where batches go.
    pub queue: Producer,
    /// What is counted.
    pub ledger: Arc<ExporterLedger>,
    /// What is measured.
    pub meter: Arc<ExporterMeter>,
    /// The exporter's dead letters, if it keeps any; for those who read the host.
    pub letters: Option<Arc<DeadLetters>>,
    /// Holds back lines about events that could not be written.
    pub trouble: Arc<RateLimit>,
}

/// One exporter's format on one worker, and its open batch.
pub struct Stage {
    plan: StagePlan,
    /// `None` after a panic, until its pause is over.
    instance: Option<FormatInstance>,
    panic_pause: Backoff,
    retry_at: Instant,
    batch: Batch,
    /// Payloads asked for since they were last added to the ledger.
    matched: u64,
    /// Events that were not written since then.
    failed: u64,
    /// Since when the open batch has waited behind others in the queue.
    held_since: Option<Instant>,
}

impl Stage {
    /// A stage with a first instance of its format.
    ///
    /// # Errors
    ///
    /// What the format has against its settings.
    pub fn open(plan: &StagePlan) -> Result<Self, String> {
        Ok(Stage {
            instance: Some(plan.source.open()?),
            plan: plan.clone(),
            panic_pause: Backoff::new(PANIC_PAUSES, 1),
            retry_at: Instant::now(),
            batch: Batch::default(),
            matched: 0,
            failed: 0,
            held_since: None,
        })
    }

    /// Appends the payload of `event`, which was read at `read_at`, to the open batch, or
    /// counts it as dropped. `raw` is what is exported of it; from the event and from what
    /// holds `here` its label is made, if the driver wants one.
    #[inline]
    pub fn format(
        &mut self,
        raw: &RawEvent<'_>,
        event: &Event<'_>,
        here: Here<'_>,
        read_at: Instant,
    ) {
        if self.batch.is_empty() {
            self.format_first(raw, read_at);
        } else {
            self.format_next(raw);
        }
        if self.batch.lacks_label() && !self.plan.label.is_empty() {
            let label = &mut self.plan.label;
            self.batch.append_label(label.len(), |labels| label.write(event, here, labels));
        }
    }

    /// The first of a batch, which is measured.
    #[cold]
    fn format_first(&mut self, raw: &RawEvent<'_>, read_at: Instant) {
        let begun = Instant::now();
        self.format_next(raw);
        self.plan.meter.formatted(begun.elapsed());
        self.batch.begin(read_at);
    }

    #[inline]
    fn format_next(&mut self, event: &RawEvent<'_>) {
        self.matched += 1;
        let written = match &mut self.instance {
            Some(instance) => self.batch.append(|bytes| instance.format(event, bytes)),
            None => return self.format_anew(event),
        };
        if let Err(failure) = written {
            self.failed(&failure);
        }
    }

    #[cold]
    fn format_anew(&mut self, event: &RawEvent<'_>) {
        if Instant::now() < self.retry_at {
            self.failed += 1;
            return;
        }
        match self.plan.source.open() {
            Ok(instance) => {
                let instance = self.instance.insert(instance);
                match self.batch.append(|bytes| instance.format(event, bytes)) {
                    Ok(()) => self.panic_pause.reset(),
                    Err(failure) => self.failed(&failure),
                }
            }
            Err(reason) => self.failed(&FormatFailure::Panicked(reason)),
        }
    }

    #[cold]
    fn failed(&mut self, failure: &FormatFailure) {
        self.failed += 1;
        let text = match failure {
            FormatFailure::Refused(text) => text,
            FormatFailure::Panicked(text) => {
                self.instance = None;
                self.retry_at = Instant::now() + self.panic_pause.next_pause(None);
                text
            }
        };
        if let Some(held) = self.plan.trouble.pass(Instant::now()) {
            let name = &self.plan.exporter;
            log::warn!(
                "exporter {name}: an event could not be written: {text} ({held} more held back)"
            );
        }
    }

    /// Whether the open batch has reached a limit.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.batch.content_len() >= self.plan.limits.bytes
            || self.batch.len() >= self.plan.limits.events
    }

    /// Has the open batch carry a receipt of the promise: the event that was written last is
    /// promised.
    pub fn promise(&mut self, promise: &Promise) {
        if !self.batch.is_empty() {
            self.batch.promise(promise);
        }
    }

    /// Whether somebody waits for the open batch to be closed.
    #[inline]
    pub fn is_promised(&self) -> bool {
        self.batch.is_promised()
    }

    /// Whether nothing waits here for room in the queue, and that has some for payloads of so many
    /// bytes: others may be faster.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        !self.is_full() && !self.is_promised() && self.plan.queue.has_room_for(bytes)
    }

    /// Puts the open batch into the queue, if there is any payload in it. False
    /// when the queue does not take it now: a full batch, or one that somebody waits for,
    /// because there is no room and the queue blocks, another one because others are waiting
    /// anyway. It stays open then.
    pub fn close_batch(&mut self) -> bool {
        self.publish();
        if self.batch.is_empty() {
            return true;
        }
        let due = self.is_full()
            || self.is_promised()
            || self.held_since.is_some_and(|since| since.elapsed() >= HELD_MAX);
        let batch = std::mem::take(&mut self.batch);
        let queue = &self.plan.queue;
        match if due { queue.push(batch) } else { queue.push_early(batch) } {
            Pushed::Taken(empty) => {
                self.batch = empty;
                self.held_since = None;
                true
            }
            Pushed::Full(batch) => {
                self.batch = batch;
                self.held_since.get_or_insert_with(Instant::now);
                false
            }
        }
    }

    /// Closes the open batch, unless it may still wait for more payloads at the moment
    /// `now`.
    pub fn close_due(&mut self, now: Instant) -> Closed {
        let timeout = self.plan.limits.timeout;
        let may_wait = !self.batch.is_empty() && !self.is_full() && !self.is_promised();
        if !timeout.is_zero() && may_wait {
            let left = timeout.saturating_sub(self.batch.age(now));
            if !left.is_zero() {
                self.publish();
                return Closed::Waiting(left);
            }
        }
        if self.close_batch() { Closed::All } else { Closed::Blocked }
    }

    /// How long the open batch may wait for more payloads.
    pub fn timeout(&self) -> Duration {
        self.plan.limits.timeout
    }

    /// Adds to the ledger what was counted here.
    pub fn publish(&mut self) {
        if self.matched > 0 {
            self.plan.ledger.matched(self.matched, self.failed);
            (self.matched, self.failed) = (0, 0);
        }
    }

    /// Whether a payload is waiting in the open batch.
    pub fn has_open_batch(&self) -> bool {
        !self.batch.is_empty()
    }
}
