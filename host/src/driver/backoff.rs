//! Pauses between attempts.

use std::time::Duration;

/// The shortest and the longest pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Before the first new attempt.
    pub min: Duration,
    /// The pause that growing ends at.
    pub max: Duration,
}

/// Exponential pauses with jitter: each is twice the last, up to a longest one,
/// and then between a half and the whole of that by chance, so that many hosts
/// that lost the same server do not come back at the same moment.
#[derive(Debug)]
pub struct Backoff {
    pauses: Pauses,
    attempts: u32,
    random: u64,
}

impl Backoff {
    /// Pauses for one exporter; `seed` makes the jitter differ between them.
    pub fn new(pauses: Pauses, seed: u64) -> Self {
        // Without any pause a peer that is gone would be asked without end.
        let pauses = Pauses { min: pauses.min.max(Duration::from_millis(1)), ..pauses };
        Backoff { pauses, attempts: 0, random: seed | 1 }
    }

    /// The pause before the next attempt, not shorter than `asked_for` by the peer.
    pub fn next_pause(&mut self, asked_for: Option<Duration>) -> Duration {
        let doubled =
            self.pauses.min.saturating_mul(1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1).min(31);
        let whole = doubled.min(self.pauses.max);
        let jittered = whole / 2 + whole.mul_f64(self.next_fraction() / 2.0);
        jittered.max(asked_for.unwrap_or_default())
    }

    /// Begins anew: an attempt has succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Between 0 and 1: xorshift64* (Marsaglia 2003, Vigna 2016), plenty for jitter.
    fn next_fraction(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        bits as f64 / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Pauses};
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = Pauses { min: Duration::from_millis(100), max: Duration::from_secs(1) };
        let mut backoff = Backoff::new(pauses, 7);
        for whole in [100, 200, 400, 800, 1000, 1000, 1000] {
            let pause = backoff.next_pause(None).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
        for _ in 0..100 {
            assert!(backoff.next_pause(None) <= pauses.max);
        }
        assert_eq!(backoff.next_pause(Some(Duration::from_secs(9))), Duration::from_secs(9));
        backoff.reset();
        assert!(backoff.next_pause(None) <= pauses.min);
    }
}
