//! An exporter's thread at work: takes batches out of the queue, and sees to it that every payload
//! is delivered, becomes a dead letter, or is counted as dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, select};
use fantail_sdk::abi::{DriverInstance, RawSent, send_status};

use super::{
    Breaker, Control, Exporter, Recovered, RetryPlan,
    burial::Replaying,
    pace::{NAP, Pace},
    trials::{Brought, Trials},
};
use crate::{
    queue::{Batch, Outlet},
    telemetry::{circuit::CircuitFigures, ledger::DropReason, log::RateLimit},
};

/// How often one exporter may write a line about the same kind of trouble.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How long a driver may keep payloads back while nothing comes, before it is
/// asked to flush.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How many panics in a row it takes until the payloads of a batch are sent one
/// by one, and then until the one that brings the driver down is dropped.
const PANICS_MAX: u32 = 3;

/// The longest pause that a peer can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How long the closing of a spool may take, if it has to wait for room.
const CLOSE: Duration = Duration::from_secs(2);

/// The same when the host does not wait any longer.
const ABANDONED_CLOSE: Duration = Duration::from_millis(300);

/// How often an exporter that is no more looks whether anybody can push yet, while it pauses: its
/// successor waits for the spool.
const RETIRING_TICK: Duration = Duration::from_millis(50);

/// What an exporter's thread does.
pub(super) struct Delivery {
    pub(super) exporter: Exporter,
    outlet: Outlet,
    /// It left something on disk when it was to end.
    left: bool,
    /// `None` after the instance stopped or panicked, until a new one is made.
    driver: Option<DriverInstance>,
    commands: Receiver<Control>,
    pace: Pace,
    breaker: Breaker,
    /// What was last told of it.
    shown: CircuitFigures,
    pub(super) finishing: bool,
    retiring: bool,
    abandoned: Arc<AtomicBool>,
    trouble: RateLimit,
    unmade: RateLimit,
    pub(super) refusals: RateLimit,
    pub(super) unkept: RateLimit,
    unflushed: bool,
    /// The batches so far: a batch's id.
    pub(super) batches: u64,
    /// What numbers the payloads of a queue in memory, and how many it has numbered.
    source: u128,
    numbered: u64,
    /// Panics of the driver in a row, without a payload delivered between.
    panics: u32,
    /// The dead letters that the batch under way is made of, if it is.
    pub(super) replaying: Replaying,
}

impl Delivery {
    /// Nothing is delivered yet; `driver` is the first instance.
    pub(super) fn new(
        exporter: Exporter,
        driver: DriverInstance,
        outlet: Outlet,
        commands: Receiver<Control>,
        abandoned: Arc<AtomicBool>,
    ) -> Self {
        let RetryPlan { pauses, breaker_failures, .. } = exporter.retry;
        let random = || random(&exporter.name);
        Delivery {
            outlet,
            left: false,
            breaker: Breaker::new(pauses, breaker_failures, random()),
            shown: CircuitFigures::default(),
            driver: Some(driver),
            commands,
            pace: Pace::default(),
            finishing: false,
            retiring: false,
            abandoned,
            trouble: RateLimit::new(LOG_INTERVAL),
            unmade: RateLimit::new(LOG_INTERVAL),
            refusals: RateLimit::new(LOG_INTERVAL),
            unkept: RateLimit::new(LOG_INTERVAL),
            unflushed: false,
            batches: 0,
            source: u128::from(random()) << 64 | u128::from(random()),
            numbered: 0,
            panics: 0,
            replaying: Replaying::default(),
            exporter,
        }
    }

    /// Delivers until it is told to end, and closes the queue.
    pub(super) fn run(mut self) {
        while !self.is_over() {
            let replayed = self.replay();
            if let Some(batch) = self.outlet.take() {
                self.pace.came(Duration::ZERO);
                self.deliver(batch);
                self.obey_all();
                continue;
            }
            if replayed {
                self.obey_all();
                continue;
            }
            if self.pace.is_fast() && self.nap() {
                continue;
            }
            let waits = Instant::now();
            let arrived = select! {
                recv(self.outlet.memory_calls()) -> batch => batch.ok(),
                recv(self.outlet.disk_calls()) -> _ => None,
                recv(self.commands) -> command => {
                    self.obey(command.unwrap_or(Control::Finish));
                    None
                }
                default(FLUSH_INTERVAL) => {
                    self.flush();
                    None
                }
            };
            if let Some(batch) = arrived {
                self.pace.came(waits.elapsed());
                let batch = self.outlet.arrived(batch);
                self.deliver(batch);
            }
        }
        while self.unflushed && !self.abandoned.load(Ordering::Relaxed) {
            self.flush();
            if self.unflushed {
                self.pause(None);
            }
        }
        if self.retiring && !self.finishing && !self.outlet.keeps_the_rest() {
            log::info!("exporter {}: has delivered what it had, and ends", self.exporter.name);
        }
        let abandoned = self.abandoned.load(Ordering::Relaxed);
        self.outlet.close(if abandoned { ABANDONED_CLOSE } else { CLOSE });
    }

    /// Lets batches gather for a moment. False where that can't be: each has to be waited for.
    fn nap(&mut self) -> bool {
        let Some(many) = self.outlet.many_calls() else { return false };
        let command = select! {
            recv(many) -> _ => None,
            recv(self.commands) -> command => Some(command.unwrap_or(Control::Finish)),
            default(NAP) => None,
        };
        self.pace.napped();
        if let Some(command) = command {
            self.obey(command);
        }
        true
    }

    /// Whether there is nothing left to do, or what is left is for somebody else.
    fn is_over(&self) -> bool {
        let queue = self.outlet.queue();
        if !(self.finishing || self.retiring && !queue.has_producers()) {
            return false;
        }
        self.outlet.drain();
        let leaves = self.left || self.retiring && !self.finishing;
        self.outlet.is_empty() || leaves && self.outlet.keeps_the_rest()
    }

    /// Whether it may end with payloads that are not delivered: they stay on disk, in the queue or as
    /// dead letters.
    fn may_leave(&self) -> bool {
        let ends = self.finishing || self.retiring && !self.outlet.queue().has_producers();
        ends && (self.outlet.keeps_the_rest() || !self.replaying.is_empty())
    }

    /// Obeys what it has been told by now.
    fn obey_all(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Control) {
        match command {
            Control::Reopen => {
                if let Some(driver) = &mut self.driver {
                    let answer = driver.reopen();
                    self.note_answer("reopening", &answer);
                }
            }
            Control::Hurry => drop(self.breaker.hurry()),
            Control::Retire => self.retiring = true,
            // `abandoned` has been set by whoever tells, for all that looks at it between
            // two attempts.
            Control::Finish | Control::Abandon => self.finishing = true,
        }
    }

    /// Asks the driver to bring what it has taken to its end, after there was any.
    fn flush(&mut self) {
        if !std::mem::take(&mut self.unflushed) {
            return;
        }
        if let Some(driver) = &mut self.driver {
            let answer = driver.flush();
            self.unflushed = answer.status == send_status::RETRY;
            self.note_answer("flushing", &answer);
        }
    }

    /// Sees to it that every payload of the batch is delivered or counted as dropped.
    pub(super) fn deliver(&mut self, mut batch: Batch) {
        self.batches += 1;
        self.exporter.meter.begins(batch.len());
        if batch.numbers().is_empty() {
            let first = self.numbered;
            self.numbered += batch.len() as u64;
            batch.number(self.source, first..self.numbered);
        }
        let mut trials = Trials::new(batch.len());
        // Once the driver has panicked too often, the rest of the batch is sent
        // payload by payload, to find the one that brings it down.
        let mut alone = false;
        while !batch.is_empty() {
            if self.abandoned.load(Ordering::Relaxed) {
                return self.leave(batch);
            }
            let id = self.batches;
            alone |= self.panics >= PANICS_MAX;
            let few = self.breaker.begin();
            self.show_breaker();
            let count = if alone { 1 } else { batch.len().min(few) };
            let Some(driver) = self.instance() else {
                if self.may_leave() {
                    return self.leave(batch);
                }
                continue;
            };
            let begun = Instant::now();
            let answer = driver.send(&batch.first(count), trials.begin(count), id);
            let ended = Instant::now();
            self.exporter.meter.sent(ended.duration_since(begun));
            self.unflushed = true;
            let pending = self.count(&answer, &mut trials, &batch, ended);
            let has_failed = pending == count;
            if !has_failed {
                self.panics = 0;
                self.succeeded(ended);
            }
            if pending > 0 {
                self.exporter.ledger.retried();
                // A peer that takes some of it is slow, not absent.
                if has_failed || !answer.instance_is_usable() {
                    self.note_trouble(&answer, pending);
                }
                if self.may_leave() {
                    batch.retain(|at| trials.is_left(at));
                    return self.leave(batch);
                }
                let after = answer.retry_after_millis;
                let after = (after != u64::MAX).then(|| Duration::from_millis(after));
                let after = after.map(|after| after.min(RETRY_AFTER_MAX));
                if has_failed {
                    self.pause(after);
                } else {
                    self.breaker.slowed(ended, after);
                    self.wait();
                }
            }
            if pending == 0 && count == batch.len() {
                break;
            }
            batch.retain(|at| trials.is_left(at));
            trials.retain();
        }
        self.outlet.queue().recycle(batch);
    }

    /// Gives a batch up because the thread is to end: for whoever opens the queue next, or for good.
    fn leave(&mut self, batch: Batch) {
        if !self.replaying.is_empty() {
            // Letters stay where they are.
            return;
        }
        self.left = true;
        if self.outlet.keeps_the_rest() {
            self.outlet.give_back(batch);
        } else {
            self.exporter.ledger.dropped(DropReason::Shutdown, batch.len() as u64);
        }
    }

    /// The driver; a new one if the last one stopped, after a pause if that fails.
    fn instance(&mut self) -> Option<&mut DriverInstance> {
        if self.driver.is_none() {
            match self.exporter.source.open() {
                Ok(driver) => self.driver = Some(driver),
                Err(reason) => {
                    if let Some(held) = self.unmade.pass(Instant::now()) {
                        let (name, held) = (&self.exporter.name, held_back(held));
                        log::error!("exporter {name}: no new driver: {reason}{held}");
                    }
                    self.pause(None);
                }
            }
        }
        self.driver.as_mut()
    }

    /// Counts what was delivered and what is not tried again, drops the instance if it is no
    /// good any more, and returns how many of the payloads that were sent have not been taken.
    fn count(
        &mut self,
        answer: &RawSent,
        trials: &mut Trials,
        batch: &Batch,
        now: Instant,
    ) -> usize {
        if !answer.instance_is_usable() {
            self.driver = None;
        }
        self.panics += u32::from(answer.status == send_status::PANICKED);
        let is_fatal = self.panics >= 2 * PANICS_MAX;
        let age = |at: usize| batch.age_of(at, now);
        let limits = self.exporter.retry.limits;
        let Brought { pending, dead } = trials.end(answer, is_fatal, limits, age);
        // They are safe there before they are done here.
        let unkept = self.keep(&dead, batch, now);
        let unkept = unkept.as_ref();
        if !self.replaying.is_empty() {
            let staying = unkept.map_or(0, |unkept| unkept.indices.len());
            self.exporter.ledger.replayed((trials.ended() - staying) as u64);
        }
        let delivered = self.done(batch, |at| trials.is_delivered(at));
        self.exporter.ledger.delivered(delivered);
        self.exporter.meter.delivered(delivered as usize, batch.age(now));
        self.bury(&dead, unkept, batch, now);
        self.letters_ended(trials, &dead, unkept);
        pending
    }

    /// Says that these payloads are done, by their places: how many count.
    pub(super) fn done(&mut self, batch: &Batch, is_done: impl Fn(usize) -> bool) -> u64 {
        if self.replaying.is_empty() {
            return self.outlet.done(batch, batch.len(), is_done);
        }
        // Its numbers may be those of the queue on disk, where it is no more.
        (0..batch.len()).filter(|&at| is_done(at)).count() as u64
    }

    /// The peer has taken something: the next trouble is a new one.
    fn succeeded(&mut self, now: Instant) {
        let Recovered { failures, lasted, was_open } = self.breaker.succeeded(now);
        if failures > 0 {
            let name = &self.exporter.name;
            let closed = if was_open { ", circuit breaker closed" } else { "" };
            let seconds = lasted.as_secs_f64();
            log::info!(
                "exporter {name}: delivering again{closed}, after {failures} failures in \
                 {seconds:.1} s"
            );
        }
        self.show_breaker();
    }

    /// Lets others see the breaker, if it has changed.
    fn show_breaker(&mut self) {
        let figures = self.breaker.figures();
        if figures != self.shown {
            self.exporter.meter.circuit.set(figures);
            self.shown = figures;
        }
    }

    fn note_trouble(&self, answer: &RawSent, pending: usize) {
        if let Some(held) = self.trouble.pass(Instant::now()) {
            let (name, held) = (&self.exporter.name, held_back(held));
            let what = match answer.status {
                send_status::DONE | send_status::RETRY => "will try again",
                _ => "will try again with a new instance of the driver",
            };
            let reason = answer.message.as_str();
            log::warn!("exporter {name}: {pending} payloads not delivered, {what}: {reason}{held}");
        }
    }

    fn note_answer(&mut self, doing: &str, answer: &RawSent) {
        if answer.status != send_status::DONE && self.trouble.pass(Instant::now()).is_some() {
            log::warn!("exporter {}: {doing} failed: {}", self.exporter.name, answer.message);
        }
        if !answer.instance_is_usable() {
            self.driver = None;
        }
    }

    /// An attempt has failed: waits before the next one, and obeys meanwhile.
    fn pause(&mut self, asked_for: Option<Duration>) {
        if self.breaker.failed(Instant::now(), asked_for) {
            let name = &self.exporter.name;
            let failures = self.breaker.figures().failures;
            log::warn!(
                "exporter {name}: circuit breaker open after {failures} failures in a row: a few \
                 payloads at most are tried after each pause, until the peer takes some"
            );
        }
        self.wait();
    }

    /// Waits until the next attempt may be made, and obeys meanwhile.
    fn wait(&mut self) {
        self.show_breaker();
        let Some(until) = self.breaker.next_attempt() else { return };
        while !self.abandoned.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            let tick = if self.retiring { left.min(RETIRING_TICK) } else { left };
            match self.commands.recv_timeout(tick) {
                Ok(Control::Hurry) => {
                    // One attempt now; the pauses after it grow from the shortest.
                    if self.breaker.hurry() {
                        return;
                    }
                }
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) if tick == left => return,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Nobody is left to command: what remains is tried once more.
                    thread::sleep(left);
                    return;
                }
            }
            if self.may_leave() {
                return;
            }
        }
    }
}

/// What to add about lines that were not written.
pub(super) fn held_back(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" ({count} more such lines held back)") }
}

/// Random bits: the system's, by way of the standard library's hasher.
fn random(name: &str) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(name)
}
