//! Payloads collected for one call of a driver.

use std::time::{Duration, Instant};

/// Some payloads, one behind the other.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// When what its first payload was made from was read.
    begun: Option<Instant>,
}

impl Batch {
    /// The number of payloads.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no payload.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all payloads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in [`bytes`](Self::bytes) each payload ends.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The payload at `index`.
    pub fn payload(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// Says when what the first payload was made from was read.
    pub fn begin(&mut self, read_at: Instant) {
        self.begun = Some(read_at);
    }

    /// The time from when what the first payload was made from was read until `now`.
    pub fn age(&self, now: Instant) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun))
    }

    /// The first `count` payloads: their bytes, and where each ends.
    pub fn first(&self, count: usize) -> (&[u8], &[u32]) {
        let ends = &self.ends[..count];
        (&self.bytes[..ends.last().map_or(0, |&end| end as usize)], ends)
    }

    /// Lets `write` append one payload; when it fails nothing has been appended.
    ///
    /// # Errors
    ///
    /// Whatever `write` returns.
    ///
    /// # Panics
    ///
    /// When the batch passes 4 GiB; it must be closed long before.
    pub fn append<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let written = write(&mut self.bytes);
        if written.is_err() {
            self.bytes.truncate(start);
            return written;
        }
        let end = u32::try_from(self.bytes.len());
        self.ends.push(end.expect("invariant: batches are closed long before 4 GiB"));
        Ok(())
    }

    /// Keeps only the payloads for which `keep` says so, by their places.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut kept = Batch { begun: self.begun, ..Batch::default() };
        for index in (0..self.len()).filter(|&index| keep(index)) {
            kept.bytes.extend_from_slice(self.payload(index));
            kept.ends.push(kept.bytes.len() as u32);
        }
        *self = kept;
    }

    /// A batch of the same payloads that wastes no memory, and an empty one that
    /// has what was too much. A queue counts payloads, so a batch that waits
    /// must not be much larger than they are.
    #[must_use]
    pub fn fitted(mut self) -> (Batch, Option<Batch>) {
        let (used, held) = (self.bytes.len(), self.bytes.capacity());
        if held <= 4096 || held / 2 <= used {
            return (self, None);
        }
        let (bytes, ends) = (self.bytes.clone(), self.ends.clone());
        let fitted = Batch { bytes, ends, begun: self.begun };
        self.clear();
        (fitted, Some(self))
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.begun = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Duration, Instant};

    #[test]
    fn payloads_are_appended_whole_or_not_at_all() {
        let mut batch = Batch::default();
        let mut append = |text: &str, result: Result<(), ()>| {
            batch.append(|bytes| {
                bytes.extend_from_slice(text.as_bytes());
                result
            })
        };
        assert_eq!(append("one", Ok(())), Ok(()));
        assert_eq!(append("half", Err(())), Err(()));
        assert_eq!(append("", Ok(())), Ok(()));
        assert_eq!(append("three", Ok(())), Ok(()));
        let payloads: Vec<_> = (0..batch.len()).map(|index| batch.payload(index)).collect();
        assert_eq!(payloads, [b"one".as_slice(), b"", b"three"]);
        let (fitted, rest) = std::mem::take(&mut batch).fitted();
        assert!(rest.is_none());
        batch = fitted;
        batch.retain(|index| index != 0);
        assert_eq!((batch.bytes(), batch.ends()), (b"three".as_slice(), [0, 5].as_slice()));
    }

    #[test]
    fn a_small_batch_in_a_large_buffer_is_copied_out_of_it() {
        let mut batch = Batch { bytes: Vec::with_capacity(65_536), ..Batch::default() };
        let now = Instant::now();
        batch.begin(now);
        batch
            .append::<()>(|bytes| {
                bytes.extend_from_slice(b"x");
                Ok(())
            })
            .unwrap();
        let (fitted, rest) = batch.fitted();
        assert!(fitted.bytes.capacity() < 100);
        assert_eq!(fitted.payload(0), b"x");
        assert_eq!(fitted.age(now + Duration::from_secs(1)), Duration::from_secs(1));
        let rest = rest.unwrap();
        assert!(rest.is_empty() && rest.bytes.capacity() == 65_536);
    }
}
