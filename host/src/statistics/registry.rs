//! The series of one metric, shared by all who count.
//!
//! A counter comes here when it meets a group for the first time; afterwards it
//! knows the series itself. Once there are as many series as there may be, they
//! change no more: then they are looked up without a lock, and who is not among
//! them goes to the overflow series.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::group::{self, LABELS_MAX};
use super::series::{Found, Key, METRIC, OVERFLOW, Series, SeriesId, SeriesKind, SeriesMap};

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Registry {
    /// How many groups there may be.
    max: usize,
    growing: Mutex<Known>,
    /// The same, once it grows no more.
    full: OnceLock<Known>,
}

#[derive(Debug)]
struct Known {
    map: SeriesMap,
    /// By their numbers.
    series: Vec<Arc<Series>>,
    /// The bytes of each series's labels, its parents' included.
    label_bytes: Vec<usize>,
}

/// The name of a group that is new.
#[derive(Debug)]
pub(super) enum Name<'a> {
    /// The value that makes it.
    Value(Cow<'a, [u8]>),
    /// A bucket's number and name.
    Bucket(usize, String),
    /// Those in no group.
    Ungrouped,
}

impl Registry {
    /// No groups yet, and never more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Registry { max, growing: Mutex::new(Known::new()), full: OnceLock::new() }
    }

    /// The group of `parent` with this key, made now if it is new and there may be
    /// another; otherwise the overflow series.
    #[cold]
    pub(super) fn series<'n>(
        &self,
        parent: SeriesId,
        key: Key<'_>,
        name: impl FnOnce() -> Name<'n>,
    ) -> Found {
        const OVERFLOWN: Found = Found { id: OVERFLOW, opens: false };
        if let Some(full) = self.full.get() {
            return full.map.find(parent, key).unwrap_or(OVERFLOWN);
        }
        let mut growing = self.growing();
        if let Some(found) = growing.map.find(parent, key) {
            return found;
        }
        if let Some(full) = self.full.get() {
            // Since the first look.
            return full.map.find(parent, key).unwrap_or(OVERFLOWN);
        }
        if growing.groups() < self.max {
            return growing.add(parent, key, name());
        }
        let known = std::mem::replace(&mut *growing, Known::new());
        let set = self.full.set(known);
        debug_assert!(set.is_ok(), "set under the lock, once");
        OVERFLOWN
    }

    /// Appends the series that `known`, which has the first of them, lacks.
    pub(super) fn extend(&self, known: &mut Vec<Arc<Series>>) {
        let growing = self.growing();
        let all = self.full.get().unwrap_or(&growing);
        known.extend(all.series.iter().skip(known.len()).cloned());
    }

    fn growing(&self) -> MutexGuard<'_, Known> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new() -> Self {
        let own = |kind| Arc::new(Series { parent: METRIC, kind });
        Known {
            map: SeriesMap::default(),
            series: vec![own(SeriesKind::Metric), own(SeriesKind::Overflow)],
            label_bytes: vec![0; 2],
        }
    }

    /// How many groups there are.
    fn groups(&self) -> usize {
        self.series.len() - 2
    }

    fn add(&mut self, parent: SeriesId, key: Key<'_>, name: Name<'_>) -> Found {
        let used = self.label_bytes[parent as usize];
        let room = LABELS_MAX.saturating_sub(used).max(1);
        let (kind, bytes) = match name {
            Name::Value(value) => {
                let label = group::label(&value, room);
                let bytes = label.len();
                (SeriesKind::Value(label), bytes)
            }
            Name::Bucket(bucket, name) => {
                let label = group::label(name.as_bytes(), room);
                let bytes = label.len();
                (SeriesKind::Bucket(bucket, label), bytes)
            }
            Name::Ungrouped => (SeriesKind::Ungrouped, LABELS_MAX),
        };
        let id = self.series.len() as SeriesId;
        self.series.push(Arc::new(Series { parent, kind }));
        self.label_bytes.push(used + bytes);
        let found = Found { id, opens: used + bytes < LABELS_MAX };
        self.map.insert(parent, key, found);
        found
    }
}
