//! What has become of each payload of the batch that an exporter is busy with.

use std::time::Duration;

use fantail_sdk::abi::{RawSent, outcome, send_status};

use crate::telemetry::ledger::DeadReason;

/// How long a payload is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryLimits {
    /// At so many attempts at which the peer had it; 0: no limit.
    pub attempts_max: u32,
    /// Until what it was made from was read so long ago; zero: no limit.
    pub age_max: Duration,
}

/// A payload that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dead {
    /// Its place in the batch.
    pub index: usize,
    /// Why.
    pub reason: DeadReason,
    /// What the driver has said of it, or of its last attempt.
    pub detail: String,
    /// The attempts at which the peer had it.
    pub attempts: u32,
}

/// The payloads of one batch, as far as they are not done with.
#[derive(Debug)]
pub(super) struct Trials {
    outcomes: Vec<u8>,
    /// Of each: the attempts at which the peer had it.
    attempts: Vec<u32>,
}

/// What an attempt has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    /// How many of those that were sent are neither delivered nor dead because of what the
    /// driver said.
    pub pending: usize,
    /// Those that are not tried again.
    pub dead: Vec<Dead>,
}

impl Trials {
    pub(super) fn new(payloads: usize) -> Self {
        Trials { outcomes: Vec::new(), attempts: vec![0; payloads] }
    }

    /// The first `count` payloads are sent: the places for what becomes of them.
    pub(super) fn begin(&mut self, count: usize) -> &mut [u8] {
        self.outcomes.clear();
        self.outcomes.resize(count, outcome::PENDING);
        &mut self.outcomes
    }

    /// They were sent, with this answer. `is_fatal`: a driver that panicked has done so too often
    /// because of the first payload. `age` is a payload's, by its place.
    pub(super) fn end(
        &mut self,
        answer: &RawSent,
        is_fatal: bool,
        limits: RetryLimits,
        age: impl Fn(usize) -> Duration,
    ) -> Brought {
        let count = self.outcomes.len();
        let mut brought = Brought::default();
        for index in 0..count {
            let was_had = [outcome::TRIED, outcome::DELIVERED, outcome::GIVEN_UP];
            self.attempts[index] += u32::from(was_had.contains(&self.outcomes[index]));
            match self.outcomes[index] {
                outcome::DELIVERED => {}
                outcome::GIVEN_UP => {
                    let given_up = answer.given_up.iter().find(|one| one.index as usize == index);
                    let detail = given_up.map_or("", |one| one.reason.as_str());
                    brought.dead.push(self.dead(index, DeadReason::Refused, detail));
                }
                // What a driver says besides is nothing that is known of a payload.
                _ => brought.pending += 1,
            }
        }
        let panicked = answer.status == send_status::PANICKED;
        if panicked && is_fatal && self.is_left(0) {
            self.attempts[0] += 1;
            brought.dead.push(self.dead(0, DeadReason::Panic, answer.message.as_str()));
            brought.pending -= 1;
        }
        // Of a peer that takes nothing nobody needs to wait for the others' attempts.
        let has_failed = brought.pending == count;
        let looked_at = if has_failed { self.attempts.len() } else { count };
        self.outcomes.resize(self.attempts.len(), outcome::PENDING);
        for index in (0..looked_at).filter(|&index| self.is_left(index)).collect::<Vec<_>>() {
            let was_tried = self.outcomes[index] == outcome::TRIED;
            let is_at_end = limits.attempts_max > 0 && self.attempts[index] >= limits.attempts_max;
            let reason = if was_tried && is_at_end {
                DeadReason::Attempts
            } else if !limits.age_max.is_zero() && age(index) >= limits.age_max {
                DeadReason::Age
            } else {
                continue;
            };
            brought.dead.push(self.dead(index, reason, answer.message.as_str()));
        }
        brought
    }

    /// Whether the payload at this place was delivered by the last attempt.
    pub(super) fn is_delivered(&self, index: usize) -> bool {
        self.outcomes.get(index) == Some(&outcome::DELIVERED)
    }

    /// Whether the payload at this place is to be sent again.
    pub(super) fn is_left(&self, index: usize) -> bool {
        !matches!(self.outcomes.get(index), Some(&(outcome::DELIVERED | outcome::GIVEN_UP | DEAD)))
    }

    /// How many are not to be sent again since the last attempt.
    pub(super) fn ended(&self) -> usize {
        (0..self.attempts.len()).filter(|&index| !self.is_left(index)).count()
    }

    /// Keeps those that are to be sent again.
    pub(super) fn retain(&mut self) {
        let mut index = 0..;
        let mut attempts = std::mem::take(&mut self.attempts);
        attempts.retain(|_| index.next().is_some_and(|index| self.is_left(index)));
        self.attempts = attempts;
        self.outcomes.clear();
    }

    fn dead(&mut self, index: usize, reason: DeadReason, detail: &str) -> Dead {
        self.outcomes[index] = DEAD;
        Dead { index, reason, detail: detail.to_owned(), attempts: self.attempts[index] }
    }
}

/// The outcome of a payload that is dead.
const DEAD: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use fantail_sdk::abi::RawGivenUp;

    use super::*;

    const OF: RetryLimits = RetryLimits { attempts_max: 3, age_max: Duration::from_secs(60) };

    fn answer(status: u32, given_up: &[u32]) -> RawSent {
        let mut raw = RawSent::done();
        raw.status = status;
        raw.message = "why".into();
        let given_up = given_up.iter();
        raw.given_up = given_up
            .map(|&index| RawGivenUp { index, reason: format!("no {index}").into() })
            .collect();
        raw
    }

    /// Sends payloads that are so old (in seconds), with one outcome each a time: `.` pending,
    /// `t` tried, `d` delivered, `g` given up, `?` none there is. What dies, as
    /// `number reason attempts` (numbers as at the beginning), and what is pending.
    #[track_caller]
    fn check(limits: RetryLimits, ages: &[u64], sent: &[&str], expected: &[(&str, usize)]) {
        let mut trials = Trials::new(ages.len());
        let mut names: Vec<usize> = (0..ages.len()).collect();
        for (sent, expected) in sent.iter().zip(expected) {
            let outcomes = trials.begin(sent.len());
            let mut given_up = Vec::new();
            for (index, said) in sent.bytes().enumerate() {
                outcomes[index] = match said {
                    b'.' => outcome::PENDING,
                    b't' => outcome::TRIED,
                    b'd' => outcome::DELIVERED,
                    b'g' => outcome::GIVEN_UP,
                    _ => 77,
                };
                given_up.extend((said == b'g').then_some(index as u32));
            }
            let age = |index: usize| Duration::from_secs(ages[names[index]]);
            let answer = answer(send_status::RETRY, &given_up);
            let brought = trials.end(&answer, false, limits, age);
            let shown = brought.dead.iter().map(|dead| {
                let name = names[dead.index];
                let detail = match dead.reason {
                    DeadReason::Refused => format!("no {}", dead.index),
                    _ => "why".to_owned(),
                };
                assert_eq!(dead.detail, detail);
                format!("{name} {} {}", dead.reason, dead.attempts)
            });
            let shown = shown.collect::<Vec<_>>().join(", ");
            assert_eq!((shown.as_str(), brought.pending), *expected, "{sent}");
            let mut index = 0..;
            names.retain(|_| trials.is_left(index.next().unwrap()));
            trials.retain();
        }
    }

    #[test]
    fn payloads_die_at_their_limits_and_no_others() {
        let none = RetryLimits::default();
        check(
            none,
            &[999],
            &["t", "t", "t", "t", "d"],
            &[("", 1), ("", 1), ("", 1), ("", 1), ("", 0)],
        );
        check(none, &[0, 0, 0], &["dgt", "."], &[("1 refused 1", 1), ("", 1)]);
        // A peer that can't be reached counts nothing.
        check(OF, &[0], &[".", ".", ".", "."], &[("", 1), ("", 1), ("", 1), ("", 1)]);
        check(OF, &[0], &["t", ".", "t", "t"], &[("", 1), ("", 1), ("", 1), ("0 attempts 3", 1)]);
        // Each has its own count: the second is sent for the first time when the first goes.
        check(
            OF,
            &[0, 0, 0],
            &["t..", "td.", "tt", "t", "t"],
            &[("", 3), ("", 2), ("0 attempts 3", 2), ("", 1), ("2 attempts 3", 1)],
        );
        check(OF, &[0, 0], &["?", "??"], &[("", 1), ("", 2)]);
    }

    #[test]
    fn old_payloads_die_after_an_attempt() {
        check(OF, &[59, 60], &[".."], &[("1 age 0", 2)]);
        // Those that were not sent, too, when nothing is taken.
        check(OF, &[59, 60, 61], &["."], &[("1 age 0, 2 age 0", 1)]);
        // But not behind others that are.
        check(OF, &[99, 99, 99], &["dt", "d"], &[("1 age 1", 1), ("", 0)]);
        check(OF, &[99], &["d"], &[("", 0)]);
    }

    #[test]
    fn the_payload_that_brings_the_driver_down_dies_alone() {
        let mut trials = Trials::new(3);
        for is_fatal in [false, true] {
            trials.begin(1);
            let answer = answer(send_status::PANICKED, &[]);
            let brought = trials.end(&answer, is_fatal, OF, |_| Duration::ZERO);
            assert_eq!(
                (brought.pending, brought.dead.len()),
                (usize::from(!is_fatal), usize::from(is_fatal))
            );
            if let Some(dead) = brought.dead.first() {
                assert_eq!((dead.index, dead.reason, dead.attempts), (0, DeadReason::Panic, 1));
            }
            trials.retain();
        }
        assert_eq!(trials.attempts, [0, 0]);
    }
}
