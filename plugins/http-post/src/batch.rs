//! A batch's requests, several at a time.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use fantail_sdk::{Batch, SendError};

use crate::{client::Client, outcome::Outcome};

/// After this time, no more requests of a batch are started.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What a thread must have to do at least: to start one takes 20 microseconds on an
/// idle machine and ten times that on a busy one.
const THREAD_WORTH: Duration = Duration::from_millis(1);

/// Posts batches over several connections.
pub(crate) struct Poster {
    client: Client,
    connections: u32,
    /// What a request took on average in the last batch.
    request_time: Duration,
}

impl Poster {
    pub(crate) fn new(client: Client, connections: u32) -> Self {
        // Of a server that nobody has met the worst is expected.
        Poster { client, connections, request_time: Duration::from_secs(1) }
    }

    /// Posts a batch's payloads and marks what became of them.
    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        let payloads: Vec<_> = batch.payloads().collect();
        let run = Run::new(&payloads, self.connections);
        let threads = self.threads(payloads.len());
        if threads == 1 {
            run.work(&self.client, |index, outcome| mark(batch, index, outcome));
        } else {
            run.work_on(threads, &self.client, |index, outcome| mark(batch, index, outcome));
        }
        self.request_time = run.request_time().unwrap_or(self.request_time);
        run.result()
    }

    /// How many threads are worth their while for so many payloads.
    fn threads(&self, payloads: usize) -> usize {
        let worth = self.request_time.as_nanos() * payloads as u128 / THREAD_WORTH.as_nanos();
        let worth = usize::try_from(worth).unwrap_or(usize::MAX);
        worth.min(payloads).min(self.connections as usize).max(1)
    }
}

fn mark(batch: &Batch<'_>, index: usize, outcome: Outcome) {
    match outcome {
        Outcome::Delivered => batch.delivered(index),
        Outcome::GiveUp(reason) => batch.give_up(index, reason),
        Outcome::Later { .. } => {}
    }
}

/// What the threads of a batch share.
struct Run<'a> {
    payloads: &'a [&'a [u8]],
    next: AtomicUsize,
    stopped: AtomicBool,
    failures_in_row: AtomicU32,
    failures_in_row_max: u32,
    error: Mutex<Option<SendError>>,
    start: Instant,
    requests: AtomicU64,
    requests_micros: AtomicU64,
}

impl<'a> Run<'a> {
    fn new(payloads: &'a [&'a [u8]], connections: u32) -> Self {
        Run {
            payloads,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            failures_in_row: AtomicU32::new(0),
            failures_in_row_max: connections,
            error: Mutex::new(None),
            start: Instant::now(),
            requests: AtomicU64::new(0),
            requests_micros: AtomicU64::new(0),
        }
    }

    /// Does the work on several threads, and calls `done` on this one.
    fn work_on(&self, threads: usize, client: &Client, done: impl Fn(usize, Outcome)) {
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let start = |_: &usize| {
                let sender = sender.clone();
                let work = move || {
                    self.work(client, |index, outcome| {
                        let sent = sender.send((index, outcome));
                        sent.expect("invariant: received until all threads are done");
                    });
                };
                thread::Builder::new().name("post".into()).spawn_scoped(scope, work).is_ok()
            };
            let started = (0..threads).take_while(start).count();
            drop(sender);
            if started == 0 {
                self.work(client, &done);
            }
            receiver.iter().for_each(|(index, outcome)| done(index, outcome));
        });
    }

    /// Posts one payload after the other that no other thread has taken.
    fn work(&self, client: &Client, done: impl Fn(usize, Outcome)) {
        while let Some((index, payload)) = self.take() {
            let start = Instant::now();
            let outcome = client.post(payload);
            self.requests.fetch_add(1, Relaxed);
            self.requests_micros.fetch_add(start.elapsed().as_micros() as u64, Relaxed);
            match &outcome {
                Outcome::Delivered | Outcome::GiveUp(_) => self.failures_in_row.store(0, Relaxed),
                Outcome::Later { reason, after } => self.failed(reason, *after),
            }
            done(index, outcome);
        }
    }

    fn take(&self) -> Option<(usize, &'a [u8])> {
        if self.stopped.load(Relaxed) {
            return None;
        }
        let index = self.next.fetch_add(1, Relaxed);
        let payload = self.payloads.get(index)?;
        if self.start.elapsed() >= TIME_MAX {
            let reason = format!(
                "the server is slow: {index} of {} payloads sent in {} s",
                self.payloads.len(),
                TIME_MAX.as_secs()
            );
            self.stopped.store(true, Relaxed);
            self.note(SendError::retry(reason));
            return None;
        }
        Some((index, payload))
    }

    fn failed(&self, reason: &str, after: Option<Duration>) {
        let in_row = self.failures_in_row.fetch_add(1, Relaxed) + 1;
        if after.is_some() || in_row >= self.failures_in_row_max {
            self.stopped.store(true, Relaxed);
        }
        self.note(match after {
            Some(after) => SendError::retry_after(reason, after),
            None => SendError::retry(reason),
        });
    }

    /// Keeps the error that asks for the longest pause, of several the first.
    fn note(&self, error: SendError) {
        let after = |error: &SendError| match error {
            SendError::Retry { after, .. } => *after,
            SendError::Stop { .. } => None,
        };
        let mut noted = self.error.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if noted.as_ref().is_none_or(|noted| after(&error) > after(noted)) {
            *noted = Some(error);
        }
    }

    /// What a request took on average, if there was one.
    fn request_time(&self) -> Option<Duration> {
        let micros = self.requests_micros.load(Relaxed);
        micros.checked_div(self.requests.load(Relaxed)).map(Duration::from_micros)
    }

    fn result(self) -> Result<(), SendError> {
        let error = self.error.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        error.map_or(Ok(()), Err)
    }
}
