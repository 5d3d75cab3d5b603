//! What one counter has counted, and where it lies between two reads.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::distribution::Distribution;
use super::series::SeriesId;

/// How long a reader waits for a counter that is in the middle of a read: longer
/// than any read takes, unless a plugin hangs. The counts come with the next
/// reader then.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one counter has counted since a reader took its last shard.
#[derive(Debug)]
pub(super) struct Shard {
    /// One for each metric.
    pub(super) metrics: Vec<MetricShard>,
    /// How many values were counted.
    pub(super) values: usize,
}

/// What was counted for one metric: the distributions of the first series, then
/// those of the second, as far as any was met.
#[derive(Clone, Debug, Default)]
pub(super) struct MetricShard(pub(super) Vec<Distribution>);

impl Shard {
    /// Nothing counted yet.
    pub(super) fn new(metrics: usize) -> Self {
        Shard { metrics: vec![MetricShard::default(); metrics], values: 0 }
    }
}

impl MetricShard {
    /// Counts an event's values for a series.
    #[inline]
    pub(super) fn record(&mut self, series: SeriesId, values: &[Option<i64>]) {
        let start = series as usize * values.len();
        if self.0.len() < start + values.len() {
            self.grow(start + values.len());
        }
        for (distribution, value) in self.0[start..].iter_mut().zip(values) {
            if let Some(value) = value {
                distribution.add(*value);
            }
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.0.resize(len, Distribution::EMPTY);
    }
}

/// Where a shard lies while its counter does not need it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// A shard that is wanted has come.
    come: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The counter has its shard.
    out: bool,
    /// A reader waits for it.
    wanted: bool,
    /// The shard, for whoever comes first.
    resting: Option<Box<Shard>>,
    /// The shard, for the reader who waited: a counter that is always busy would
    /// otherwise have it again before the reader woke up.
    handed: Option<Box<Shard>>,
}

impl Slot {
    /// Takes the shard to count into, if it is there; there will be one anyhow.
    pub(super) fn take(&self) -> Option<Box<Shard>> {
        let mut state = self.state();
        state.out = true;
        state.resting.take()
    }

    /// Puts the shard back, if there still is one.
    pub(super) fn put(&self, shard: Option<Box<Shard>>) {
        let mut state = self.state();
        state.out = false;
        if std::mem::take(&mut state.wanted) {
            state.handed = shard;
            self.come.notify_all();
        } else {
            state.resting = shard;
        }
    }

    /// Takes what was counted, or asks for it: then [`wait`](Self::wait) has it.
    pub(super) fn collect(&self) -> Option<Box<Shard>> {
        let mut state = self.state();
        state.wanted = state.out;
        state.resting.take()
    }

    /// Waits for the shard that was asked for, if it was.
    pub(super) fn wait(&self) -> Option<Box<Shard>> {
        let state = self.come.wait_timeout_while(self.state(), PATIENCE, |state| state.wanted);
        let (mut state, _) = state.unwrap_or_else(PoisonError::into_inner);
        state.wanted = false;
        state.handed.take()
    }

    /// Whether there is anything in it.
    pub(super) fn holds_any(&self) -> bool {
        let state = self.state();
        state.resting.is_some() || state.handed.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Shard, Slot};

    #[test]
    fn a_shard_that_is_out_is_handed_over_when_it_comes_back() {
        let slot = Slot::default();
        assert!(slot.collect().is_none() && slot.wait().is_none());
        assert!(slot.take().is_none());
        slot.put(Some(Box::new(Shard::new(1))));
        assert!(slot.collect().is_some() && slot.wait().is_none());

        slot.put(Some(Box::new(Shard::new(2))));
        let shard = slot.take();
        assert!(slot.collect().is_none());
        slot.put(shard);
        // It is the reader's, even if the counter comes back first.
        assert!(slot.take().is_none());
        assert_eq!(slot.wait().map(|shard| shard.metrics.len()), Some(2));
        slot.put(None);
        assert!(slot.collect().is_none());
    }

    #[test]
    fn a_reader_does_not_wait_forever() {
        let slot = Slot::default();
        slot.take();
        assert!(slot.collect().is_none() && slot.wait().is_none());
        slot.put(Some(Box::new(Shard::new(1))));
        assert!(slot.collect().is_some());
    }
}
