//! The circuit breaker of one exporter: when the next attempt may be made, and with how much.
//!
//! One clockwork for everything that fails: each attempt that fails makes the pause before the
//! next one longer ([`Backoff`]). After some failures in a row the breaker *opens*: from then on
//! an attempt is *half open*, with one payload, twice as many the next time and
//! [`PROBE_MAX`] at most, so that a peer which is gone is not sent whole batches in
//! vain. (Not always one: a payload that its peer breaks on must not stand for all
//! the others.) Once the peer takes anything the breaker is closed.
//!
//! It has no clock and no thread, and sends nothing.

use std::time::{Duration, Instant};

use super::{Backoff, Pauses};
use crate::telemetry::circuit::{CircuitFigures, CircuitState};

/// How many payloads a half-open attempt has at most.
const PROBE_MAX: usize = 16;

/// The longest pause of a host that has been told to stop.
const HURRIED_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Decides when an exporter tries again, and with how much.
#[derive(Debug)]
pub struct Breaker {
    backoff: Backoff,
    /// So many failures in a row open it; 0: none do.
    failures_max: u32,
    failures: u32,
    failing_since: Option<Instant>,
    state: CircuitState,
    /// Half-open attempts since it opened.
    probes: u32,
    /// Not before this moment.
    next_attempt: Option<Instant>,
    hurried: bool,
}

/// What a success has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How many attempts had failed in a row; 0: none had.
    pub failures: u32,
    /// Since when, until now.
    pub lasted: Duration,
    /// Whether the breaker was open.
    pub was_open: bool,
}

impl Breaker {
    /// A closed breaker that opens after `failures_max` failures in a row (0: never); `seed`
    /// makes the jitter of its pauses differ from other exporters'.
    pub fn new(pauses: Pauses, failures_max: u32, seed: u64) -> Self {
        Breaker {
            backoff: Backoff::new(pauses, seed),
            failures_max,
            failures: 0,
            failing_since: None,
            state: CircuitState::Closed,
            probes: 0,
            next_attempt: None,
            hurried: false,
        }
    }

    /// When the next attempt may be made; `None`: at once.
    pub fn next_attempt(&self) -> Option<Instant> {
        self.next_attempt
    }

    /// An attempt begins: how many payloads it may have.
    pub fn begin(&mut self) -> usize {
        self.next_attempt = None;
        match self.state {
            CircuitState::Closed => usize::MAX,
            CircuitState::HalfOpen | CircuitState::Open => {
                self.state = CircuitState::HalfOpen;
                1_usize.checked_shl(self.probes).map_or(PROBE_MAX, |size| size.min(PROBE_MAX))
            }
        }
    }

    /// The attempt has failed: the peer took nothing. It may ask for a pause. True when that
    /// has opened the breaker, which was closed.
    pub fn failed(&mut self, now: Instant, asked_for: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.wait(now, asked_for);
        match self.state {
            CircuitState::Closed => {
                let opens = self.failures_max > 0 && self.failures >= self.failures_max;
                if opens {
                    (self.state, self.probes) = (CircuitState::Open, 0);
                }
                opens
            }
            CircuitState::HalfOpen | CircuitState::Open => {
                self.state = CircuitState::Open;
                self.probes = self.probes.saturating_add(1);
                false
            }
        }
    }

    /// The peer has taken something.
    pub fn succeeded(&mut self, now: Instant) -> Recovered {
        let since = self.failing_since.take();
        let recovered = Recovered {
            failures: std::mem::take(&mut self.failures),
            lasted: since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            was_open: self.state != CircuitState::Closed,
        };
        self.state = CircuitState::Closed;
        self.next_attempt = None;
        self.backoff.reset();
        recovered
    }

    /// The peer has taken something and not everything: it gets a short pause, or what it
    /// asks for.
    pub fn slowed(&mut self, now: Instant, asked_for: Option<Duration>) {
        self.backoff.reset();
        self.wait(now, asked_for);
        self.backoff.reset();
    }

    /// The host has a moment by which it must have ended: an attempt now, and short pauses from
    /// here on. True unless that has been said before.
    pub fn hurry(&mut self) -> bool {
        if std::mem::replace(&mut self.hurried, true) {
            return false;
        }
        self.backoff.reset();
        self.next_attempt = None;
        true
    }

    /// What there is to see.
    pub fn figures(&self) -> CircuitFigures {
        CircuitFigures {
            state: self.state,
            failures: self.failures,
            failing_since: self.failing_since,
            next_attempt: self.next_attempt,
        }
    }

    fn wait(&mut self, now: Instant, asked_for: Option<Duration>) {
        let pause = self.backoff.next_pause(asked_for);
        let pause = if self.hurried { pause.min(HURRIED_PAUSE_MAX) } else { pause };
        self.next_attempt = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CircuitState::{Closed, HalfOpen, Open};

    fn breaker(failures_max: u32) -> Breaker {
        let pauses = Pauses { min: Duration::from_millis(100), max: Duration::from_secs(30) };
        Breaker::new(pauses, failures_max, 7)
    }

    /// What happens to a breaker, and how it must be then: its state, the failures in a row,
    /// and how much the next attempt may have.
    #[test]
    fn states_follow_from_what_happens() {
        let check = |failures_max: u32, steps: &[(char, CircuitState, u32)]| {
            let mut breaker = breaker(failures_max);
            let now = Instant::now();
            for (index, (what, state, failures)) in steps.iter().enumerate() {
                match what {
                    'f' => drop(breaker.failed(now, None)),
                    's' => drop(breaker.succeeded(now)),
                    'b' => drop(breaker.begin()),
                    'p' => breaker.slowed(now, None),
                    'h' => drop(breaker.hurry()),
                    _ => unreachable!(),
                }
                let found = breaker.figures();
                let place = format!("{failures_max}, step {index} ({what})");
                assert_eq!((found.state, found.failures), (*state, *failures), "{place}");
                let waits = matches!(what, 'f' | 'p');
                assert_eq!(found.next_attempt.is_some(), waits, "{place}");
                assert_eq!(found.failing_since.is_some(), *failures > 0, "{place}");
            }
        };
        check(3, &[('b', Closed, 0), ('f', Closed, 1), ('f', Closed, 2), ('s', Closed, 0)]);
        check(2, &[('f', Closed, 1), ('s', Closed, 0), ('f', Closed, 1), ('f', Open, 2)]);
        check(1, &[('f', Open, 1), ('b', HalfOpen, 1), ('f', Open, 2), ('b', HalfOpen, 2)]);
        check(1, &[('f', Open, 1), ('b', HalfOpen, 1), ('s', Closed, 0), ('b', Closed, 0)]);
        check(1, &[('f', Open, 1), ('h', Open, 1), ('b', HalfOpen, 1), ('f', Open, 2)]);
        check(2, &[('p', Closed, 0), ('p', Closed, 0), ('f', Closed, 1), ('s', Closed, 0)]);
        check(0, &[('f', Closed, 1), ('f', Closed, 2), ('f', Closed, 3), ('f', Closed, 4)]);
        // What a flush finds without an attempt.
        check(1, &[('f', Open, 1), ('f', Open, 2), ('s', Closed, 0)]);
    }

    #[test]
    fn half_open_attempts_grow_and_stay_small() {
        let mut breaker = breaker(2);
        let now = Instant::now();
        assert_eq!(breaker.begin(), usize::MAX);
        assert!(!breaker.failed(now, None));
        assert_eq!(breaker.begin(), usize::MAX);
        assert!(breaker.failed(now, None));
        for expected in [1, 2, 4, 8, 16, 16, 16] {
            assert_eq!(breaker.begin(), expected);
            assert!(!breaker.failed(now, None));
        }
        for _ in 0..100 {
            breaker.failed(now, None);
        }
        assert_eq!(breaker.begin(), PROBE_MAX);
        let recovered = breaker.succeeded(now + Duration::from_secs(5));
        let expected = Recovered { failures: 109, lasted: Duration::from_secs(5), was_open: true };
        assert_eq!(recovered, expected);
        assert_eq!(breaker.begin(), usize::MAX);
    }

    /// A peer that is gone for ten minutes, with batches of 500 payloads waiting.
    #[test]
    fn ten_minutes_without_a_peer() {
        let start = Instant::now();
        let (gone, back) = (start + Duration::from_secs(60), start + Duration::from_secs(660));
        let mut breaker = breaker(5);
        let (mut now, mut attempts, mut sent, mut opened) = (start, 0, 0, 0);
        let first = loop {
            now = breaker.next_attempt().unwrap_or(now + Duration::from_secs(1)).max(now);
            let count = breaker.begin().min(500);
            if (gone..back).contains(&now) {
                attempts += 1;
                sent += count;
                opened += u32::from(breaker.failed(now, None));
                let pause = breaker.next_attempt().unwrap() - now;
                assert!(pause <= Duration::from_secs(30), "{pause:?}");
            } else if now >= back {
                break (now, count, breaker.succeeded(now));
            } else {
                assert_eq!(breaker.succeeded(now).failures, 0);
            }
        };
        // 8 pauses up to 25 s, then between 15 and 30 s each.
        assert!((25..=50).contains(&attempts), "{attempts} attempts");
        assert!(sent <= 5 * 500 + attempts * PROBE_MAX, "{sent} payloads sent");
        assert_eq!(opened, 1);
        let (now, count, recovered) = first;
        assert!(now - back <= Duration::from_secs(30) && count <= PROBE_MAX);
        assert!(recovered.was_open && recovered.lasted >= Duration::from_secs(600));
        assert_eq!(breaker.begin(), usize::MAX);
    }

    #[test]
    fn who_asks_for_a_pause_gets_it_unless_the_host_is_in_a_hurry() {
        let mut breaker = breaker(1);
        let now = Instant::now();
        let asked = Duration::from_secs(100);
        breaker.failed(now, Some(asked));
        assert_eq!(breaker.next_attempt(), Some(now + asked));
        assert!(breaker.hurry());
        assert_eq!(breaker.next_attempt(), None);
        breaker.failed(now, Some(asked));
        assert_eq!(breaker.next_attempt(), Some(now + HURRIED_PAUSE_MAX));
        assert!(!breaker.hurry());
        assert_eq!(breaker.next_attempt(), Some(now + HURRIED_PAUSE_MAX));
    }
}
