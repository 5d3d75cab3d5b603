//! Which payloads have been taken already, so that none is taken twice.
//!
//! A sender may name the payloads of a request by the source that numbered them and their
//! numbers. When the answer to it is lost, it sends them again, by the same names. A number is
//! *taken* once the host has it where it was configured to be; until then it is *in flight*, and
//! nobody else can begin with it. What was in flight and lost its way is forgotten: it may come
//! again.
//!
//! All that is remembered is bounded, and what is forgotten can only be taken twice, never lost:
//! a new source takes the place of the one that has been silent for longest, and of a source
//! with too many gaps the lowest numbers are forgotten. Nothing is remembered across a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::ranges::Ranges;
use crate::queue::{Promise, Standing};

/// How many sources are remembered.
const SOURCES_MAX: usize = 1024;

/// How many ranges of numbers of one source are remembered.
pub(super) const RANGES_MAX: usize = 4096;

/// How long a source is remembered that sends nothing.
const SILENT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The names of a request's payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// What numbered them.
    pub(super) source: u128,
    /// Their numbers.
    pub(super) numbers: Ranges,
}

/// What an input has taken; shared by all its sessions.
#[derive(Debug, Default)]
pub(super) struct Window {
    sources: Mutex<HashMap<u128, Source>>,
}

#[derive(Debug)]
struct Source {
    taken: Ranges,
    flights: Vec<(Ranges, Arc<Promise>)>,
    heard: Instant,
}

/// Whether a request's payloads can be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// They are in flight now, but for those that had been taken before.
    Flying {
        /// Those.
        before: Ranges,
    },
    /// Some are in flight already: ask again when that has come to its end.
    InFlight,
}

impl Window {
    /// Whether all of them have been taken.
    pub(super) fn has_all(&self, names: &Names, now: Instant) -> bool {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get_mut(&names.source).is_some_and(|source| {
            source.heard = now;
            source.settle();
            source.taken.contains_all(&names.numbers)
        })
    }

    /// Has those in flight that have not been taken; `promise` says how that ends. It must not
    /// have been kept yet.
    pub(super) fn begin(&self, names: &Names, promise: &Arc<Promise>, now: Instant) -> Begun {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if !sources.contains_key(&names.source) {
            make_room(&mut sources, now);
        }
        let source = sources.entry(names.source).or_insert_with(|| Source {
            taken: Ranges::default(),
            flights: Vec::new(),
            heard: now,
        });
        source.heard = now;
        source.settle();
        if source.flights.iter().any(|(flying, _)| flying.intersects(&names.numbers)) {
            return Begun::InFlight;
        }
        let mut before = Ranges::default();
        if source.taken.intersects(&names.numbers) {
            let known = names.numbers.numbers().filter(|number| source.taken.contains(*number));
            known.for_each(|number| before.add(&Ranges::one(number)));
        }
        source.flights.push((names.numbers.clone(), Arc::clone(promise)));
        Begun::Flying { before }
    }

    /// Brings a source up to date after a promise of it was kept or broken.
    pub(super) fn settle(&self, source: u128) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get_mut(&source) {
            source.settle();
        }
    }
}

impl Source {
    fn settle(&mut self) {
        let Source { taken, flights, .. } = self;
        flights.retain(|(numbers, promise)| match promise.standing() {
            Standing::Open => true,
            Standing::Kept => {
                taken.add(numbers);
                false
            }
            Standing::Broken => false,
        });
        taken.forget_lowest(RANGES_MAX);
    }
}

/// Forgets those that have been silent for too long, and one more if that is not enough.
fn make_room(sources: &mut HashMap<u128, Source>, now: Instant) {
    if sources.len() < SOURCES_MAX {
        return;
    }
    sources.retain(|_, source| now.saturating_duration_since(source.heard) < SILENT_MAX);
    if sources.len() >= SOURCES_MAX
        && let Some((&silent, _)) = sources.iter().min_by_key(|(_, source)| source.heard)
    {
        sources.remove(&silent);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::{Begun, Names, RANGES_MAX, SOURCES_MAX, Window};
    use crate::{
        input::http::ranges::Ranges,
        queue::{Promise, Receipt, Wake},
    };

    fn names(source: u128, numbers: &str) -> Names {
        Names { source, numbers: Ranges::parse(numbers, RANGES_MAX).unwrap() }
    }

    fn flying(before: &str) -> Begun {
        let before = match before {
            "" => Ranges::default(),
            numbers => Ranges::parse(numbers, RANGES_MAX).unwrap(),
        };
        Begun::Flying { before }
    }

    fn begin(window: &Window, numbers: &str) -> (Begun, Receipt) {
        let promise = Arc::new(Promise::new(Wake::new().unwrap()));
        let receipt = promise.receipt();
        (window.begin(&names(7, numbers), &promise, Instant::now()), receipt)
    }

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let (window, now) = (Window::default(), Instant::now());
        let (begun, receipt) = begin(&window, "1-5");
        assert_eq!(begun, flying(""));
        assert!(!window.has_all(&names(7, "1-5"), now), "they are in flight");
        assert_eq!(begin(&window, "5-9").0, Begun::InFlight);
        assert_eq!(begin(&window, "6").0, flying(""));
        receipt.fulfil();
        assert!(window.has_all(&names(7, "2-4"), now));
        assert!(!window.has_all(&names(8, "2-4"), now), "that is somebody else");
        let (begun, receipt) = begin(&window, "4-8");
        assert_eq!(begun, flying("4-5"));
        receipt.fulfil();
        assert!(window.has_all(&names(7, "1-8"), now));
    }

    #[test]
    fn what_was_lost_can_come_again() {
        let window = Window::default();
        let (_, receipt) = begin(&window, "1-5");
        drop(receipt);
        let (begun, receipt) = begin(&window, "1-5");
        assert_eq!(begun, flying(""));
        receipt.fulfil();
        window.settle(7);
        assert!(window.has_all(&names(7, "1-5"), Instant::now()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (window, start) = (Window::default(), Instant::now());
        for source in 0..SOURCES_MAX as u128 + 10 {
            let promise = Arc::new(Promise::new(Wake::new().unwrap()));
            let now = start + Duration::from_millis(source as u64);
            let _ = window.begin(&names(source, "1"), &promise, now);
        }
        assert_eq!(window.sources.lock().unwrap().len(), SOURCES_MAX);
        assert!(!window.has_all(&names(9, "1"), start), "the first ones are forgotten");
        assert!(window.has_all(&names(10, "1"), start));
        for number in 0..RANGES_MAX as u64 + 10 {
            begin(&window, &(2 * number).to_string()).1.fulfil();
        }
        window.settle(7);
        assert_eq!(window.sources.lock().unwrap()[&7].taken.len(), RANGES_MAX);
        assert!(!window.has_all(&names(7, "18"), start));
        assert!(window.has_all(&names(7, "20"), start));
    }
}
