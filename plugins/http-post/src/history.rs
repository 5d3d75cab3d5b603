//! What is remembered of payloads that were sent and not taken.
//!
//! The host sends the rest of a batch again under the batch's number, in the same
//! order; so what happened to each is known by its place among the rest. It serves
//! to find the one that spoils the requests it is in: from its third failure on, a
//! payload is in requests that are half as large each time, until it is alone.

use std::time::Duration;

use crate::outcome::{Kind, Outcome};

/// What is remembered of one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// How many requests with it have reached the server.
    pub(crate) attempts: u32,
    /// How many payloads its next request may have.
    pub(crate) cap: usize,
    /// How often it was barred alone after the server had taken others since.
    barred: u32,
    /// When the first response came that barred it.
    barred_at: Option<Duration>,
}

/// What is remembered of a batch.
#[derive(Debug, Default)]
pub(crate) struct History {
    batch: Option<u64>,
    memories: Vec<Memory>,
}

/// From this attempt on, requests are halved.
const HALVED_FROM: u32 = 3;

/// How often that may be before it is put down to the payload. More than once: of several
/// requests that are under way when a bar is lifted, the first answered may be the last sent.
const BARRED_MAX: u32 = 5;

impl Memory {
    const NEW: Memory = Memory { attempts: 0, cap: usize::MAX, barred: 0, barred_at: None };

    /// Remembers a failure at the moment `now` in a request of `group` payloads. The last
    /// request that the server took was begun at `taken`.
    pub(crate) fn note(&mut self, kind: Kind, group: usize, now: Duration, taken: Duration) {
        if kind == Kind::Unreached {
            return;
        }
        self.attempts = self.attempts.saturating_add(1);
        if kind == Kind::Barred {
            let since = *self.barred_at.get_or_insert(now);
            self.barred += u32::from(group == 1 && since < taken);
        }
        if kind != Kind::Busy && self.attempts >= HALVED_FROM {
            self.cap = (group / 2).max(1);
        }
    }

    /// Why the payload is not to be sent again after this outcome, if it is not.
    pub(crate) fn end(&self, outcome: &Outcome, attempts_max: u32) -> Option<String> {
        let Outcome::Later(trouble) = outcome else { return None };
        let reason = &trouble.reason;
        if attempts_max > 0 && self.attempts >= attempts_max && trouble.kind != Kind::Unreached {
            return Some(format!("{reason} (attempt {} of {attempts_max})", self.attempts));
        }
        let is_alone = trouble.kind == Kind::Barred && self.barred >= BARRED_MAX;
        is_alone.then(|| format!("{reason} (others are taken)"))
    }
}

impl History {
    /// What is remembered of the first `count` payloads of the rest of a batch.
    pub(crate) fn of(&mut self, batch: u64, count: usize) -> Vec<Memory> {
        if self.batch != Some(batch) || self.memories.len() < count {
            self.batch = Some(batch);
            self.memories.clear();
            self.memories.resize(count, Memory::NEW);
        }
        self.memories[..count].to_vec()
    }

    /// Keeps what is left of those `count` payloads.
    pub(crate) fn keep(&mut self, count: usize, left: impl Iterator<Item = Memory>) {
        self.memories.splice(..count, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Trouble;

    #[test]
    fn the_rest_of_a_batch_is_known_by_its_places() {
        let mut history = History::default();
        let mut memories = history.of(7, 3);
        assert_eq!(memories, [Memory::NEW; 3]);
        memories[2].note(Kind::Fault, 3, Duration::ZERO, Duration::ZERO);
        let third = memories[2];
        history.keep(3, memories.into_iter().skip(1));
        assert_eq!(history.of(7, 2), [Memory::NEW, third]);
        // One by one, as the host does after panics.
        assert_eq!(history.of(7, 1), [Memory::NEW]);
        history.keep(1, std::iter::empty());
        assert_eq!(history.of(7, 1), [third]);
        assert_eq!(history.of(8, 1), [Memory::NEW]);
    }

    #[test]
    fn requests_are_halved_from_the_third_failure_on() {
        let mut memory = Memory::NEW;
        let mut caps = Vec::new();
        for kind in [Kind::Unreached, Kind::Fault, Kind::Busy, Kind::Busy, Kind::Barred] {
            memory.note(kind, 100, Duration::ZERO, Duration::ZERO);
            caps.push(memory.cap);
        }
        assert_eq!(caps, [usize::MAX, usize::MAX, usize::MAX, usize::MAX, 50]);
        memory.note(Kind::Fault, 1, Duration::ZERO, Duration::ZERO);
        assert_eq!((memory.cap, memory.attempts), (1, 5));
    }

    #[test]
    fn what_is_barred_alone_is_given_up_once_others_are_taken() {
        let later = |kind| Outcome::Later(Trouble { reason: "no".into(), after: None, kind });
        let moment = Duration::from_secs;
        let mut memory = Memory::NEW;
        memory.note(Kind::Barred, 100, moment(10), moment(9));
        let mut note = |group: usize, taken: u64| {
            memory.note(Kind::Barred, group, moment(20), moment(taken));
            memory
        };
        for _ in 0..10 {
            assert_eq!(note(1, 10).end(&later(Kind::Barred), 0), None, "nothing is taken");
        }
        for _ in 0..10 {
            assert_eq!(note(2, 15).end(&later(Kind::Barred), 0), None, "not alone");
        }
        for _ in 0..4 {
            assert_eq!(note(1, 15).end(&later(Kind::Barred), 0), None);
        }
        let memory = note(1, 15);
        assert_eq!(memory.end(&later(Kind::Busy), 0), None);
        let end = memory.end(&later(Kind::Barred), 0);
        assert_eq!(end.as_deref(), Some("no (others are taken)"));
    }

    #[test]
    fn attempts_end() {
        let later = |kind| Outcome::Later(Trouble { reason: "no".into(), after: None, kind });
        let mut memory = Memory::NEW;
        for kind in [Kind::Fault, Kind::Busy, Kind::Unreached, Kind::Fault] {
            memory.note(kind, 1, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!(memory.end(&later(Kind::Fault), 4), None);
        let end = memory.end(&later(Kind::Fault), 3);
        assert_eq!(end.as_deref(), Some("no (attempt 3 of 3)"));
        assert_eq!(memory.end(&later(Kind::Unreached), 1), None);
    }
}
