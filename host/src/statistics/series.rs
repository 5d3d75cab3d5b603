//! The series of a metric: who they are, and how they are found again.
//!
//! A series is found by its parent and the value that made its group, by hash.
//! Values that are long are found by their digest, so that 10,000 series of
//! 100 KB values do not take a gigabyte.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sha2::{Digest, Sha256};

/// The number of a series: in order of first appearance.
pub type SeriesId = u32;

/// The series of the metric itself.
pub const METRIC: SeriesId = 0;

/// The series that counts what has none of its own, because there are
/// `group_by_max_series` already.
pub const OVERFLOW: SeriesId = 1;

/// Longer texts are kept as digests.
const TEXT_MAX: usize = 256;

/// What makes a group among those of one parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// A text of at most [`TEXT_MAX`] bytes.
    Text(&'a [u8]),
    /// The SHA-256 of a longer one.
    Digest([u8; 32]),
    /// An integer. (The registry knows it as its text: a field that comes as `10`
    /// from one peer and as `"10"` from another makes one series.)
    Integer(i64),
    /// A bucket's number.
    Bucket(u32),
    /// What is in no group of the level.
    Ungrouped,
}

/// A [`Key`] that is kept.
#[derive(Clone, Debug)]
enum OwnKey {
    Text(Box<[u8]>),
    Digest(Box<[u8; 32]>),
    Integer(i64),
    Bucket(u32),
    Ungrouped,
}

/// What is known of a series where it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its number.
    pub(super) id: SeriesId,
    /// Whether it has groups of its own: its labels leave room for another.
    pub(super) opens: bool,
}

/// Series by parent and key.
#[derive(Clone, Debug, Default)]
pub(super) struct SeriesMap {
    hasher: RandomState,
    table: HashTable<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    parent: SeriesId,
    found: Found,
    key: OwnKey,
}

/// A series, as readers see it.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whose group it is; the metric's own series is its own parent.
    pub parent: SeriesId,
    /// What it is.
    pub kind: SeriesKind,
}

/// What a series is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// The metric itself.
    Metric,
    /// The overflow series.
    Overflow,
    /// A group by value, with its label: plain text without control characters, cut
    /// when it is long. So two series may have the same label.
    Value(String),
    /// A group of integers, with its bucket's number and label.
    Bucket(usize, String),
    /// Those of the parent's events that are in no group of the next level. Dovecot
    /// has no such series and dumps leave it out; with it, the innermost series of a
    /// metric add up to all of its events.
    Ungrouped,
}

impl<'a> Key<'a> {
    /// The key of a text.
    pub(super) fn text(text: &'a [u8]) -> Self {
        if text.len() <= TEXT_MAX {
            Key::Text(text)
        } else {
            Key::Digest(Sha256::digest(text).into())
        }
    }

    fn to_own(self) -> OwnKey {
        match self {
            Key::Text(text) => OwnKey::Text(text.into()),
            Key::Digest(digest) => OwnKey::Digest(Box::new(digest)),
            Key::Integer(number) => OwnKey::Integer(number),
            Key::Bucket(number) => OwnKey::Bucket(number),
            Key::Ungrouped => OwnKey::Ungrouped,
        }
    }
}

impl OwnKey {
    fn as_key(&self) -> Key<'_> {
        match self {
            OwnKey::Text(text) => Key::Text(text),
            OwnKey::Digest(digest) => Key::Digest(**digest),
            OwnKey::Integer(number) => Key::Integer(*number),
            OwnKey::Bucket(number) => Key::Bucket(*number),
            OwnKey::Ungrouped => Key::Ungrouped,
        }
    }
}

impl SeriesMap {
    /// The series of `parent` with this key.
    #[inline]
    pub(super) fn find(&self, parent: SeriesId, key: Key<'_>) -> Option<Found> {
        let is_it = |entry: &Entry| entry.parent == parent && entry.key.as_key() == key;
        self.table.find(hash(&self.hasher, parent, key), is_it).map(|entry| entry.found)
    }

    /// Adds a series that is not in the map yet.
    pub(super) fn insert(&mut self, parent: SeriesId, key: Key<'_>, found: Found) {
        let entry = Entry { parent, found, key: key.to_own() };
        let hasher = &self.hasher;
        self.table.insert_unique(hash(hasher, parent, key), entry, |entry| {
            hash(hasher, entry.parent, entry.key.as_key())
        });
    }
}

#[inline]
fn hash(hasher: &RandomState, parent: SeriesId, key: Key<'_>) -> u64 {
    let mut hasher = hasher.build_hasher();
    let number = |kind: u64| (kind << 32) | u64::from(parent);
    match key {
        Key::Text(text) => {
            hasher.write_u64(number(0));
            hasher.write(text);
        }
        Key::Digest(digest) => {
            hasher.write_u64(number(1));
            hasher.write(&digest);
        }
        Key::Integer(integer) => {
            hasher.write_u64(number(2));
            hasher.write_i64(integer);
        }
        Key::Bucket(bucket) => {
            hasher.write_u64(number(3));
            hasher.write_u32(bucket);
        }
        Key::Ungrouped => hasher.write_u64(number(4)),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Found, Key, SeriesMap, TEXT_MAX};

    #[test]
    fn a_series_is_found_by_its_parent_and_key() {
        let long = [b'x'; TEXT_MAX + 1];
        let longer = [b'x'; TEXT_MAX + 2];
        let mut keys = vec![
            Key::text(b""),
            Key::text(b"10"),
            Key::Integer(10),
            Key::Integer(0),
            Key::Bucket(10),
            Key::Ungrouped,
            Key::text(&long),
            Key::text(&long[1..]),
            Key::text(&longer),
        ];
        assert!(matches!(keys[6], Key::Digest(_)) && matches!(keys[7], Key::Text(_)));
        let numbers: Vec<[u8; 4]> = (0_u32..1000).map(|number| number.to_be_bytes()).collect();
        keys.extend(numbers.iter().map(|number| Key::text(number)));
        let mut map = SeriesMap::default();
        let mut id = 2;
        for parent in [0, 2, 3] {
            for &key in &keys {
                assert_eq!(map.find(parent, key), None);
                map.insert(parent, key, Found { id, opens: id % 2 == 0 });
                id += 1;
            }
        }
        let mut id = 2;
        for parent in [0, 2, 3] {
            for &key in &keys {
                assert_eq!(map.find(parent, key), Some(Found { id, opens: id % 2 == 0 }));
                id += 1;
            }
        }
        assert_eq!(map.find(1, Key::Ungrouped), None);
    }
}
