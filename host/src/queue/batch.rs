//! Payloads collected for one call of a driver.

use std::time::{Duration, Instant};

use fantail_sdk::abi::Payloads;

use super::{Promise, Receipt};
use crate::spool::micros_now;

/// Some payloads, one behind the other, and beside them their labels, if the driver
/// wants any.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    labels: Vec<u8>,
    label_ends: Vec<u32>,
    /// The number of values in each label.
    label_parts: usize,
    /// When what its first payload was made from was read.
    begun: Option<Instant>,
    /// How much later what each payload was made from was read, in microseconds; empty: at once.
    later: Vec<u64>,
    /// What numbered the payloads, once they are numbered, and the number of each.
    source: u128,
    numbers: Vec<u64>,
    /// Who is to be told when the batch is where it should be.
    receipts: Vec<Receipt>,
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
        &self.bytes[place(&self.ends, index)]
    }

    /// The label of the payload at `index`, its values escaped and joined by TAB; `None` when
    /// the driver wants none.
    pub fn label(&self, index: usize) -> Option<&[u8]> {
        let has_labels = !self.label_ends.is_empty();
        has_labels.then(|| &self.labels[place(&self.label_ends, index)])
    }

    /// The number of values in each label.
    pub fn label_parts(&self) -> usize {
        self.label_parts
    }

    /// The bytes of payloads and labels.
    pub fn content_len(&self) -> usize {
        self.bytes.len() + self.labels.len()
    }

    /// What the batch takes up in a queue: payloads, labels, and where they end.
    pub fn size(&self) -> usize {
        self.content_len() + size_of_val(&*self.ends) + size_of_val(&*self.label_ends)
    }

    /// The bytes that payloads and labels may have without new memory.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.labels.capacity()
    }

    /// Says when what the first payload was made from was read.
    pub fn begin(&mut self, read_at: Instant) {
        self.begun = Some(read_at);
    }

    /// The time from when what the first payload was made from was read until `now`.
    pub fn age(&self, now: Instant) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun))
    }

    /// Says how much later what each payload was made from was read, in microseconds: those of a
    /// batch from the disk may have come hours after each other.
    pub fn read_later(&mut self, later: impl IntoIterator<Item = u64>) {
        self.later.clear();
        self.later.extend(later.into_iter().take(self.ends.len()));
    }

    /// The time from when what the payload at `index` was made from was read until `now`.
    pub fn age_of(&self, index: usize, now: Instant) -> Duration {
        self.age(now).saturating_sub(Duration::from_micros(self.later_of(index)))
    }

    /// When what the first payload was made from was read, by the clock on the wall:
    /// microseconds since 1970.
    pub fn read_at(&self, now: Instant) -> u64 {
        let age = u64::try_from(self.age(now).as_micros()).unwrap_or(u64::MAX);
        micros_now().saturating_sub(age)
    }

    /// The same of the payload at `index`.
    pub fn read_at_of(&self, index: usize, now: Instant) -> u64 {
        self.read_at(now).saturating_add(self.later_of(index))
    }

    fn later_of(&self, index: usize) -> u64 {
        self.later.get(index).copied().unwrap_or(0)
    }

    /// The first `count` payloads with their labels and numbers.
    ///
    /// # Panics
    ///
    /// When the payloads have not been numbered.
    pub fn first(&self, count: usize) -> Payloads<'_> {
        let (ends, label_ends) = (&self.ends[..count], first(&self.label_ends, count));
        let until = |ends: &[u32]| ends.last().map_or(0, |&end| end as usize);
        Payloads {
            bytes: &self.bytes[..until(ends)],
            ends,
            labels: &self.labels[..until(label_ends)],
            label_ends,
            label_parts: self.label_parts,
            source: self.source,
            numbers: &self.numbers[..count],
        }
    }

    /// The number of each payload; none before they are numbered.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Says which number each payload has in its source.
    pub fn number(&mut self, source: u128, numbers: impl IntoIterator<Item = u64>) {
        self.source = source;
        self.numbers.clear();
        self.numbers.extend(numbers.into_iter().take(self.ends.len()));
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
        self.ends.push(end(&self.bytes));
        Ok(())
    }

    /// Whether the payload that was appended last has no label.
    #[inline]
    pub fn lacks_label(&self) -> bool {
        self.label_ends.len() < self.ends.len()
    }

    /// Lets `write` append the label of the payload that was appended last, of `parts` values.
    /// Either every payload of a batch has one or none.
    ///
    /// # Panics
    ///
    /// As [`append`](Self::append).
    pub fn append_label(&mut self, parts: usize, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.labels);
        self.label_ends.push(end(&self.labels));
        self.label_parts = parts;
        debug_assert_eq!(self.label_ends.len(), self.ends.len(), "a label for each payload");
    }

    /// Gives all payloads the labels that were kept with them, of `parts` values each; none if
    /// that is 0. A driver that wants other values now than when a label was written gets empty
    /// ones.
    pub fn label_all<'l>(&mut self, parts: usize, labels: impl Iterator<Item = &'l [u8]>) {
        self.labels.clear();
        self.label_ends.clear();
        self.label_parts = parts;
        let Some(tabs_max) = parts.checked_sub(1) else { return };
        for label in labels {
            let tabs = label.iter().filter(|byte| **byte == b'\t').count();
            if tabs == tabs_max {
                self.labels.extend_from_slice(label);
            } else {
                self.labels.extend(std::iter::repeat_n(b'\t', tabs_max));
            }
            self.label_ends.push(end(&self.labels));
        }
        debug_assert_eq!(self.label_ends.len(), self.ends.len(), "a label for each payload");
    }

    /// What numbered the payloads.
    pub fn source(&self) -> u128 {
        self.source
    }

    /// Has the batch carry a receipt of the promise, once.
    pub fn promise(&mut self, promise: &Promise) {
        if !self.receipts.last().is_some_and(|last| promise.is_of(last)) {
            self.receipts.push(promise.receipt());
        }
    }

    /// Whether somebody waits for the batch to be where it should be.
    #[inline]
    pub fn is_promised(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// Takes the receipts out, for who fulfils them once the batch itself is out of its hands.
    pub fn take_receipts(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
    }

    /// Gives receipts back that were taken out.
    pub fn give_receipts(&mut self, receipts: Vec<Receipt>) {
        self.receipts = receipts;
    }

    /// Says that the batch is where it should be, or was dropped as configured.
    pub fn fulfil(&mut self) {
        self.receipts.drain(..).for_each(Receipt::fulfil);
    }

    /// Keeps only the payloads for which `keep` says so, by their places.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut kept = Batch {
            begun: self.begun,
            label_parts: self.label_parts,
            source: self.source,
            receipts: std::mem::take(&mut self.receipts),
            ..Batch::default()
        };
        for index in (0..self.len()).filter(|&index| keep(index)) {
            kept.bytes.extend_from_slice(self.payload(index));
            kept.ends.push(kept.bytes.len() as u32);
            kept.numbers.extend(self.numbers.get(index).copied());
            kept.later.extend(self.later.get(index).copied());
            if let Some(label) = self.label(index) {
                kept.labels.extend_from_slice(label);
                kept.label_ends.push(kept.labels.len() as u32);
            }
        }
        *self = kept;
    }

    /// A batch of the same payloads that wastes no memory, and an empty one that
    /// has what was too much. A queue counts payloads, so a batch that waits
    /// must not be much larger than they are.
    #[must_use]
    pub fn fitted(mut self) -> (Batch, Option<Batch>) {
        let held = self.capacity();
        if held <= 512 || held / 2 <= self.content_len() {
            return (self, None);
        }
        // Cloned vectors have no room to spare.
        let fitted = Batch {
            bytes: self.bytes.clone(),
            ends: self.ends.clone(),
            labels: self.labels.clone(),
            label_ends: self.label_ends.clone(),
            label_parts: self.label_parts,
            begun: self.begun,
            later: self.later.clone(),
            source: self.source,
            numbers: self.numbers.clone(),
            receipts: std::mem::take(&mut self.receipts),
        };
        self.clear();
        (fitted, Some(self))
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.labels.clear();
        self.label_ends.clear();
        self.begun = None;
        self.later.clear();
        self.numbers.clear();
        self.receipts.clear();
    }
}

/// Where the thing at `index` is among those that have these ends.
fn place(ends: &[u32], index: usize) -> std::ops::Range<usize> {
    let start = if index == 0 { 0 } else { ends[index - 1] as usize };
    start..ends[index] as usize
}

/// The first `count` ends, if there are any.
fn first(ends: &[u32], count: usize) -> &[u32] {
    if ends.is_empty() { ends } else { &ends[..count] }
}

/// Where what is appended next begins.
fn end(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("invariant: batches are closed long before 4 GiB")
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
    fn labels_stay_with_their_payloads() {
        let mut batch = Batch::default();
        for (payload, label) in [("one", "a\t1"), ("", "\t"), ("three", "c\t")] {
            let write = |bytes: &mut Vec<u8>| {
                bytes.extend_from_slice(payload.as_bytes());
                Ok::<_, ()>(())
            };
            batch.append(write).unwrap();
            batch.append_label(2, |bytes| bytes.extend_from_slice(label.as_bytes()));
        }
        assert_eq!((batch.content_len(), batch.size()), (8 + 6, 14 + 6 * 4));
        batch.number(7, 10..);
        let first = batch.first(2);
        assert_eq!((first.source, first.numbers), (7, &[10, 11][..]));
        assert_eq!(
            (first.labels, first.label_ends, first.label_parts),
            (&b"a\t1\t"[..], &[3, 4][..], 2)
        );
        batch.retain(|index| index != 1);
        let labels = |batch: &Batch| [0, 1].map(|at| batch.label(at).unwrap().to_vec());
        assert_eq!(labels(&batch), [b"a\t1".to_vec(), b"c\t".to_vec()]);
        batch.labels.reserve(8192);
        let (fitted, rest) = batch.fitted();
        assert_eq!(labels(&fitted), [b"a\t1".to_vec(), b"c\t".to_vec()]);
        assert_eq!((fitted.label_parts(), fitted.payload(1)), (2, b"three".as_slice()));
        let rest = rest.unwrap();
        assert!(rest.labels.is_empty() && rest.label_ends.is_empty());
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
