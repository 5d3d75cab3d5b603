//! How fast batches come: whether being woken for each of them costs more than it brings.
//!
//! To wake a thread takes a worker as long as to format ten events. So an exporter's thread to
//! which one batch comes hard upon another does not wait for the next one to wake it: it takes a
//! nap, and finds several.

use std::time::Duration;

/// How long batches may gather; also how soon a batch must follow another for that.
pub(super) const NAP: Duration = Duration::from_millis(1);

/// So many batches must have come soon, one after the other.
const SOON_MIN: u8 = 2;

/// What is known of the last batches.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Batches in a row that came soon, as far as they matter.
    soon: u8,
}

impl Pace {
    /// A batch came after so long a wait.
    pub(super) fn came(&mut self, waited: Duration) {
        self.soon = if waited < NAP { (self.soon + 1).min(SOON_MIN) } else { 0 };
    }

    /// A nap is over: it takes another batch to have one more.
    pub(super) fn napped(&mut self) {
        self.soon = self.soon.saturating_sub(1);
    }

    /// Whether the next batch is expected within a nap.
    pub(super) fn is_fast(&self) -> bool {
        self.soon == SOON_MIN
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NAP, Pace};

    /// `i`: a batch came immediately, `l`: late, `n`: a nap ended.
    #[test]
    fn a_nap_follows_batches_that_follow_each_other() {
        let check = |happened: &str, is_fast: bool| {
            let mut pace = Pace::default();
            for what in happened.chars() {
                match what {
                    'i' => pace.came(Duration::ZERO),
                    'l' => pace.came(NAP),
                    _ => pace.napped(),
                }
            }
            assert_eq!(pace.is_fast(), is_fast, "{happened}");
        };
        for slow in ["", "i", "l", "li", "iil", "iili", "iin", "iinn", "iinni", "iinil"] {
            check(slow, false);
        }
        for fast in ["ii", "iiii", "lii", "iini", "iiiiiini", "iinniii", "iilii"] {
            check(fast, true);
        }
    }
}
