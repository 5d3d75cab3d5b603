//! A batch's requests, several at a time.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use fantail_sdk::{Batch, SendError};

use crate::{
    Settings,
    body::{Scratch, Shape},
    client::Client,
    history::History,
    outcome::{Kind, Outcome, Trouble},
};

/// After this time, no more requests of a batch are started.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What a thread must have to do at least: to start one takes 20 microseconds on an
/// idle machine and ten times that on a busy one.
const THREAD_WORTH: Duration = Duration::from_millis(1);

/// Posts batches over several connections.
pub(crate) struct Poster {
    client: Client,
    shape: Shape,
    connections: u32,
    /// The server is told what the payloads are called.
    is_relay: bool,
    attempts_max: u32,
    connect_backoff: ConnectBackoff,
    history: History,
    /// What a request took on average in the last batch.
    request_time: Duration,
    /// What all moments are counted from.
    epoch: Instant,
    /// The last moment at which a request was begun that the server took.
    taken: Duration,
}

/// The pauses after a server could not be reached.
struct ConnectBackoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Poster {
    pub(crate) fn new(client: Client, shape: Shape, settings: &Settings) -> Self {
        Poster {
            client,
            shape,
            connections: settings.connections(),
            is_relay: settings.http_post_relay,
            attempts_max: settings.http_client_request_max_attempts,
            connect_backoff: ConnectBackoff {
                min: settings.http_client_connect_backoff_time.duration(),
                max: settings.http_client_connect_backoff_max_time.duration(),
                failures: 0,
            },
            history: History::default(),
            // Of a server that nobody has met the worst is expected.
            request_time: Duration::from_secs(1),
            epoch: Instant::now(),
            taken: Duration::ZERO,
        }
    }

    /// Posts a batch's payloads and marks what became of them.
    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let payloads: Vec<_> = batch.payloads().collect();
        let mut memories = self.history.of(batch.id(), payloads.len());
        let mut groups = self.shape.groups(&payloads, |index| memories[index].cap);
        let names = self.is_relay.then(|| Called::of(batch));
        if let Some(names) = &names {
            groups = names.without_gaps(groups);
        }
        let mut is_left = vec![true; payloads.len()];
        for (index, payload) in payloads.iter().enumerate() {
            if let Some(flaw) = self.shape.flaw(payload) {
                batch.give_up(index, flaw);
                is_left[index] = false;
            }
        }
        let run = Run::new(self, &payloads, &groups, names.as_ref());
        run.work_on(self.threads(groups.len()), |done| {
            for index in done.group.clone() {
                is_left[index] = !mark(batch, index, &done.outcome);
                if let Outcome::Later(trouble) = &done.outcome {
                    if trouble.kind != Kind::Unreached {
                        batch.tried(index);
                    }
                    let memory = &mut memories[index];
                    memory.note(trouble.kind, done.group.len(), done.moment, run.taken());
                    if let Some(reason) = memory.end(&done.outcome, self.attempts_max) {
                        batch.give_up(index, reason);
                        is_left[index] = false;
                    }
                }
            }
        });
        let Summary { error, request_time, taken, is_unreached } = run.summary();
        self.request_time = request_time.unwrap_or(self.request_time);
        self.taken = taken;
        let left = memories.into_iter().zip(&is_left).filter(|(_, left)| **left);
        self.history.keep(payloads.len(), left.map(|(memory, _)| memory));
        let pause = self.connect_backoff.after(is_unreached);
        match error {
            Some(error) if is_left.contains(&true) => Err(longer(error, pause)),
            _ => Ok(()),
        }
    }

    /// How many threads are worth their while for so many requests.
    fn threads(&self, requests: usize) -> usize {
        let worth = self.request_time.as_nanos() * requests as u128 / THREAD_WORTH.as_nanos();
        let worth = usize::try_from(worth).unwrap_or(usize::MAX);
        worth.min(requests).min(self.connections as usize).max(1)
    }
}

impl ConnectBackoff {
    /// The pause to ask for after a batch that could not reach the server, or could.
    fn after(&mut self, is_unreached: bool) -> Option<Duration> {
        if !is_unreached {
            self.failures = 0;
            return None;
        }
        let doubled = self.min.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        (!self.min.is_zero()).then(|| doubled.min(self.max))
    }
}

/// An error that asks for a pause of this length at least.
fn longer(error: SendError, pause: Option<Duration>) -> SendError {
    match error {
        SendError::Retry { reason, after } => SendError::Retry { reason, after: after.max(pause) },
        other => other,
    }
}

/// Marks a payload; false when it is to be sent again.
fn mark(batch: &Batch<'_>, index: usize, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Delivered => batch.delivered(index),
        Outcome::Refused(reason) => batch.give_up(index, reason.as_str()),
        Outcome::Later(_) => return false,
    }
    true
}

/// What a batch's payloads are called.
struct Called {
    /// What numbered them, in hexadecimal.
    source: String,
    numbers: Vec<u64>,
}

impl Called {
    fn of(batch: &Batch<'_>) -> Self {
        let numbers = (0..batch.len()).map(|index| batch.number(index)).collect();
        Called { source: format!("{:032x}", batch.source()), numbers }
    }

    /// The groups, cut where numbers are missing: one range names each.
    fn without_gaps(&self, groups: Vec<Range<usize>>) -> Vec<Range<usize>> {
        let mut cut = Vec::with_capacity(groups.len());
        for group in groups {
            let mut start = group.start;
            for index in group.start + 1..group.end {
                if self.numbers[index] != self.numbers[index - 1] + 1 {
                    cut.push(std::mem::replace(&mut start, index)..index);
                }
            }
            cut.push(start..group.end);
        }
        cut
    }

    /// The names of the payloads of a group without gaps.
    fn of_group(&self, group: &Range<usize>) -> (String, String) {
        let (first, last) = (self.numbers[group.start], self.numbers[group.end - 1]);
        (self.source.clone(), format!("{first}-{last}"))
    }
}

/// What became of a request.
struct Done {
    /// Its payloads.
    group: Range<usize>,
    outcome: Outcome,
    /// When the response was there.
    moment: Duration,
}

/// What the threads of a batch share.
struct Run<'a> {
    client: &'a Client,
    shape: Shape,
    payloads: &'a [&'a [u8]],
    groups: &'a [Range<usize>],
    names: Option<&'a Called>,
    next: AtomicUsize,
    stopped: AtomicBool,
    failures_in_row: AtomicU32,
    failures_in_row_max: u32,
    error: Mutex<Option<SendError>>,
    start: Instant,
    requests: AtomicU64,
    requests_micros: AtomicU64,
    epoch: Instant,
    /// In microseconds.
    taken: AtomicU64,
    reached: AtomicBool,
}

/// What a batch's requests say together.
struct Summary {
    error: Option<SendError>,
    /// What a request took on average, if there was one.
    request_time: Option<Duration>,
    taken: Duration,
    is_unreached: bool,
}

impl<'a> Run<'a> {
    fn new(
        poster: &'a Poster,
        payloads: &'a [&'a [u8]],
        groups: &'a [Range<usize>],
        names: Option<&'a Called>,
    ) -> Self {
        Run {
            client: &poster.client,
            shape: poster.shape,
            payloads,
            groups,
            names,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            failures_in_row: AtomicU32::new(0),
            failures_in_row_max: poster.connections,
            error: Mutex::new(None),
            start: Instant::now(),
            requests: AtomicU64::new(0),
            requests_micros: AtomicU64::new(0),
            epoch: poster.epoch,
            taken: AtomicU64::new(micros(poster.taken)),
            reached: AtomicBool::new(false),
        }
    }

    /// Does the work on so many threads, and calls `done` on this one.
    fn work_on(&self, threads: usize, mut done: impl FnMut(Done)) {
        if threads <= 1 {
            return self.work(done);
        }
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let start = |_: &usize| {
                let sender = sender.clone();
                let work = move || {
                    self.work(|done| {
                        let sent = sender.send(done);
                        sent.expect("invariant: received until all threads are done");
                    });
                };
                thread::Builder::new().name("post".into()).spawn_scoped(scope, work).is_ok()
            };
            let started = (0..threads).take_while(start).count();
            drop(sender);
            if started == 0 {
                self.work(&mut done);
            }
            receiver.iter().for_each(done);
        });
    }

    /// Posts one group of payloads after the other that no other thread has taken.
    fn work(&self, mut done: impl FnMut(Done)) {
        let mut scratch = Scratch::default();
        let mut halves = Vec::new();
        while let Some(group) = self.take() {
            halves.push(group);
            // The first half first: over one connection, everything goes in order.
            while let Some(group) = halves.pop().filter(|group| self.goes_on(group.start)) {
                let outcome = self.post(group.clone(), &mut scratch);
                if matches!(outcome, Outcome::Refused(_)) && group.len() > 1 {
                    // The server means one of them, or their number.
                    let middle = group.start + group.len() / 2;
                    halves.extend([middle..group.end, group.start..middle]);
                    continue;
                }
                done(Done { group, outcome, moment: self.epoch.elapsed() });
            }
        }
    }

    fn post(&self, group: Range<usize>, scratch: &mut Scratch) -> Outcome {
        let begun = Instant::now();
        let names = self.names.map(|names| names.of_group(&group));
        let outcome = match self.shape.body(&self.payloads[group], scratch) {
            Ok(body) => self.client.post(body, &names),
            Err(error) => Outcome::of_failure(&error),
        };
        self.requests.fetch_add(1, Relaxed);
        self.requests_micros.fetch_add(micros(begun.elapsed()), Relaxed);
        match &outcome {
            Outcome::Delivered | Outcome::Refused(_) => {
                self.failures_in_row.store(0, Relaxed);
                self.reached.store(true, Relaxed);
                if outcome == Outcome::Delivered {
                    let begun = begun.saturating_duration_since(self.epoch);
                    self.taken.fetch_max(micros(begun), Relaxed);
                }
            }
            Outcome::Later(trouble) => self.failed(trouble),
        }
        outcome
    }

    fn take(&self) -> Option<Range<usize>> {
        if self.stopped.load(Relaxed) {
            return None;
        }
        self.groups.get(self.next.fetch_add(1, Relaxed)).cloned()
    }

    /// Whether there is time for another request; it begins with the payload at `index`.
    fn goes_on(&self, index: usize) -> bool {
        if self.stopped.load(Relaxed) {
            return false;
        }
        if self.start.elapsed() >= TIME_MAX {
            let reason = format!(
                "the server is slow: {index} of {} payloads sent in {} s",
                self.payloads.len(),
                TIME_MAX.as_secs()
            );
            self.stopped.store(true, Relaxed);
            self.note(SendError::retry(reason));
            return false;
        }
        true
    }

    fn failed(&self, trouble: &Trouble) {
        if trouble.kind != Kind::Unreached {
            self.reached.store(true, Relaxed);
        }
        let in_row = self.failures_in_row.fetch_add(1, Relaxed) + 1;
        if trouble.after.is_some() || in_row >= self.failures_in_row_max {
            self.stopped.store(true, Relaxed);
        }
        self.note(match trouble.after {
            Some(after) => SendError::retry_after(&trouble.reason, after),
            None => SendError::retry(&trouble.reason),
        });
    }

    /// Keeps the error that asks for the longest pause, of several the first.
    fn note(&self, error: SendError) {
        let after = |error: &SendError| match error {
            SendError::Retry { after, .. } => *after,
            SendError::Stop { .. } => None,
        };
        let mut noted = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.as_ref().is_none_or(|noted| after(&error) > after(noted)) {
            *noted = Some(error);
        }
    }

    fn taken(&self) -> Duration {
        Duration::from_micros(self.taken.load(Relaxed))
    }

    fn summary(self) -> Summary {
        let taken = self.taken();
        let requests = self.requests.load(Relaxed);
        let total = self.requests_micros.load(Relaxed);
        Summary {
            request_time: total.checked_div(requests).map(Duration::from_micros),
            taken,
            is_unreached: requests > 0 && !self.reached.load(Relaxed),
            error: self.error.into_inner().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Whole microseconds; a run of the host is shorter than all that fit.
fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Called;

    #[test]
    fn names_are_one_range_for_each_request() {
        let numbers = vec![5, 6, 7, 9, 10, 12, 13];
        let called = Called { source: "ab".into(), numbers };
        let groups = called.without_gaps(vec![0..2, 2..4, 5..7]);
        assert_eq!(groups, [0..2, 2..3, 3..4, 5..7]);
        let names: Vec<_> = groups.iter().map(|group| called.of_group(group).1).collect();
        assert_eq!(names, ["5-6", "7-7", "9-9", "12-13"]);
    }
}
