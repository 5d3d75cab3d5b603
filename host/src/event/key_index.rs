//! Finds again the keys that were seen before, in constant time each.
//!
//! Keys come from peers that may choose them to do harm: their hash is seeded
//! at random, and a thousand of them in one line cost no more than a thousand
//! lines with one.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// Places in the table while there are few keys.
const TABLE_MIN: usize = 64;

/// The keys of one event, numbered from 0 in order of insertion.
///
/// The keys themselves stay with their owner, who shows the key with a number
/// when it is asked for it.
#[derive(Clone, Debug, Default)]
pub struct KeyIndex {
    hasher: RandomState,
    /// Open addressing: a key's number + 1 at its hash or behind it, 0 where
    /// there is none. The length is a power of two, and half of it stays free.
    table: Vec<u32>,
    /// The hash of each key, by its number.
    hashes: Vec<u32>,
}

/// What [`KeyIndex::insert`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The key has the next number now.
    New,
    /// The key has had this number before.
    Known(usize),
}

impl KeyIndex {
    /// Forgets all keys; a table that was large becomes small again.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.table.clear();
        self.table.resize(TABLE_MIN, 0);
    }

    /// Gives `key` the next number, unless it has one. `key_at` shows the key
    /// with a number that was given before.
    pub fn insert<'k>(&mut self, key: &[u8], key_at: impl Fn(usize) -> &'k [u8]) -> Inserted {
        if 2 * self.hashes.len() >= self.table.len() {
            self.grow();
        }
        let hash = self.hash(key);
        match self.probe(hash, key, key_at) {
            Ok(number) => Inserted::Known(number),
            Err(free) => {
                self.hashes.push(hash);
                self.table[free] = self.hashes.len() as u32;
                Inserted::New
            }
        }
    }

    /// The number of `key`, if it has one.
    pub fn find<'k>(&self, key: &[u8], key_at: impl Fn(usize) -> &'k [u8]) -> Option<usize> {
        if self.hashes.is_empty() {
            return None;
        }
        self.probe(self.hash(key), key, key_at).ok()
    }

    fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish() as u32
    }

    /// The key's number, or the free place in the table where it belongs.
    fn probe<'k>(
        &self,
        hash: u32,
        key: &[u8],
        key_at: impl Fn(usize) -> &'k [u8],
    ) -> Result<usize, usize> {
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(number) = (self.table[at] as usize).checked_sub(1) {
            if self.hashes[number] == hash && key_at(number) == key {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    fn grow(&mut self) {
        let len = (2 * self.table.len()).max(TABLE_MIN);
        self.table.clear();
        self.table.resize(len, 0);
        for (number, &hash) in self.hashes.iter().enumerate() {
            let mut at = hash as usize & (len - 1);
            while self.table[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.table[at] = number as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Inserted, KeyIndex};

    #[test]
    fn every_key_keeps_its_number() {
        let keys: Vec<String> = (0..500).map(|number| format!("key{number}")).collect();
        let mut index = KeyIndex::default();
        for _ in 0..2 {
            for key in &keys {
                assert_eq!(index.insert(key.as_bytes(), |n| keys[n].as_bytes()), Inserted::New);
            }
            for (number, key) in keys.iter().enumerate() {
                let found = index.insert(key.as_bytes(), |n| keys[n].as_bytes());
                assert_eq!(found, Inserted::Known(number));
                assert_eq!(index.find(key.as_bytes(), |n| keys[n].as_bytes()), Some(number));
            }
            index.clear();
            assert_eq!(index.find(b"key0", |n| keys[n].as_bytes()), None);
        }
    }
}
