//! The totals of all counters, and who reads them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::counter::Counter;
use super::distribution::Distribution;
use super::metric::Metric;
use super::plan::MetricPlan;
use super::series::{METRIC, Series, SeriesId};
use super::shard::{Shard, Slot};
use crate::event::{Symbols, Wanted};

/// The statistics of all metrics: to be shared with whoever counts or reads.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    shared: Arc<Shared>,
}

/// What counters and readers have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// In the order of the configuration.
    pub(super) metrics: Vec<Arc<Metric>>,
    slots: Mutex<Vec<Arc<Slot>>>,
    /// One for each metric. Only readers wait for this lock.
    totals: Mutex<Vec<Totals>>,
    /// The statistics before these, for as long as anybody counts there.
    predecessor: Mutex<Option<Predecessor>>,
}

/// Statistics that others have followed, with some of the same metrics.
#[derive(Debug)]
struct Predecessor {
    statistics: Statistics,
    /// For each of the new metrics, its place among these if it goes on.
    places: Vec<Option<usize>>,
}

/// What was counted for one metric.
#[derive(Debug, Default)]
struct Totals {
    /// The series, as far as a reader has seen them.
    series: Vec<Arc<Series>>,
    /// The distributions of the first series, then those of the second, and so on.
    distributions: Vec<Distribution>,
    /// The events before the last reset.
    before: u64,
}

/// All statistics at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    metrics: &'a [Arc<Metric>],
    totals: &'a [Totals],
}

/// One metric's statistics at one moment.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    metric: &'a Metric,
    totals: &'a Totals,
}

/// The groups of each series.
#[derive(Debug)]
pub struct Groups {
    /// For each series where its groups begin in `groups`; one more for the end.
    starts: Vec<usize>,
    groups: Vec<SeriesId>,
}

impl Statistics {
    /// Statistics of these metrics, in the order of the configuration.
    pub fn new(plans: impl IntoIterator<Item = MetricPlan>) -> Self {
        Self::of(plans.into_iter().map(|plan| Arc::new(Metric::new(plan))).collect(), None)
    }

    /// Statistics of other metrics that follow these. A metric that comes with its
    /// place among these goes on counting where it is, whoever of the counters
    /// has begun to count for the new statistics; it must be the same metric.
    ///
    /// # Panics
    ///
    /// When there is no such place: a bug.
    #[must_use]
    pub fn successor(
        &self,
        metrics: impl IntoIterator<Item = (MetricPlan, Option<usize>)>,
    ) -> Self {
        // What lies here from those before moves on now: they need not be kept.
        drop(self.shared.collect());
        let (metrics, places): (Vec<_>, Vec<_>) = metrics
            .into_iter()
            .map(|(plan, place)| match place {
                Some(at) => (Arc::clone(&self.shared.metrics[at]), place),
                None => (Arc::new(Metric::new(plan)), None),
            })
            .unzip();
        Self::of(metrics, Some(Predecessor { statistics: self.clone(), places }))
    }

    fn of(metrics: Vec<Arc<Metric>>, predecessor: Option<Predecessor>) -> Self {
        let totals = metrics.iter().map(|_| Totals::default()).collect();
        let shared = Shared {
            metrics,
            slots: Mutex::default(),
            totals: Mutex::new(totals),
            predecessor: Mutex::new(predecessor),
        };
        Statistics { shared: Arc::new(shared) }
    }

    /// What one more thread counts with, of events that were decoded with the table
    /// `symbols`: what the table lacks, no event has.
    pub fn counter(&self, symbols: &Symbols) -> Counter {
        let slot = Arc::new(Slot::default());
        self.shared.slots().push(Arc::clone(&slot));
        Counter::new(Arc::clone(&self.shared), slot, symbols)
    }

    /// The fields that the metrics ask for: for decoding events for these statistics
    /// alone.
    pub fn symbols(&self) -> Arc<Symbols> {
        let mut wanted = Wanted::default();
        self.wants(&mut wanted);
        Arc::new(Symbols::new(&wanted))
    }

    /// Adds the fields that the metrics ask events for.
    pub fn wants(&self, wanted: &mut Wanted) {
        self.shared.metrics.iter().for_each(|metric| metric.plan.wants(wanted));
    }

    /// Shows `reader` the statistics of everything that was published before, in
    /// one piece. Other readers wait meanwhile; counters do not.
    ///
    /// (It gets to see the totals themselves: a copy of ten thousand series with
    /// all their samples would be 40 MB.)
    pub fn read<R>(&self, reader: impl FnOnce(View<'_>) -> R) -> R {
        let totals = self.shared.collect();
        reader(View { metrics: &self.shared.metrics, totals: &totals })
    }

    /// The same; afterwards everything begins at 0. An event is in what the reader
    /// sees, or counts afterwards, never both. Series stay.
    pub fn read_and_reset<R>(&self, reader: impl FnOnce(View<'_>) -> R) -> R {
        let mut totals = self.shared.collect();
        let read = reader(View { metrics: &self.shared.metrics, totals: &totals });
        for totals in totals.iter_mut() {
            totals.before += totals.count();
            totals.distributions = Vec::new();
        }
        read
    }

    /// How many events each metric has matched since the start, resets
    /// notwithstanding.
    pub fn matched(&self) -> Vec<u64> {
        let totals = self.shared.collect();
        totals.iter().map(|totals| totals.before + totals.count()).collect()
    }
}

impl Shared {
    /// The totals, with everything in them that was published.
    fn collect(&self) -> MutexGuard<'_, Vec<Totals>> {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        self.inherit(&mut totals);
        let mut slots = self.slots();
        // First all are asked, then all are waited for.
        let first: Vec<_> = slots.iter().map(|slot| slot.collect()).collect();
        let waited = slots.iter().map(|slot| slot.wait());
        let shards: Vec<_> = first.into_iter().chain(waited).flatten().collect();
        // A counter that is gone has put back what it had.
        slots.retain(|slot| Arc::strong_count(slot) > 1 || slot.holds_any());
        drop(slots);
        shards.into_iter().for_each(|shard| merge(&mut totals, *shard));
        for (metric, totals) in self.metrics.iter().zip(totals.iter_mut()) {
            metric.registry.extend(&mut totals.series);
        }
        totals
    }

    /// Takes over what was counted for the predecessor; it goes when nobody counts
    /// there any more.
    fn inherit(&self, totals: &mut [Totals]) {
        let mut predecessor = self.predecessor();
        let Some(Predecessor { statistics, places }) = &*predecessor else { return };
        // Looked at first: what a last counter leaves is collected below.
        let slots = statistics.shared.slots();
        let is_over = slots.iter().all(|slot| Arc::strong_count(slot) == 1);
        drop(slots);
        let mut old = statistics.shared.collect();
        for (totals, place) in totals.iter_mut().zip(places) {
            if let Some(place) = place {
                totals.inherit(std::mem::take(&mut old[*place]));
            }
        }
        drop(old);
        // Those before it pass through it.
        if is_over && statistics.shared.predecessor().is_none() {
            *predecessor = None;
        }
    }

    fn predecessor(&self) -> MutexGuard<'_, Option<Predecessor>> {
        self.predecessor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges the shard into the totals, if nobody else is doing anything there;
    /// otherwise gives it back.
    pub(super) fn try_merge(&self, shard: Box<Shard>) -> Option<Box<Shard>> {
        let mut totals = match self.totals.try_lock() {
            Ok(totals) => totals,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(shard),
        };
        merge(&mut totals, *shard);
        None
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(totals: &mut [Totals], shard: Shard) {
    for (totals, counts) in totals.iter_mut().zip(shard.metrics) {
        totals.merge(counts.0);
    }
}

impl Totals {
    fn merge(&mut self, counted: Vec<Distribution>) {
        let total = &mut self.distributions;
        if total.len() < counted.len() {
            total.resize(counted.len(), Distribution::EMPTY);
        }
        for (total, counted) in total.iter_mut().zip(counted) {
            total.merge(counted);
        }
    }

    /// Adds what was counted for the same metric before.
    fn inherit(&mut self, old: Totals) {
        self.before += old.before;
        self.merge(old.distributions);
    }

    /// The events since the last reset.
    fn count(&self) -> u64 {
        self.distributions.first().map_or(0, Distribution::count)
    }
}

impl<'a> View<'a> {
    /// The metrics, in the order of the configuration.
    pub fn metrics(&self) -> impl ExactSizeIterator<Item = MetricView<'a>> + use<'a> {
        let metrics = self.metrics.iter().zip(self.totals);
        metrics.map(|(metric, totals)| MetricView { metric, totals })
    }

    /// The metric with this name.
    pub fn metric(&self, name: &str) -> Option<MetricView<'a>> {
        self.metrics().find(|metric| metric.plan().name == name)
    }
}

impl<'a> MetricView<'a> {
    /// What is counted.
    pub fn plan(&self) -> &'a MetricPlan {
        &self.metric.plan
    }

    /// The series, by their numbers.
    pub fn series(&self) -> &'a [Arc<Series>] {
        &self.totals.series
    }

    /// The distribution of a series's value: `duration` is 0, then the plan's fields.
    pub fn distribution(&self, series: SeriesId, value: usize) -> &'a Distribution {
        static NOTHING: Distribution = Distribution::EMPTY;
        let place = series as usize * self.metric.plan.values.len() + value;
        self.totals.distributions.get(place).unwrap_or(&NOTHING)
    }

    /// The groups of each series, in order of first appearance.
    pub fn groups(&self) -> Groups {
        let series = self.series();
        let mut starts = vec![0; series.len() + 1];
        let groups_of = || series.iter().enumerate().skip(METRIC as usize + 1);
        groups_of().for_each(|(_, series)| starts[series.parent as usize + 1] += 1);
        for id in 1..starts.len() {
            starts[id] += starts[id - 1];
        }
        let mut ends = starts.clone();
        let mut groups = vec![0; series.len().saturating_sub(1)];
        for (id, series) in groups_of() {
            let end = &mut ends[series.parent as usize];
            groups[*end] = id as SeriesId;
            *end += 1;
        }
        Groups { starts, groups }
    }
}

impl Groups {
    /// The groups of one series.
    pub fn of(&self, series: SeriesId) -> &[SeriesId] {
        let series = series as usize;
        &self.groups[self.starts[series]..self.starts[series + 1]]
    }
}
