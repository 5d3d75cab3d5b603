//! Payloads that an exporter does not try again: into its dead letters, and out again.

use std::{sync::Arc, time::Instant};

use super::{
    delivery::{Delivery, held_back},
    trials::{Dead, Trials},
};
use crate::{
    dead_letters::{DeadLetters, Envelope, Letter, Unkept},
    queue::Batch,
    spool::micros_now,
    telemetry::ledger::{DeadReason, DropReason},
};

/// Where an exporter's dead letters go, and what is written on them.
#[derive(Clone)]
pub struct Burial {
    /// The letters.
    pub letters: Arc<DeadLetters>,
    /// What their files may take, in bytes.
    pub max_size: u64,
    /// The exporter.
    pub exporter: String,
    /// Its driver.
    pub driver: String,
    /// The MIME type of its format's payloads.
    pub content_type: String,
    /// The values of a label that the driver wants.
    pub label_parts: usize,
    /// How large a batch of letters may be, in bytes.
    pub batch_bytes: usize,
}

/// Which letter each payload of a batch is, and when it was read; none for other batches.
#[derive(Debug, Default)]
pub(super) struct Replaying {
    letters: Vec<(u64, u64)>,
}

impl Replaying {
    /// Whether the batch is not made of letters.
    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Leaves those that are to be sent again: the ids of the others, with their places.
    fn take_ended(&mut self, is_left: impl Fn(usize) -> bool) -> Vec<(usize, u64)> {
        let mut ended = Vec::new();
        let mut index = 0..;
        self.letters.retain(|(id, _)| {
            let place = index.next().unwrap_or(usize::MAX);
            let is_left = is_left(place);
            ended.extend((!is_left).then_some((place, *id)));
            is_left
        });
        ended
    }
}

impl Burial {
    /// Keeps payloads of a batch: those that could not be kept, by their places in `dead`.
    pub(super) fn keep(
        &self,
        dead: &[Dead],
        batch: &Batch,
        replaying: &Replaying,
        now: Instant,
    ) -> Unkept {
        let died_at = micros_now();
        let letter = |dead: &Dead| {
            let index = dead.index;
            let read_at = replaying.letters.get(index).map(|(_, read_at)| *read_at);
            let envelope = Envelope {
                id: None,
                exporter: self.exporter.clone(),
                driver: self.driver.clone(),
                content_type: self.content_type.clone(),
                reason: dead.reason.name().to_owned(),
                detail: dead.detail.clone(),
                died_at,
                attempts: dead.attempts,
                source: batch.first(batch.len()).source,
                number: batch.numbers()[index],
                label_parts: batch.label_parts(),
                label: batch.label(index).unwrap_or_default().to_vec(),
            };
            let read_at = read_at.unwrap_or_else(|| batch.read_at_of(index, now));
            Letter { id: 0, read_at, envelope, payload: batch.payload(index).to_vec() }
        };
        let letters: Vec<Letter> = dead.iter().map(letter).collect();
        let kept = self.letters.put(&letters);
        kept.err().unwrap_or_else(|| Unkept { indices: Vec::new(), reason: String::new() })
    }

    /// The next letters that are to be sent again, as a batch.
    pub(super) fn next_replay(&self) -> Result<Option<(Batch, Replaying)>, String> {
        let letters = self.letters.next_replay(self.batch_bytes)?;
        let Some(first) = letters.first() else { return Ok(None) };
        // A batch has one source of numbers.
        let source = first.envelope.source;
        let (mut batch, mut replaying) = (Batch::default(), Replaying::default());
        let mut numbers = Vec::new();
        for letter in letters.iter().take_while(|letter| letter.envelope.source == source) {
            let Ok(()) = batch.append::<std::convert::Infallible>(|bytes| {
                bytes.extend_from_slice(&letter.payload);
                Ok(())
            });
            numbers.push(letter.envelope.number);
            replaying.letters.push((letter.id, letter.read_at));
        }
        let labels = letters.iter().take(numbers.len()).map(|letter| &*letter.envelope.label);
        batch.label_all(self.label_parts, labels);
        batch.number(source, numbers);
        // Its age counts from now on, or a limit would end it at once.
        batch.begin(Instant::now());
        Ok(Some((batch, replaying)))
    }
}

impl Delivery {
    /// Keeps payloads that are not tried again, if that is configured: those that could not be kept.
    pub(super) fn keep(&self, dead: &[Dead], batch: &Batch, now: Instant) -> Option<Unkept> {
        let burial = self.exporter.letters.as_ref().filter(|_| !dead.is_empty())?;
        Some(burial.keep(dead, batch, &self.replaying, now))
    }

    /// Counts payloads that are not tried again. They are safe by now, but for those in `unkept`; `None`:
    /// nobody wants to keep them.
    pub(super) fn bury(
        &mut self,
        dead: &[Dead],
        unkept: Option<&Unkept>,
        batch: &Batch,
        now: Instant,
    ) {
        let (name, ledger) = (self.exporter.name.clone(), Arc::clone(&self.exporter.ledger));
        for reason in DeadReason::ALL {
            let of = |is_kept: bool| {
                let is_meant = |at| unkept.is_some_and(|unkept| unkept.has(at)) != is_kept;
                let these = dead.iter().enumerate();
                let these = these.filter(|(at, dead)| dead.reason == reason && is_meant(*at));
                these.map(|(_, dead)| dead.index).collect::<Vec<usize>>()
            };
            let Some(first) = dead.iter().find(|dead| dead.reason == reason) else { continue };
            let detail = &first.detail;
            // In order, within one reason.
            let (kept, lost) = (of(true), of(false));
            let count = self.done(batch, |at| kept.binary_search(&at).is_ok());
            // Letters that find no place once more keep the one that they have.
            let lost = match self.replaying.is_empty() {
                true => self.done(batch, |at| lost.binary_search(&at).is_ok()),
                false => 0,
            };
            let what = if unkept.is_none() {
                ledger.dropped(reason.drop(), count);
                format!("dropped {count} payloads ({reason}; dead_letters = keep would keep them)")
            } else {
                ledger.dead_lettered(reason, count);
                ledger.dropped(DropReason::NotKept, lost);
                format!("{count} payloads became dead letters ({reason})")
            };
            if reason == DeadReason::Panic {
                log::error!("exporter {name}: {what}: the driver {detail}");
            } else if let Some(held) = self.refusals.pass(now) {
                log::warn!("exporter {name}: {what}: {detail}{}", held_back(held));
            }
            // A driver that remembers payloads by their places in a batch does not know
            // that these are gone.
            self.batches += u64::from(matches!(reason, DeadReason::Attempts | DeadReason::Age));
        }
        if let Some(unkept) = unkept.filter(|unkept| !unkept.indices.is_empty())
            && let Some(held) = self.unkept.pass(now)
        {
            let (count, reason) = (unkept.indices.len(), &unkept.reason);
            let held = held_back(held);
            let what = match self.replaying.is_empty() {
                true => format!("dropped {count} payloads (not_kept)"),
                false => format!("{count} dead letters were not taken again, and stay as they are"),
            };
            log::error!("exporter {name}: {what}: {reason}{held}");
        }
    }

    /// Sends the next dead letters that are to be sent again; whether there were any.
    pub(super) fn replay(&mut self) -> bool {
        let Some(burial) = self.exporter.letters.as_ref().filter(|_| !self.finishing) else {
            return false;
        };
        match burial.next_replay() {
            Ok(None) => false,
            Ok(Some((batch, replaying))) => {
                self.replaying = replaying;
                self.deliver(batch);
                self.replaying = Replaying::default();
                true
            }
            Err(reason) => {
                let name = &self.exporter.name;
                log::error!("exporter {name}: dead letters are not replayed: {reason}");
                false
            }
        }
    }

    /// Takes away the letters that have been delivered, or lie there once more. Those of `dead` that
    /// are `unkept` stay.
    pub(super) fn letters_ended(
        &mut self,
        trials: &Trials,
        dead: &[Dead],
        unkept: Option<&Unkept>,
    ) {
        let places = unkept.into_iter().flat_map(|unkept| &unkept.indices);
        let staying: Vec<usize> = places.map(|&at| dead[at].index).collect();
        let ended = self.replaying.take_ended(|at| trials.is_left(at));
        let (staying, gone): (Vec<_>, Vec<_>) =
            ended.into_iter().partition(|(place, _)| staying.contains(place));
        let ids = |letters: Vec<(usize, u64)>| letters.into_iter().map(|(_, id)| id).collect();
        let (staying, gone): (Vec<u64>, Vec<u64>) = (ids(staying), ids(gone));
        let Some(burial) = &self.exporter.letters else { return };
        burial.letters.not_replayed(&staying);
        if !gone.is_empty()
            && let Err(reason) = burial.letters.replayed(&gone)
            && let Some(held) = self.unkept.pass(Instant::now())
        {
            let (name, held) = (&self.exporter.name, held_back(held));
            log::error!(
                "exporter {name}: dead letters that were replayed may be so again: {reason}{held}"
            );
        }
    }
}
